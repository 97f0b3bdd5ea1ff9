"""From the text of an expression to its syntax tree."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.ssis.expressions import literals
from airflow_smtp_cm.ssis.expressions.errors import ExpressionError
from airflow_smtp_cm.ssis.expressions.syntax import (
    Binary,
    Call,
    Cast,
    Conditional,
    Expression,
    Literal,
    Node,
    Unary,
    Variable,
    VariableName,
    children,
)

if TYPE_CHECKING:
    from lark import Lark, Token, UnexpectedInput

# A text of a megabyte is no expression, whatever its grammar.
MAX_CHARACTERS = 100_000
# Deeper than any person writes, and not as deep as Python's stack: whoever walks the tree may do it recursively.
MAX_DEPTH = 64

# What follows a type in a cast or in NULL(), and its limits ("Cast (SSIS Expression)").
_LENGTH, _CODE_PAGE = ("length", 0, 1_000_000), ("code page", 0, 65_535)
_FRACTION = ("scale", 0, 7)
_ARGUMENTS = {
    DataType.STR: (_LENGTH, _CODE_PAGE),
    DataType.WSTR: (_LENGTH,),
    DataType.BYTES: (_LENGTH,),
    DataType.TEXT: (_CODE_PAGE,),
    DataType.DECIMAL: (("scale", 0, 28),),
    DataType.NUMERIC: (("precision", 1, 38), ("scale", 0, 38)),
    DataType.DBTIME2: (_FRACTION,),
    DataType.DBTIMESTAMP2: (_FRACTION,),
    DataType.DBTIMESTAMPOFFSET: (_FRACTION,),
}
_FRACTIONS = {DataType.DBTIME2, DataType.DBTIMESTAMP2, DataType.DBTIMESTAMPOFFSET}


def parse(text: str) -> Expression:
    """Read an expression.

    Raises:
        ExpressionError: it is none.
    """
    from lark.exceptions import UnexpectedInput  # noqa: PLC0415 - reading alone needs lark

    if len(text) > MAX_CHARACTERS:
        reason = f"An expression of {len(text):,} characters is too long; {MAX_CHARACTERS:,} is the limit"
        raise ExpressionError(text, 0, reason)
    try:
        root: Node = _parser().parse(text)  # type: ignore[assignment]  # what the transformer makes of it
    except UnexpectedInput as error:
        raise ExpressionError(text, *_unexpected(text, error)) from None
    except _Wrong as error:
        raise ExpressionError(text, error.position, error.reason) from None
    return Expression(text, root, _variables(text, root))


@cache
def _parser() -> Lark:
    from lark import Lark  # noqa: PLC0415 - reading alone needs lark

    return Lark.open("grammar.lark", rel_to=__file__, parser="lalr", maybe_placeholders=False, transformer=_Builder())


def _variables(text: str, root: Node) -> tuple[VariableName, ...]:
    """Collect the variables' names, and refuse what is nested too deeply, without recursion."""
    found: dict[VariableName, None] = {}
    waiting = [(root, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ExpressionError(text, node.position, f"The expression is nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, Variable):
            found[node.name] = None
        below = children(node)
        # a + b + c + ... is a chain to the left, which is walked by a loop.
        depths = (depth, depth + 1) if isinstance(node, Binary) else (depth + 1,) * len(below)
        waiting += reversed(tuple(zip(below, depths, strict=True)))
    return tuple(found)


def _unexpected(text: str, error: UnexpectedInput) -> tuple[int, str]:
    """Say where and how a text leaves the grammar."""
    position = error.pos_in_stream
    if position is None or getattr(getattr(error, "token", None), "type", None) == "$END":
        return len(text), "The expression ends before it is complete" if text.strip() else "The expression is empty"
    rest = text[position:]
    if rest.startswith('"'):
        return position, "A string does not end" if _open_string(rest) else "A string stands where an operator is due"
    if rest.startswith("'"):
        return position, 'A string stands in double quotation marks: "..."'
    if rest.startswith("="):
        return position, "Equality is written =="
    if rest.startswith(("@[", "[")) and "]" not in rest:
        return position, "A bracket does not end"
    return position, f"{rest[:20].split()[0]!r} does not fit here"


def _open_string(rest: str) -> bool:
    unescaped = rest.replace("\\\\", "").replace('\\"', "")
    return '"' not in unescaped[1:]


class _Wrong(Exception):
    """Something that the grammar lets through and SSIS does not."""

    def __init__(self, token: Token, reason: str) -> None:
        super().__init__(reason)
        self.position = _position(token)
        self.reason = reason


class _Builder:
    """Makes nodes, while lark reads, from the grammar's rules of the same names."""

    def conditional(self, parts: list[Node]) -> Node:
        condition, yes, no = parts
        return Conditional(condition, yes, no, condition.position)

    def binary(self, parts: tuple[Node, Token, Node]) -> Node:
        left, operator, right = parts
        return Binary(str(operator), left, right, _position(operator))

    def unary(self, parts: tuple[Token, Node]) -> Node:
        operator, operand = parts
        return Unary(str(operator), operand, _position(operator))

    def cast(self, parts: tuple[Token, tuple[DataType, tuple[int, ...]], Node]) -> Node:
        parenthesis, (data_type, arguments), operand = parts
        return Cast(data_type, arguments, operand, _position(parenthesis))

    def parenthesized(self, parts: tuple[Token, Node]) -> Node:
        return parts[1]

    def number(self, parts: tuple[Token]) -> Node:
        (token,) = parts
        try:
            return Literal(literals.number(str(token)), _position(token))
        except (ValueError, OverflowError) as error:
            raise _Wrong(token, str(error)) from None

    def string(self, parts: tuple[Token]) -> Node:
        (token,) = parts
        try:
            return Literal(Value(literals.string(str(token)), DataType.WSTR), _position(token))
        except ValueError as error:
            raise _Wrong(token, f"It is no string: {error}") from None

    def variable(self, parts: tuple[Token]) -> Node:
        (token,) = parts
        name = str(token)[1:].removeprefix("[").removesuffix("]")
        namespace, separator, rest = name.partition("::")
        if not separator:
            namespace, rest = "", name
        if not rest.strip():
            raise _Wrong(token, "A variable has no name")
        return Variable(VariableName(namespace.strip() or None, rest.strip()), _position(token))

    def name(self, parts: tuple[Token]) -> Node:
        (token,) = parts
        if token.lower() in {"true", "false"}:
            return Literal(Value(token.lower() == "true", DataType.BOOL), _position(token))
        raise _Wrong(
            token, f'{token} would be a column of a data flow; a variable is written @[User::Name], a string "..."'
        )

    def null(self, parts: tuple[Token, Token, tuple[DataType, tuple[int, ...]]]) -> Node:
        function, _, (data_type, arguments) = parts
        if _function(function) != "NULL":
            raise _Wrong(function, f"A type is no argument of {function}")
        scale = arguments[0] if data_type in _FRACTIONS else 7
        return Literal(Value(None, data_type, scale), _position(function))

    def call(self, parts: list[Token | Node]) -> Node:
        function, _, *arguments = parts
        return Call(_function(function), tuple(arguments), _position(function))  # type: ignore[arg-type]  # tokens first

    def type(self, parts: list[Token]) -> tuple[DataType, tuple[int, ...]]:
        token, *numbers = parts
        try:
            data_type = DataType(token.upper())
        except ValueError:
            raise _Wrong(token, f"{token} is no data type of SSIS's") from None
        expected = _ARGUMENTS.get(data_type, ())
        if len(numbers) != len(expected):
            names = ", ".join(name for name, _, _ in expected)
            raise _Wrong(token, f"{data_type.value} is written ({', '.join(filter(None, (data_type.value, names)))})")
        return data_type, tuple(map(_argument, numbers, expected))


def _argument(token: Token, limits: tuple[str, int, int]) -> int:
    name, lowest, highest = limits
    if not (token.isdecimal() and token.isascii() and lowest <= int(token[:20]) <= highest):
        raise _Wrong(token, f"The {name} is {token}; it is a number from {lowest} to {highest}")
    return int(token)


def _function(token: Token) -> str:
    return token.upper().removeprefix("[").removesuffix("]")


def _position(token: Token) -> int:
    return token.start_pos or 0
