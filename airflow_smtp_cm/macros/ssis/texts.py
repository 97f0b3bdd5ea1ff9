"""The text of values of other types, as SSIS's casts to DT_WSTR and DT_STR write it.

The sources are Microsoft's pages, and results stored in package files. Behaviour with neither is marked as assumed.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING

from airflow_smtp_cm.macros.ssis.nulls import propagates_null

if TYPE_CHECKING:
    from decimal import Decimal

_NO_DATE = date(1899, 12, 30)
_DIGITS = {"r4": 7, "r8": 15}


@propagates_null
def text(value: object) -> str:
    """Return the text of an integer, a Boolean (``True``), a DT_DBDATE (``2020-04-21``) or a DT_DBTIME."""
    return str(value)


@propagates_null
def r8_text(number: float) -> str:
    """Return the text of a DT_R8: 15 digits, no trailing zeros, an exponent for large and small numbers (assumed)."""
    return f"{number:.{_DIGITS['r8']}G}"


@propagates_null
def r4_text(number: float) -> str:
    """Return the text of a DT_R4: 7 digits, no trailing zeros, an exponent for large and small numbers (assumed)."""
    return f"{number:.{_DIGITS['r4']}G}"


@propagates_null
def numeric_text(number: Decimal) -> str:
    """Return the text of a DT_NUMERIC: all its decimals, no zero before the point (``.50``; assumed)."""
    whole = f"{number.copy_abs():f}"
    return ("-" if number < 0 else "") + (whole[1:] if whole.startswith("0.") else whole)


@propagates_null
def decimal_text(number: Decimal) -> str:
    """Return the text of a DT_DECIMAL or DT_CY: all its decimals, a zero before the point (assumed)."""
    return f"{number:f}"


@propagates_null
def date_text(moment: datetime) -> str:
    """Return a DT_DATE in the locale English (United States): ``7/13/2020 2:31:29 PM``.

    Midnight is omitted, and so is the date 30 December 1899, day 0 of DT_DATE (assumed, as in OLE Automation, which
    defines the type).
    """
    day = f"{moment.month}/{moment.day}/{moment.year}"
    clock = f"{moment.hour % 12 or 12}:{moment:%M:%S} {'AM' if moment.hour < 12 else 'PM'}"  # noqa: PLR2004 - noon
    if moment.date() == _NO_DATE:
        return clock
    return day if moment.replace(microsecond=0).time() == time() else f"{day} {clock}"


@propagates_null
def timestamp_text(moment: datetime) -> str:
    """Return the text of a DT_DBTIMESTAMP: ``2018-04-12 09:49:21.566000000``; no fraction if it is 0 (assumed)."""
    fraction = f".{moment.microsecond:06d}000" if moment.microsecond else ""
    return f"{moment.replace(microsecond=0, tzinfo=None)}{fraction}"


@propagates_null
def filetime_text(moment: datetime) -> str:
    """Return the text of a DT_FILETIME: ``2018-04-12 09:49:21:566`` ("Integration Services Data Types")."""
    return f"{moment.replace(microsecond=0)}:{moment.microsecond // 1000:03d}"


@propagates_null
def timestamp2_text(moment: datetime, scale: int) -> str:
    """Return the text of a DT_DBTIMESTAMP2 with this scale ("Integration Services Data Types")."""
    return f"{moment.replace(microsecond=0, tzinfo=None)}{_fraction(moment.microsecond, scale)}"


@propagates_null
def time2_text(moment: time, scale: int) -> str:
    """Return the text of a DT_DBTIME2 with this scale ("Integration Services Data Types")."""
    return f"{moment.replace(microsecond=0)}{_fraction(moment.microsecond, scale)}"


@propagates_null
def timestampoffset_text(moment: datetime, scale: int) -> str:
    """Return a DT_DBTIMESTAMPOFFSET: ``2018-04-12 09:49:21.566 +02:00`` ("Integration Services Data Types")."""
    zone = f"{moment:%z}"
    return f"{timestamp2_text(moment, scale)} {zone[:3]}:{zone[3:5]}"


def _fraction(microsecond: int, scale: int) -> str:
    return f".{f'{microsecond:06d}0'[:scale]}" if scale else ""
