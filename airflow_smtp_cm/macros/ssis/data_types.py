"""The data types of SSIS's expressions, and typed values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum

Content = str | int | float | Decimal | date | time | bytes | None


class DataType(Enum):
    """SSIS's data types, named as in casts, without ``DT_`` ("Integration Services Data Types").

    Python types of the values: ``int`` for the integer types, ``float`` for R4 and R8, ``Decimal`` for NUMERIC,
    DECIMAL and CY, ``bool`` for BOOL, ``str`` for strings and GUID, ``bytes`` for BYTES and IMAGE, ``date`` for
    DBDATE, ``time`` for DBTIME and DBTIME2, ``datetime`` for the others (only DBTIMESTAMPOFFSET has a time zone).
    """

    I1 = "DT_I1"
    I2 = "DT_I2"
    I4 = "DT_I4"
    I8 = "DT_I8"
    UI1 = "DT_UI1"
    UI2 = "DT_UI2"
    UI4 = "DT_UI4"
    UI8 = "DT_UI8"
    R4 = "DT_R4"
    R8 = "DT_R8"
    NUMERIC = "DT_NUMERIC"
    DECIMAL = "DT_DECIMAL"
    CY = "DT_CY"
    BOOL = "DT_BOOL"
    STR = "DT_STR"
    WSTR = "DT_WSTR"
    TEXT = "DT_TEXT"
    NTEXT = "DT_NTEXT"
    GUID = "DT_GUID"
    BYTES = "DT_BYTES"
    IMAGE = "DT_IMAGE"
    DATE = "DT_DATE"
    DBDATE = "DT_DBDATE"
    DBTIME = "DT_DBTIME"
    DBTIME2 = "DT_DBTIME2"
    DBTIMESTAMP = "DT_DBTIMESTAMP"
    DBTIMESTAMP2 = "DT_DBTIMESTAMP2"
    DBTIMESTAMPOFFSET = "DT_DBTIMESTAMPOFFSET"
    FILETIME = "DT_FILETIME"


SIGNED = (DataType.I1, DataType.I2, DataType.I4, DataType.I8)
UNSIGNED = (DataType.UI1, DataType.UI2, DataType.UI4, DataType.UI8)
INTEGERS = frozenset(SIGNED + UNSIGNED)
FLOATS = frozenset({DataType.R4, DataType.R8})
EXACT = frozenset({DataType.NUMERIC, DataType.DECIMAL, DataType.CY})
NUMBERS = INTEGERS | FLOATS | EXACT
STRINGS = frozenset({DataType.STR, DataType.WSTR})
TEXTS = STRINGS | {DataType.TEXT, DataType.NTEXT}
TIMES = frozenset({DataType.DBTIME, DataType.DBTIME2})
TIMESTAMPS = frozenset(
    {
        DataType.DATE,
        DataType.DBTIMESTAMP,
        DataType.DBTIMESTAMP2,
        DataType.DBTIMESTAMPOFFSET,
        DataType.FILETIME,
    }
)
DATES = TIMESTAMPS | {DataType.DBDATE}


@dataclass(frozen=True, slots=True)
class Value:
    """A value and its type.

    Attributes:
        content: the Python value (see DataType); None is SSIS's NULL.
        data_type: its type.
        scale: digits of the fraction of a second, for DBTIME2, DBTIMESTAMP2 and DBTIMESTAMPOFFSET.
    """

    content: Content
    data_type: DataType
    scale: int = 7
