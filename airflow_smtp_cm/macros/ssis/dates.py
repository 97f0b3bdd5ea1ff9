"""SSIS's date and time functions ("Functions (SSIS Expression)"), on ``date``, ``time`` and ``datetime``."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta

from airflow_smtp_cm.macros.ssis.nulls import propagates_null

_PARTS = {
    "year": ("year", "yy", "yyyy"),
    "quarter": ("quarter", "qq", "q"),
    "month": ("month", "mm", "m"),
    "dayofyear": ("dayofyear", "dy", "y"),
    "day": ("day", "dd", "d"),
    "week": ("week", "wk", "ww"),
    "weekday": ("weekday", "dw", "w"),
    "hour": ("hour", "hh"),
    "minute": ("minute", "mi", "n"),
    "second": ("second", "ss", "s"),
    "millisecond": ("millisecond", "ms"),
}
_PART_OF_NAME = {name: part for part, names in _PARTS.items() for name in names}
_MONTHS = {"year": 12, "quarter": 3, "month": 1}
_INTERVALS = {
    "dayofyear": timedelta(days=1),
    "day": timedelta(days=1),
    "weekday": timedelta(days=1),
    "week": timedelta(weeks=1),
    "hour": timedelta(hours=1),
    "minute": timedelta(minutes=1),
    "second": timedelta(seconds=1),
    "millisecond": timedelta(milliseconds=1),
}
_MIDNIGHT = datetime(2000, 1, 1)  # noqa: DTZ001 - SSIS's timestamps have no time zone
_SUNDAY = datetime(2000, 1, 2)  # noqa: DTZ001 - same; weeks begin on Sunday whatever the locale


def part_of(name: str) -> str:
    """Return the date part with this name or abbreviation ("DATEPART (SSIS Expression)").

    Raises:
        ValueError: the name is unknown.
    """
    part = _PART_OF_NAME.get(name.lower())
    if part is None:
        raise ValueError(f"unknown date part {name!r}; use one of: {', '.join(_PARTS)}, or an abbreviation")
    return part


def getdate() -> datetime:
    """Return the current local time, in milliseconds ("GETDATE (SSIS Expression)").

    In SSIS it is the local time of the machine that runs the package; here, that of the Airflow worker (its ``TZ``).
    """
    return local(datetime.now(UTC))


def getutcdate() -> datetime:
    """Return the current time in UTC, in milliseconds ("GETUTCDATE (SSIS Expression)")."""
    return _in_milliseconds(datetime.now(UTC).replace(tzinfo=None))


def local(moment: datetime) -> datetime:
    """Return a time of Airflow, such as a run's start, in the form of System::StartTime: local, in milliseconds."""
    return _in_milliseconds(moment.astimezone().replace(tzinfo=None) if moment.tzinfo else moment)


@propagates_null
def dateadd(part: str, number: int, start: date) -> datetime:
    """Add years, quarters, days... to a date; the day may become the month's last ("DATEADD (SSIS Expression)").

    Raises:
        ValueError: the date part is unknown.
        OverflowError: the result is out of the range of dates.
    """
    name = part_of(part)
    moment = _moment(start)
    if name not in _MONTHS:
        try:
            return _naive(moment + number * _INTERVALS[name])
        except OverflowError:
            raise OverflowError(f"DATEADD of {number} to {moment} is out of the range of dates") from None
    year, month = divmod(moment.year * 12 + moment.month - 1 + number * _MONTHS[name], 12)
    if not date.min.year <= year <= date.max.year:
        raise OverflowError(f"DATEADD of {number} to {moment} is out of the range of dates")
    return _naive(moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1])))


@propagates_null
def datediff(part: str, start: date, end: date) -> int:
    """Return the number of boundaries of years, weeks, hours... between two dates ("DATEDIFF (SSIS Expression)").

    Raises:
        ValueError: the date part is unknown.
    """
    name = part_of(part)
    first, last = _naive(_moment(start)), _naive(_moment(end))
    if name in _MONTHS:
        return _months(last) // _MONTHS[name] - _months(first) // _MONTHS[name]
    # A boundary is a whole number of intervals away from zero.
    zero = _SUNDAY if name == "week" else _MIDNIGHT
    return (last - zero) // _INTERVALS[name] - (first - zero) // _INTERVALS[name]


@propagates_null
def datepart(part: str, moment: date) -> int:
    """Return a part of a date; weeks count from 1 and begin on Sunday, as weekdays do ("DATEPART (SSIS Expression)").

    Raises:
        ValueError: the date part is unknown.
    """
    name = part_of(part)
    whole = _moment(moment)
    if name == "quarter":
        return (whole.month + 2) // 3
    if name == "dayofyear":
        return whole.timetuple().tm_yday
    if name == "weekday":
        return whole.isoweekday() % 7 + 1
    if name == "week":
        first = whole.replace(month=1, day=1)
        return (whole.timetuple().tm_yday + first.isoweekday() % 7 - 1) // 7 + 1
    if name == "millisecond":
        return whole.microsecond // 1000
    value: int = getattr(whole, name)
    return value


@propagates_null
def year(moment: date) -> int:
    """Return the year ("YEAR (SSIS Expression)")."""
    return moment.year


@propagates_null
def month(moment: date) -> int:
    """Return the month ("MONTH (SSIS Expression)")."""
    return moment.month


@propagates_null
def day(moment: date) -> int:
    """Return the day of the month ("DAY (SSIS Expression)")."""
    return moment.day


def _moment(value: date) -> datetime:
    return value if isinstance(value, datetime) else datetime.combine(value, time())


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _months(moment: datetime) -> int:
    return moment.year * 12 + moment.month - 1


def _in_milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
