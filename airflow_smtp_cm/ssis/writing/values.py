"""Converts stored values of variables and parameters to Python values and to params of a DAG."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from airflow_smtp_cm.macros.ssis.data_types import EXACT, FLOATS, DataType, Value

_TEXTS = frozenset({DataType.WSTR, DataType.STR, DataType.GUID})
_BOOLEANS = {"true": True, "-1": True, "1": True, "false": False, "0": False}
# The designer writes dates in the format of English (United States); others are ISO 8601.
_DATES = ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y")


def read_value(text: str, data_type: DataType) -> Value:
    """Read a stored value.

    Raises:
        ValueError: the text is not a value of this type.
    """
    if data_type in _TEXTS:
        return Value(text, data_type)
    text = text.strip()
    try:
        if data_type is DataType.BOOL:
            return Value(_BOOLEANS[text.lower()], data_type)
        if data_type is DataType.DATE:
            return Value(_date(text), data_type)
        if data_type in FLOATS:
            return Value(float(text), data_type)
        if data_type in EXACT:
            return Value(Decimal(text), data_type)
        return Value(int(text), data_type)
    except (KeyError, ValueError, InvalidOperation):
        raise ValueError(f"Not a value of {data_type.value}") from None


def json_type(data_type: DataType) -> str:
    """Return the JSON type of a param for values of this type."""
    if data_type is DataType.BOOL:
        return "boolean"
    if data_type in _TEXTS or data_type is DataType.DATE:
        return "string"
    return "number" if data_type in FLOATS | EXACT else "integer"


def json_value(value: Value) -> str | int | float | bool:
    """Return a value as a param holds it: a date as ISO 8601 text."""
    content = value.content
    if isinstance(content, datetime):
        # A param of format date-time must have a time zone; translated expressions ignore it.
        return content.replace(tzinfo=UTC).isoformat()
    if isinstance(content, Decimal):
        return float(content)
    if isinstance(content, str | int | float):
        return content
    raise TypeError(f"A param cannot hold {type(content).__name__}.")


def _date(text: str) -> datetime:
    for form in _DATES:
        with suppress(ValueError):
            return datetime.strptime(text, form)  # noqa: DTZ007 - SSIS's dates have no time zone
    return datetime.fromisoformat(text).replace(tzinfo=None)
