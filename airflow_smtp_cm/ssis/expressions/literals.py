"""Reads the number and string literals of expressions ("Literals (SSIS)")."""

from __future__ import annotations

import re
from decimal import Decimal

from airflow_smtp_cm.macros.ssis.conversions import RANGES, dt_r4, exact
from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.shortening import shorten

_NUMBER = re.compile(r"(?P<digits>0x[0-9a-f]+|[\d.]+)(?P<exponent>e[+-]?\d+)?(?P<suffix>[luf]*)", re.IGNORECASE)
_LONGEST_NUMBER = 100  # characters; the largest DT_NUMERIC has 38 digits
_INTEGER_TYPES = {
    "": DataType.I4,
    "u": DataType.UI4,
    "l": DataType.I8,
    "lu": DataType.UI8,
    "ul": DataType.UI8,
}
_HEXADECIMAL_TYPES = {"": DataType.I4, "u": DataType.UI4}
_FLOAT_TYPES = {"": DataType.R8, "l": DataType.R8, "f": DataType.R4}

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    '"': '"',
    "\\": "\\",
}


def number(text: str) -> Value:
    """Read a number.

    Raises:
        ValueError: it is not a number, or cannot have its suffix.
        OverflowError: it does not fit into its type, which the suffix determines.
    """
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > _LONGEST_NUMBER:
        raise ValueError(f"{shorten(text, _LONGEST_NUMBER)} is not a number, or has too many digits")
    digits, exponent, suffix = found["digits"].lower(), found["exponent"], found["suffix"].lower()
    if digits.startswith("0x"):
        return _integer(text, int(digits, 16), _HEXADECIMAL_TYPES.get(suffix))
    if "." not in digits and not exponent and suffix != "f":
        return _integer(text, int(digits), _INTEGER_TYPES.get(suffix))
    if not exponent and not suffix:
        return Value(exact(Decimal(digits)), DataType.NUMERIC)
    data_type = _FLOAT_TYPES.get(suffix)
    if data_type is None:
        raise ValueError(f"{text}: a number cannot end in {found['suffix']}")
    content = float(digits + (exponent or ""))
    if content == float("inf"):
        raise OverflowError(f"{text} does not fit into {data_type.value}")
    return Value(dt_r4(content) if data_type is DataType.R4 else content, data_type)


def string(text: str) -> str:
    """Read a string, quotation marks included.

    Raises:
        ValueError: an escape is invalid, or the string contains U+0000 or a lone surrogate.
    """
    unescaped = _ESCAPE.sub(_unescape, text[1:-1])
    if "\0" in unescaped:
        raise ValueError("a string cannot contain the character U+0000, which would end it")
    try:
        return unescaped.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise ValueError("a string cannot contain a lone surrogate") from None


def _unescape(found: re.Match[str]) -> str:
    escaped = found[1]
    if len(escaped) > 1:
        return chr(int(escaped[1:], 16))
    try:
        return _ESCAPED[escaped]
    except KeyError:
        raise ValueError(
            f"\\{escaped} is not an escape: write a backslash as \\\\, a character by its number as \\xhhhh"
        ) from None


def _integer(text: str, content: int, data_type: DataType | None) -> Value:
    if data_type is None:
        raise ValueError(f"{text}: a whole number ends in L, U, UL or none of them")
    lowest, highest = RANGES[data_type]
    if not lowest <= content <= highest:
        raise OverflowError(f"{text} does not fit into {data_type.value}; a suffix L makes it a DT_I8")
    return Value(content, data_type)
