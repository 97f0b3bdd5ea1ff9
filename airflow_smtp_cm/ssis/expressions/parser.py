"""Parses the text of an expression into a syntax tree."""

from __future__ import annotations

from functools import cache, lru_cache
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

# Real expressions are shorter; a longer text would cost time and memory.
MAX_CHARACTERS = 100_000
# Deeper than real expressions, and far below the limit of Python's stack: recursion over the tree is safe.
MAX_DEPTH = 64

# The arguments of a type in a cast or in NULL(), and their limits ("Cast (SSIS Expression)").
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


# Packages that were copied from each other, and the references to a variable, have the same expressions.
@lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """Parse an expression.

    Raises:
        ExpressionError: the text is not a valid expression.
    """
    from lark.exceptions import UnexpectedInput  # noqa: PLC0415 - only parsing needs lark

    if len(text) > MAX_CHARACTERS:
        reason = f"An expression of {len(text):,} characters is too long; {MAX_CHARACTERS:,} is the limit"
        raise ExpressionError(text, 0, reason)
    try:
        root: Node = _parser().parse(text)  # type: ignore[assignment]  # the transformer's result
    except UnexpectedInput as error:
        raise ExpressionError(text, *_unexpected(text, error)) from None
    except _Rejected as error:
        raise ExpressionError(text, error.position, error.reason) from None
    return Expression(text, root, _variables(text, root))


@cache
def _parser() -> Lark:
    from lark import Lark  # noqa: PLC0415 - only parsing needs lark

    return Lark.open("grammar.lark", rel_to=__file__, parser="lalr", maybe_placeholders=False, transformer=_Builder())


def _variables(text: str, root: Node) -> tuple[VariableName, ...]:
    """Return the variables' names, and reject deep nesting; without recursion."""
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
    """Return the position and the reason of a syntax error."""
    position = error.pos_in_stream
    if position is None or getattr(getattr(error, "token", None), "type", None) == "$END":
        return len(text), "The expression ends before it is complete" if text.strip() else "The expression is empty"
    rest = text[position:]
    if rest.startswith('"'):
        return position, "A string has no closing quotation mark" if _open_string(
            rest
        ) else "A string is where an operator is expected"
    if rest.startswith("'"):
        return position, 'A string must be in double quotation marks: "..."'
    if rest.startswith("="):
        return position, "Equality is written =="
    if rest.startswith(("@[", "[")) and "]" not in rest:
        return position, "A bracket is not closed"
    return position, f"{rest[:20].split()[0]!r} is not expected here"


def _open_string(rest: str) -> bool:
    unescaped = rest.replace("\\\\", "").replace('\\"', "")
    return '"' not in unescaped[1:]


class _Rejected(Exception):
    """Something that the grammar accepts and SSIS rejects."""

    def __init__(self, token: Token, reason: str) -> None:
        super().__init__(reason)
        self.position = _position(token)
        self.reason = reason


class _Builder:
    """Builds nodes while lark parses; each method handles the grammar rule of its name."""

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
            raise _Rejected(token, str(error)) from None

    def string(self, parts: tuple[Token]) -> Node:
        (token,) = parts
        try:
            return Literal(Value(literals.string(str(token)), DataType.WSTR), _position(token))
        except ValueError as error:
            raise _Rejected(token, f"Invalid string: {error}") from None

    def variable(self, parts: tuple[Token]) -> Node:
        (token,) = parts
        name = str(token)[1:].removeprefix("[").removesuffix("]")
        namespace, separator, rest = name.partition("::")
        if not separator:
            namespace, rest = "", name
        if not rest.strip():
            raise _Rejected(token, "A variable has no name")
        return Variable(VariableName(namespace.strip() or None, rest.strip()), _position(token))

    def name(self, parts: tuple[Token]) -> Node:
        (token,) = parts
        if token.lower() in {"true", "false"}:
            return Literal(Value(token.lower() == "true", DataType.BOOL), _position(token))
        raise _Rejected(
            token, f'{token} is a column of a data flow; write a variable as @[User::Name], a string as "..."'
        )

    def null(self, parts: tuple[Token, Token, tuple[DataType, tuple[int, ...]]]) -> Node:
        function, _, (data_type, arguments) = parts
        if _function(function) != "NULL":
            raise _Rejected(function, f"A type is not an argument of {function}")
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
            raise _Rejected(token, f"{token} is not a data type of SSIS") from None
        expected = _ARGUMENTS.get(data_type, ())
        if len(numbers) != len(expected):
            names = ", ".join(name for name, _, _ in expected)
            raise _Rejected(
                token, f"{data_type.value} is written ({', '.join(filter(None, (data_type.value, names)))})"
            )
        return data_type, tuple(map(_argument, numbers, expected))


def _argument(token: Token, limits: tuple[str, int, int]) -> int:
    name, lowest, highest = limits
    if not (token.isdecimal() and token.isascii() and lowest <= int(token[:20]) <= highest):
        raise _Rejected(token, f"The {name} is {token}; it must be a number from {lowest} to {highest}")
    return int(token)


def _function(token: Token) -> str:
    return token.upper().removeprefix("[").removesuffix("]")


def _position(token: Token) -> int:
    return token.start_pos or 0
