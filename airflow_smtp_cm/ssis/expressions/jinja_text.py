"""Writes a typed tree as a Jinja expression: plain Jinja where it gives SSIS's result, else functions of ``ssis``.

The translation has three stages: ``parser`` makes a syntax tree; ``checker`` makes the typed tree (``typed``), where
every node has a type and constant parts are computed; this module writes the text. ``translator`` connects them, and
puts literal text outside of braces.

Every ``Operation`` names a function of ``airflow_smtp_cm.macros.ssis``, so ``ssis.function(operands)`` is always a
correct translation (``conditional`` and ``retyped`` are exceptions: they are always plain). ``_PLAIN`` has a writer
for each function that Jinja can often express itself. A writer returns None where its Jinja would differ from SSIS
for these operands, and the call is written instead. Readable templates are the only purpose of ``_PLAIN``: when in
doubt, return None.

What an editor must not break:

- NULL. Functions of ``ssis`` return None if an operand is None; operators and filters of Jinja do not. Plain Jinja
  is used only if no operand may be NULL (``nullable``), or if the writer handles NULL itself and is in
  ``_HANDLES_NULL``.
- Precedence. A ``JinjaExpression`` has the level of its outermost operator, and ``at(level)`` adds parentheses. A
  writer must use ``at`` for each operand that it does not put in parentheses or between commas. Jinja's levels are
  not Python's: a filter binds more tightly than a sign (``-x|abs`` is ``(-x)|abs``), ``~`` stands between ``+`` and
  ``*``, comparisons chain, and a name after ``is none`` is an argument of the test.
- Types. Integer division, modulo and DT_NUMERIC differ from Jinja's, so ``_arithmetic`` names the types for which an
  operator is plain. Exact numbers come from params as floats: ``_reference`` converts them.
- Evaluation order. ``&&`` and ``||`` must not evaluate the right operand if the left one decides, since it may fail.
  Arguments of a call are always evaluated, so nullable operands are written as a condition.
- Length. Inlined variables may double the text at each level; ``MAX_CHARACTERS`` stops that.

Property tests render templates and compare the text with that of ``evaluator``, which computes with the functions of
``ssis``. tests/ssis/expressions.py must generate each function that has a writer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import IntEnum
from typing import TYPE_CHECKING

from airflow_smtp_cm.macros.ssis.data_types import EXACT, FLOATS, INTEGERS, DataType
from airflow_smtp_cm.ssis.expressions.typed import Constant, Operation, Reference, Typed

if TYPE_CHECKING:
    from collections.abc import Callable

# Variables that are inlined in each other may double the length at each level.
MAX_CHARACTERS = 200_000

_PARENTHESIZED = re.compile(r"\((?:[^()]|\([^()]*\))*\)")


class Level(IntEnum):
    """How tightly the outermost operator of a Jinja expression binds."""

    CONDITION = 0
    OR = 1
    AND = 2
    NOT = 3
    COMPARISON = 4
    SUM = 5
    CONCATENATION = 6
    PRODUCT = 7
    SIGN = 8
    FILTER = 9
    PRIMARY = 10


@dataclass(frozen=True, slots=True)
class JinjaExpression:
    """A Jinja expression.

    Attributes:
        text: the expression.
        level: how tightly its outermost operator binds.
        uses_functions: whether it needs the macro ``ssis``.
    """

    text: str
    level: Level = Level.PRIMARY
    uses_functions: bool = False

    def at(self, level: Level) -> str:
        """Return the text, in parentheses unless its operator binds at least as tightly as ``level``."""
        return self.text if self.level >= level else f"({self.text})"


class NotExpressible(Exception):
    """The tree has no Jinja expression."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason


def jinja(node: Typed) -> JinjaExpression:
    """Write a typed tree as a Jinja expression.

    Raises:
        NotExpressible: a value cannot be written in Jinja, or the text gets too long.
    """
    match node:
        case Constant():
            written = _constant(node)
        case Reference():
            written = _reference(node)
        case Operation():
            written = _operation(node)
    if len(written.text) > MAX_CHARACTERS:
        raise NotExpressible(node.position, f"Its translation would have more than {MAX_CHARACTERS:,} characters")
    return written


def joined(node: Typed) -> JinjaExpression:
    """Write an operand of ``~``, or the content of braces: both convert to text themselves."""
    if isinstance(node, Operation) and not node.nullable and node.function in {"text", "fitting"}:
        return joined(node.operands[0])
    return jinja(node)


def _constant(node: Constant) -> JinjaExpression:
    match node.content:
        case None | bool():
            written = JinjaExpression(str(node.content).lower())
        case str():
            written = JinjaExpression(repr(node.content))
        case int() | float():
            number = repr(node.content)
            written = JinjaExpression(number, Level.SIGN if number.startswith("-") else Level.PRIMARY)
        case Decimal():
            written = _call("exact", f"'{node.content:f}'")
        case datetime():
            function = "dt_dbtimestampoffset" if node.content.tzinfo else "dt_dbtimestamp2"
            written = _call(function, f"'{node.content}'", "6")
        case date():
            written = _call("dt_dbdate", f"'{node.content}'")
        case time():
            written = _call("dt_dbtime2", f"'{node.content}'", "6")
        case _:
            raise NotExpressible(node.position, f"A value of {node.data_type.value} cannot be written in a template")
    return written


def _reference(node: Reference) -> JinjaExpression:
    binding = node.binding
    kind = binding.data_type
    if kind in EXACT:
        return _call("dt_cy" if kind is DataType.CY else "exact", binding.expression)
    if kind is DataType.R8 and binding.nullable:
        return _call("dt_r8", binding.expression)
    if binding.iso_text:
        scaled = kind in {DataType.DBTIME2, DataType.DBTIMESTAMP2, DataType.DBTIMESTAMPOFFSET}
        return _call(kind.value.lower(), binding.expression, *(["7"] if scaled else []))
    if _PARENTHESIZED.fullmatch(binding.expression):
        return JinjaExpression(binding.expression[1:-1], Level.CONDITION, binding.uses_functions)
    return JinjaExpression(binding.expression, uses_functions=binding.uses_functions)


def _operation(node: Operation) -> JinjaExpression:
    plain = _PLAIN.get(node.function)
    # Plain Jinja does not propagate NULL; some writers handle it.
    if plain is not None and (not node.nullable or node.function in _HANDLES_NULL):
        written = plain(node)
        if written is not None:
            return written
    return _call(node.function, *map(jinja, node.operands))


def _call(function: str, *arguments: JinjaExpression | str) -> JinjaExpression:
    written = ", ".join(argument if isinstance(argument, str) else argument.text for argument in arguments)
    return JinjaExpression(f"ssis.{function}({written})", uses_functions=True)


def _infix(operator: str, level: Level, node: Operation) -> JinjaExpression:
    """Write a left-associative operator: its right operand must bind more tightly."""
    left, right = map(jinja, node.operands)
    tighter = Level(level + 1)
    # Jinja, like Python, reads a < b < c as a < b and b < c.
    left_text = left.at(tighter if level is Level.COMPARISON else level)
    return _made(f"{left_text} {operator} {right.at(tighter)}", level, left, right)


def _made(text: str, level: Level, *parts: JinjaExpression) -> JinjaExpression:
    return JinjaExpression(text, level, any(part.uses_functions for part in parts))


def _comparison(operator: str) -> Callable[[Operation], JinjaExpression | None]:
    return lambda node: _infix(operator, Level.COMPARISON, node)


def _arithmetic(
    operator: str, level: Level, kinds: frozenset[DataType]
) -> Callable[[Operation], JinjaExpression | None]:
    return lambda node: _infix(operator, level, node) if node.data_type in kinds else None


def _logical(operator: str, level: Level, decisive: str) -> Callable[[Operation], JinjaExpression | None]:
    """Write a logical operator; if the left operand decides, the right one is not evaluated, since it may fail."""

    def write(node: Operation) -> JinjaExpression:
        if not node.operands[0].nullable:
            return _infix(operator, level, node)
        left = jinja(node.operands[0])
        both = _call(node.function, *map(jinja, node.operands))
        text = f"{decisive} if {left.at(Level.PRIMARY)} is {decisive} else {both.text}"
        return JinjaExpression(text, Level.CONDITION, uses_functions=True)

    return write


def _filtered(name: str) -> Callable[[Operation], JinjaExpression | None]:
    def write(node: Operation) -> JinjaExpression:
        operand = jinja(node.operands[0])
        return _made(f"{operand.at(Level.FILTER)}|{name}", Level.FILTER, operand)

    return write


def _suffixed(suffix: str) -> Callable[[Operation], JinjaExpression | None]:
    def write(node: Operation) -> JinjaExpression:
        operand = jinja(node.operands[0])
        return _made(f"{operand.at(Level.PRIMARY)}{suffix}", Level.PRIMARY, operand)

    return write


def _concatenate(node: Operation) -> JinjaExpression:
    parts = [joined(operand) for operand in node.operands]
    return _made(" ~ ".join(part.at(Level.PRODUCT) for part in parts), Level.CONCATENATION, *parts)


def _unchanged(node: Operation) -> JinjaExpression:
    return jinja(node.operands[0])


def _negate(node: Operation) -> JinjaExpression | None:
    if node.data_type in EXACT:
        return None
    operand = jinja(node.operands[0])
    # Jinja reads -x|abs as (-x)|abs.
    return _made(f"-{operand.at(Level.PRIMARY)}", Level.SIGN, operand)


def _not(node: Operation) -> JinjaExpression:
    operand = jinja(node.operands[0])
    return _made(f"not {operand.at(Level.NOT)}", Level.NOT, operand)


def _conditional(node: Operation) -> JinjaExpression:
    condition, yes, no = parts = [jinja(operand) for operand in node.operands]
    # Jinja reads any name after "is none" as an argument of the test, even "if".
    yes_text = f"({yes.text})" if yes.text.endswith(" is none") else yes.at(Level.OR)
    text = f"{yes_text} if {condition.at(Level.OR)} else {no.at(Level.CONDITION)}"
    if node.operands[0].nullable:
        text = f"none if {condition.at(Level.PRIMARY)} is none else {text}"
    return _made(text, Level.CONDITION, *parts)


def _is_null(node: Operation) -> JinjaExpression:
    operand = jinja(node.operands[0])
    return _made(f"{operand.at(Level.PRIMARY)} is none", Level.FILTER, operand)


def _replace_null(node: Operation) -> JinjaExpression | None:
    return None if node.operands[0].nullable else jinja(node.operands[0])


def _whole(node: Typed) -> int | None:
    return node.content if isinstance(node, Constant) and isinstance(node.content, int) else None


def _left(node: Operation) -> JinjaExpression | None:
    count = _whole(node.operands[1])
    return None if count is None or count < 0 else _suffixed(f"[:{count}]")(node)


def _right(node: Operation) -> JinjaExpression | None:
    count = _whole(node.operands[1])
    return None if count is None or count < 1 else _suffixed(f"[-{count}:]")(node)


def _substring(node: Operation) -> JinjaExpression | None:
    position, count = map(_whole, node.operands[1:])
    if position is None or count is None or position < 1 or count < 0:
        return None
    start = "" if position == 1 else position - 1
    return _suffixed(f"[{start}:{position - 1 + count}]")(node)


def _has_search(node: Operation) -> bool:
    search = node.operands[1]
    return isinstance(search, Constant) and bool(search.content)


def _replace(node: Operation) -> JinjaExpression | None:
    if not _has_search(node):
        return None
    text, search, replacement = parts = [jinja(operand) for operand in node.operands]
    return _made(f"{text.at(Level.FILTER)}|replace({search.text}, {replacement.text})", Level.FILTER, *parts)


def _find(node: Operation) -> JinjaExpression | None:
    if not _has_search(node) or _whole(node.operands[2]) != 1:
        return None
    text, search, _ = parts = [jinja(operand) for operand in node.operands]
    return _made(f"{text.at(Level.PRIMARY)}.find({search.text}) + 1", Level.SUM, *parts)


def _datepart(node: Operation) -> JinjaExpression | None:
    part, moment = node.operands
    name = part.content if isinstance(part, Constant) else None
    days, clock = {"year", "month", "day"}, {"hour", "minute", "second"}
    if name not in days and (name not in clock or moment.data_type is DataType.DBDATE):
        return None
    written = jinja(moment)
    return _made(f"{written.at(Level.PRIMARY)}.{name}", Level.PRIMARY, written)


def _dbdate(node: Operation) -> JinjaExpression | None:
    is_moment = node.operands[0].data_type in {DataType.DATE, DataType.DBTIMESTAMP, DataType.DBTIMESTAMP2}
    return _suffixed(".date()")(node) if is_moment else None


def _absolute(node: Operation) -> JinjaExpression | None:
    return None if node.data_type in EXACT else _filtered("abs")(node)


_PLAIN: dict[str, Callable[[Operation], JinjaExpression | None]] = {
    "absolute": _absolute,
    "add": _arithmetic("+", Level.SUM, INTEGERS | FLOATS),
    "concatenate": _concatenate,
    "conditional": _conditional,
    "datepart": _datepart,
    "day": _suffixed(".day"),
    "divide": _arithmetic("/", Level.PRODUCT, FLOATS),
    "dt_dbdate": _dbdate,
    "equal": _comparison("=="),
    "find_string": _find,
    "fitting": _unchanged,  # SSIS fails if it does not fit
    "greater": _comparison(">"),
    "greater_or_equal": _comparison(">="),
    "is_null": _is_null,
    "left": _left,
    "length": _filtered("length"),
    "less": _comparison("<"),
    "less_or_equal": _comparison("<="),
    "logical_and": _logical("and", Level.AND, "false"),
    "logical_not": _not,
    "logical_or": _logical("or", Level.OR, "true"),
    "lower": _filtered("lower"),
    "ltrim": _suffixed(".lstrip(' ')"),
    "month": _suffixed(".month"),
    "multiply": _arithmetic("*", Level.PRODUCT, INTEGERS | FLOATS),
    "negate": _negate,
    "replace": _replace,
    "replace_null": _replace_null,
    "retyped": _unchanged,
    "reverse": _filtered("reverse"),
    "right": _right,
    "rtrim": _suffixed(".rstrip(' ')"),
    "substring": _substring,
    "subtract": _arithmetic("-", Level.SUM, INTEGERS | FLOATS),
    "text": _filtered("string"),
    "trim": _filtered("trim(' ')"),
    "unequal": _comparison("!="),
    "upper": _filtered("upper"),
    "year": _suffixed(".year"),
}
_HANDLES_NULL = frozenset(
    {"conditional", "fitting", "is_null", "logical_and", "logical_or", "replace_null", "retyped"}
)
