"""SSIS's casts ("Cast (SSIS Expression)"), named as the types; casts to text are in texts.py.

A cast that loses leading digits fails here (SSIS may continue with the remaining digits). Fractions are truncated,
not rounded (assumed). Dates in text are ISO 8601, or month/day/year as in the locale English (United States).
DT_DBTIMESTAMPOFFSET is converted to other types in UTC ("Integration Services Data Types").
"""

from __future__ import annotations

import re
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import ROUND_DOWN, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING

from airflow_smtp_cm.macros.ssis.data_types import TIMES, DataType
from airflow_smtp_cm.macros.ssis.nulls import propagates_null
from airflow_smtp_cm.shortening import shorten

if TYPE_CHECKING:
    from collections.abc import Callable

RANGES = {
    **{DataType[f"I{size}"]: (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) for size in (1, 2, 4, 8)},
    **{DataType[f"UI{size}"]: (0, (1 << 8 * size) - 1) for size in (1, 2, 4, 8)},
}
_CUT = Context(prec=80, rounding=ROUND_DOWN)
_DIGITS_OF_NUMERIC = 38
_MICROSECOND_DIGITS = 6
_MAX_SHOWN = 60  # characters of a value in an error
_TRUE, _FALSE = "true", "false"

_DATE = (
    r"(?:(?P<year>\d{4})[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})"
    r"|(?P<m>\d{1,2})[-/](?P<d>\d{1,2})[-/](?P<y>\d{4}))"
)
_TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.:,](?P<fraction>\d{1,9}))?)?"
    r"(?:\s*(?P<half>[AP]M))?"
)
_ZONE = r"(?:\s*(?:(?P<sign>[+-])\s*(?P<zone_hour>\d{1,2}):(?P<zone_minute>\d{2})|(?P<utc>Z)))?"
_MOMENT = re.compile(rf"\s*{_DATE}(?:[ T]+{_TIME})?{_ZONE}\s*", re.IGNORECASE | re.ASCII)
_TIME_OF_DAY = re.compile(rf"\s*{_TIME}\s*", re.IGNORECASE | re.ASCII)


def _integer_cast(data_type: DataType) -> Callable[[object], int | None]:
    lowest, highest = RANGES[data_type]

    @propagates_null
    def cast(value: object) -> int:
        number = -1 if value is True and lowest < 0 else int(_number(value, data_type).to_integral_value(ROUND_DOWN))
        if not lowest <= number <= highest:
            raise OverflowError(f"{number} does not fit into {data_type.value}")
        return number

    cast.__doc__ = f"""Cast to {data_type.value}: a fraction is truncated; True is -1 in a signed type.

    Raises:
        ValueError: a text is not a number.
        OverflowError: the number does not fit.
    """
    return cast


dt_i1 = _integer_cast(DataType.I1)
dt_i2 = _integer_cast(DataType.I2)
dt_i4 = _integer_cast(DataType.I4)
dt_i8 = _integer_cast(DataType.I8)
dt_ui1 = _integer_cast(DataType.UI1)
dt_ui2 = _integer_cast(DataType.UI2)
dt_ui4 = _integer_cast(DataType.UI4)
dt_ui8 = _integer_cast(DataType.UI8)


@propagates_null
def dt_r8(value: object) -> float:
    """Cast to DT_R8.

    Raises:
        ValueError: a text is not a number.
    """
    return float(_number(value, DataType.R8))


@propagates_null
def dt_r4(value: object) -> float:
    """Cast to DT_R4, which has about seven digits.

    Raises:
        ValueError: a text is not a number.
        OverflowError: the number does not fit.
    """
    single: float = struct.unpack("<f", struct.pack("<f", float(_number(value, DataType.R4))))[0]
    return single


@propagates_null
def dt_numeric(value: object, precision: int, scale: int) -> Decimal:
    """Cast to DT_NUMERIC with this precision (digits) and scale (decimals).

    Raises:
        ValueError: a text is not a number.
        OverflowError: the number does not fit.
    """
    return _scaled(_number(value, DataType.NUMERIC), precision, scale, DataType.NUMERIC)


@propagates_null
def dt_decimal(value: object, scale: int) -> Decimal:
    """Cast to DT_DECIMAL with this scale (decimals).

    Raises:
        ValueError: a text is not a number.
        OverflowError: the number does not fit.
    """
    return _scaled(_number(value, DataType.DECIMAL), 29, scale, DataType.DECIMAL)


@propagates_null
def dt_cy(value: object) -> Decimal:
    """Cast to DT_CY, which has four decimals.

    Raises:
        ValueError: a text is not a number.
        OverflowError: the number does not fit.
    """
    return _scaled(_number(value, DataType.CY), 19, 4, DataType.CY)


@propagates_null
def exact(value: object) -> Decimal:
    """Return a number as a DT_NUMERIC with the decimals of its text.

    Raises:
        ValueError: a text is not a number.
        OverflowError: the number has more digits than DT_NUMERIC.
    """
    number = _number(value, DataType.NUMERIC)
    exponent = number.as_tuple().exponent
    scale = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return _scaled(number, _DIGITS_OF_NUMERIC, min(scale, _DIGITS_OF_NUMERIC), DataType.NUMERIC)


@propagates_null
def dt_bool(value: object) -> bool:
    """Cast to DT_BOOL: a number is true unless it is 0; a text is True, False or a number.

    Raises:
        ValueError: a text is neither.
    """
    if isinstance(value, str) and value.strip().lower() in {_TRUE, _FALSE}:
        return value.strip().lower() == _TRUE
    return bool(_number(value, DataType.BOOL))


@propagates_null
def dt_dbdate(value: object) -> date:
    """Cast to DT_DBDATE: the time of day is dropped.

    Raises:
        ValueError: a text is not a date.
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    return _utc(_moment(value, DataType.DBDATE)).date()


@propagates_null
def dt_dbtime(value: object) -> time:
    """Cast to DT_DBTIME: the date and fractions of a second are dropped.

    Raises:
        ValueError: a text is not a time.
    """
    return _time(value, DataType.DBTIME).replace(microsecond=0)


@propagates_null
def dt_dbtime2(value: object, scale: int) -> time:
    """Cast to DT_DBTIME2 with this scale (digits of the fraction of a second, at most six); the date is dropped.

    Raises:
        ValueError: a text is not a time.
    """
    moment = _time(value, DataType.DBTIME2)
    return moment.replace(microsecond=_cut(moment.microsecond, scale))


@propagates_null
def dt_date(value: object) -> datetime:
    """Cast to DT_DATE.

    Raises:
        ValueError: a text is not a date.
    """
    return _utc(_moment(value, DataType.DATE))


@propagates_null
def dt_dbtimestamp(value: object) -> datetime:
    """Cast to DT_DBTIMESTAMP, which has milliseconds.

    Raises:
        ValueError: a text is not a date.
    """
    moment = _utc(_moment(value, DataType.DBTIMESTAMP))
    return moment.replace(microsecond=_cut(moment.microsecond, 3))


dt_filetime = dt_dbtimestamp


@propagates_null
def dt_dbtimestamp2(value: object, scale: int) -> datetime:
    """Cast to DT_DBTIMESTAMP2 with this scale (digits of the fraction of a second, at most six).

    Raises:
        ValueError: a text is not a date.
    """
    moment = _utc(_moment(value, DataType.DBTIMESTAMP2))
    return moment.replace(microsecond=_cut(moment.microsecond, scale))


@propagates_null
def dt_dbtimestampoffset(value: object, scale: int) -> datetime:
    """Cast to DT_DBTIMESTAMPOFFSET; a value without a time zone is in UTC.

    Raises:
        ValueError: a text is not a date.
    """
    moment = _moment(value, DataType.DBTIMESTAMPOFFSET)
    return moment.replace(microsecond=_cut(moment.microsecond, scale), tzinfo=moment.tzinfo or UTC)


@propagates_null
def on_date(moment: time, day: datetime) -> datetime:
    """Combine a time with a date: a cast from a time to a timestamp uses the current date."""
    return datetime.combine(day.date(), moment)


def _number(value: object, data_type: DataType) -> Decimal:
    if isinstance(value, int | Decimal):
        return Decimal(value)
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise _no_cast(value, data_type, "it is not a number")
    return number


def _scaled(number: Decimal, precision: int, scale: int, data_type: DataType) -> Decimal:
    if number.adjusted() + 1 + scale > precision and number:
        raise OverflowError(
            f"{number} does not fit into {data_type.value} with {precision} digits, {scale} of them decimals"
        )
    return number.quantize(Decimal(1).scaleb(-scale), context=_CUT)


def _moment(value: object, data_type: DataType) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    try:
        moment = _read_moment(found.groupdict()) if found else None
    except ValueError:  # the day or hour does not exist
        moment = None
    if moment is None:
        raise _no_date(value, data_type)
    if moment.tzinfo and data_type is not DataType.DBTIMESTAMPOFFSET:
        # SSIS has no such text. A param of Airflow has one; convert it to local time, as GETDATE() returns.
        return moment.astimezone().replace(tzinfo=None)
    return moment


def _time(value: object, data_type: DataType) -> time:
    if isinstance(value, time):
        return value
    found = _TIME_OF_DAY.fullmatch(value) if isinstance(value, str) else None
    try:
        return _read_time(found.groupdict()) if found else _utc(_moment(value, data_type)).time()
    except ValueError:
        raise _no_date(value, data_type) from None


def _read_moment(parts: dict[str, str | None]) -> datetime:
    year, month, day = (
        int(parts[long] or parts[short] or 0) for long, short in (("year", "y"), ("month", "m"), ("day", "d"))
    )
    zone = UTC if parts["utc"] else None
    if parts["sign"]:
        offset = timedelta(hours=int(parts["zone_hour"] or 0), minutes=int(parts["zone_minute"] or 0))
        zone = timezone(-offset if parts["sign"] == "-" else offset)
    return datetime.combine(date(year, month, day), _read_time(parts)).replace(tzinfo=zone)


def _read_time(parts: dict[str, str | None]) -> time:
    hour = int(parts["hour"] or 0)
    if parts["half"]:
        hour = hour % 12 + (12 if parts["half"].upper() == "PM" else 0)
    fraction = (parts["fraction"] or "").ljust(_MICROSECOND_DIGITS, "0")
    return time(hour, int(parts["minute"] or 0), int(parts["second"] or 0), int(fraction[:_MICROSECOND_DIGITS]))


def _no_date(value: object, data_type: DataType) -> ValueError:
    example = "23:59:59" if data_type in TIMES else "2024-12-31 23:59:59"
    return _no_cast(value, data_type, f"it does not have the format {example}")


def _no_cast(value: object, data_type: DataType, why: str) -> ValueError:
    return ValueError(f"{shorten(repr(value), _MAX_SHOWN)} cannot be cast to {data_type.value}: {why}")


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _cut(microsecond: int, scale: int) -> int:
    unit: int = 10 ** max(_MICROSECOND_DIGITS - scale, 0)
    return microsecond // unit * unit
