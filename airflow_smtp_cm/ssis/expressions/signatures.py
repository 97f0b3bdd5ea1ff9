"""The signatures of the functions that an expression may call ("Functions (SSIS Expression)")."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from airflow_smtp_cm.macros.ssis.data_types import DataType


class Parameter(Enum):
    """The kinds of parameters, as error messages name them."""

    TEXT = "a text (DT_WSTR or DT_STR)"
    WHOLE = "a whole number"
    NUMBER = "a number"
    REAL = "a number, converted to DT_R8"
    DATE = "a date"
    PART = "a string that names a date part"


_TEXT, _WHOLE, _NUMBER = Parameter.TEXT, Parameter.WHOLE, Parameter.NUMBER
_REAL, _DATE, _PART = Parameter.REAL, Parameter.DATE, Parameter.PART


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature of a function.

    Attributes:
        function: its name in ``airflow_smtp_cm.macros.ssis``.
        parameters: the kinds of its parameters.
        result: the type of its result; None means the type of its first argument.
        width: the maximum length of the result as text, if it is known.
    """

    function: str
    parameters: tuple[Parameter, ...]
    result: DataType | None
    width: int | None = None


SIGNATURES = {
    "ABS": Signature("absolute", (_NUMBER,), None),
    "CEILING": Signature("ceiling", (_NUMBER,), None),
    "CODEPOINT": Signature("codepoint", (_TEXT,), DataType.UI2),
    "DATEADD": Signature("dateadd", (_PART, _WHOLE, _DATE), DataType.DBTIMESTAMP),
    "DATEDIFF": Signature("datediff", (_PART, _DATE, _DATE), DataType.I4),
    "DATEPART": Signature("datepart", (_PART, _DATE), DataType.I4, 4),
    "DAY": Signature("day", (_DATE,), DataType.I4, 2),
    "EXP": Signature("exp", (_REAL,), DataType.R8),
    "FINDSTRING": Signature("find_string", (_TEXT, _TEXT, _WHOLE), DataType.I4),
    "FLOOR": Signature("floor", (_NUMBER,), None),
    "LEFT": Signature("left", (_TEXT, _WHOLE), DataType.WSTR),
    "LN": Signature("ln", (_REAL,), DataType.R8),
    "LOG": Signature("log", (_REAL,), DataType.R8),
    "LOWER": Signature("lower", (_TEXT,), DataType.WSTR),
    "LTRIM": Signature("ltrim", (_TEXT,), DataType.WSTR),
    "MONTH": Signature("month", (_DATE,), DataType.I4, 2),
    "POWER": Signature("power", (_REAL, _REAL), DataType.R8),
    "REPLACE": Signature("replace", (_TEXT, _TEXT, _TEXT), DataType.WSTR),
    "REPLICATE": Signature("replicate", (_TEXT, _WHOLE), DataType.WSTR),
    "REVERSE": Signature("reverse", (_TEXT,), DataType.WSTR),
    "RIGHT": Signature("right", (_TEXT, _WHOLE), DataType.WSTR),
    "ROUND": Signature("rounded", (_NUMBER, _WHOLE), None),
    "RTRIM": Signature("rtrim", (_TEXT,), DataType.WSTR),
    "SIGN": Signature("sign", (_NUMBER,), DataType.I4),
    "SQRT": Signature("sqrt", (_REAL,), DataType.R8),
    "SQUARE": Signature("square", (_REAL,), DataType.R8),
    "SUBSTRING": Signature("substring", (_TEXT, _WHOLE, _WHOLE), DataType.WSTR),
    "TOKEN": Signature("token", (_TEXT, _TEXT, _WHOLE), DataType.WSTR),
    "TOKENCOUNT": Signature("token_count", (_TEXT, _TEXT), DataType.I4),
    "TRIM": Signature("trim", (_TEXT,), DataType.WSTR),
    "UPPER": Signature("upper", (_TEXT,), DataType.WSTR),
    "YEAR": Signature("year", (_DATE,), DataType.I4, 4),
}
