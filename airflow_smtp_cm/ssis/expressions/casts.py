"""Conversions between data types: casts, and the implicit conversions of operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.macros.ssis.conversions import RANGES
from airflow_smtp_cm.macros.ssis.data_types import (
    DATES,
    EXACT,
    FLOATS,
    INTEGERS,
    NUMBERS,
    SIGNED,
    STRINGS,
    TEXTS,
    TIMES,
    UNSIGNED,
    DataType,
)
from airflow_smtp_cm.ssis.expressions.typed import Constant, Typed, operation, retyped

if TYPE_CHECKING:
    from collections.abc import Callable

# The function that writes a type as text, and the maximum length of the text. With scale, the number of digits of the
# fraction is an argument.
_WRITTEN: dict[DataType, tuple[str, int | None]] = {
    **{kind: ("text", max(len(str(limit)) for limit in RANGES[kind])) for kind in INTEGERS},
    DataType.BOOL: ("text", 5),
    DataType.DBDATE: ("text", 10),
    DataType.DBTIME: ("text", 8),
    DataType.R4: ("r4_text", None),
    DataType.R8: ("r8_text", None),
    DataType.NUMERIC: ("numeric_text", None),
    DataType.DECIMAL: ("decimal_text", None),
    DataType.CY: ("decimal_text", None),
    DataType.DATE: ("date_text", 22),
    DataType.DBTIMESTAMP: ("timestamp_text", 29),
    DataType.FILETIME: ("filetime_text", 23),
}
_WRITTEN_WITH_SCALE = {
    DataType.DBTIME2: ("time2_text", 8),
    DataType.DBTIMESTAMP2: ("timestamp2_text", 19),
    DataType.DBTIMESTAMPOFFSET: ("timestampoffset_text", 26),
}
# A text is cut ("The cast operator can also function as a truncation operator"), and so is a fraction. For an
# integer or a Boolean SSIS raises DTS_E_EXPREVALTRUNCATIONASERROR instead.
_NEVER_CUT = INTEGERS | {DataType.BOOL}
_NUMBERS_FROM = NUMBERS | STRINGS | {DataType.BOOL}
_WITH_SCALE = frozenset(_WRITTEN_WITH_SCALE)


class NotCastable(Exception):
    """SSIS has no such cast."""


def common_number(left: DataType, right: DataType) -> DataType | None:
    """Return the type of an operation of two numbers ("Integration Services Data Types in Expressions").

    The page shows the table as a picture only; this function follows its text. Two operands of one type have that
    type (but two DT_DECIMAL have DT_NUMERIC). A signed and an unsigned integer have the signed type that holds both
    (none for DT_UI8). All other pairs have a type that loses nothing.
    """
    both = {left, right}
    if both <= INTEGERS:
        return _common_integer(left, right)
    if both == {DataType.R4}:
        return DataType.R4
    if both & FLOATS:
        return DataType.R8
    return DataType.CY if both == {DataType.CY} else DataType.NUMERIC


def convert(node: Typed, target: DataType) -> Typed:
    """Convert a number to the type that an operation requires."""
    source = node.data_type
    if target in EXACT and source in INTEGERS:
        return operation("exact", (node,), target, node.position)
    if target in FLOATS and source in EXACT:
        return operation("dt_r8", (node,), target, node.position)
    return retyped(node, target)


def as_text(node: Typed) -> Typed:
    """Write a value as a cast to DT_WSTR does.

    Raises:
        NotCastable: the type has no text.
    """
    kind, position = node.data_type, node.position
    if kind in TEXTS or kind is DataType.GUID:
        return retyped(node, DataType.WSTR)
    if kind in _WRITTEN_WITH_SCALE:
        function, width = _WRITTEN_WITH_SCALE[kind]
        digits = Constant(node.scale, DataType.I4, position)
        width += node.scale + 1 if node.scale else 0
        return operation(function, (node, digits), DataType.WSTR, position, width=width)
    if kind not in _WRITTEN:
        raise NotCastable
    function, longest = _WRITTEN[kind]
    return operation(function, (node,), DataType.WSTR, position, width=node.width or longest)


def cast(
    node: Typed, target: DataType, arguments: tuple[int, ...], position: int, now: Callable[[int], Typed]
) -> Typed:
    """Cast a value ("Cast (SSIS Expression)"); ``now`` returns the current time, for times that become dates.

    Raises:
        NotCastable: SSIS has no such cast.
    """
    source = node.data_type
    if target in TEXTS:
        written = as_text(node)
        if target in STRINGS:
            written = _cut(written, arguments[0], "fitting" if source in _NEVER_CUT else "left", position)
        return retyped(written, target)
    if target in DATES | TIMES:
        return _cast_to_date(node, target, arguments, position, now)
    if source is target and target not in EXACT:
        return node
    if target in INTEGERS and source in INTEGERS and _holds(target, source):
        return retyped(node, target)
    if target in NUMBERS | {DataType.BOOL} and source in _NUMBERS_FROM:
        extra = tuple(Constant(argument, DataType.I4, position) for argument in arguments)
        return operation(target.value.lower(), (node, *extra), target, position)
    raise NotCastable


def _cast_to_date(
    node: Typed, target: DataType, arguments: tuple[int, ...], position: int, now: Callable[[int], Typed]
) -> Typed:
    source = node.data_type
    scale = arguments[0] if target in _WITH_SCALE else 7
    if source not in DATES | TIMES | STRINGS:
        raise NotCastable
    if source is target and (target not in _WITH_SCALE or node.scale <= scale):
        return node
    if source in TIMES and target in DATES:
        node = operation("on_date", (node, now(position)), DataType.DBTIMESTAMP2, position)
    if {node.data_type, target} <= {DataType.DATE, DataType.DBTIMESTAMP}:
        return retyped(node, target)
    extra = (Constant(scale, DataType.I4, position),) if target in _WITH_SCALE else ()
    return operation(target.value.lower(), (node, *extra), target, position, scale=scale)


def _cut(node: Typed, length: int, function: str, position: int) -> Typed:
    if node.width is not None and node.width <= length:
        return node
    limit = Constant(length, DataType.I4, position)
    return operation(function, (node, limit), DataType.WSTR, position, width=length)


def _holds(target: DataType, source: DataType) -> bool:
    (lowest, highest), (low, high) = RANGES[target], RANGES[source]
    return lowest <= low and high <= highest


def _common_integer(left: DataType, right: DataType) -> DataType | None:
    if (left in SIGNED) == (right in SIGNED):
        order = SIGNED if left in SIGNED else UNSIGNED
        return max(left, right, key=order.index)
    return next((kind for kind in SIGNED if _holds(kind, left) and _holds(kind, right)), None)
