"""The syntax tree of an expression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_smtp_cm.macros.ssis.data_types import DataType, Value


@dataclass(frozen=True, slots=True)
class VariableName:
    """The name of a variable or parameter, as written: names are case-sensitive ("Identifiers (SSIS)").

    Attributes:
        namespace: ``User`` of ``@[User::A]``, ``$Project`` of ``@[$Project::P]``, None of ``@A``.
        name: the name.
    """

    namespace: str | None
    name: str

    def __str__(self) -> str:
        return f"@[{self.name}]" if self.namespace is None else f"@[{self.namespace}::{self.name}]"


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, string or Boolean, or NULL(type)."""

    value: Value
    position: int


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable or parameter."""

    name: VariableName
    position: int


@dataclass(frozen=True, slots=True)
class Cast:
    """``(DT_WSTR,10)operand``; the arguments follow the type: length, code page, precision, scale."""

    data_type: DataType
    arguments: tuple[int, ...]
    operand: Node
    position: int


@dataclass(frozen=True, slots=True)
class Unary:
    """``-``, ``!`` or ``~`` and its operand."""

    operator: str
    operand: Node
    position: int


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operator and its operands."""

    operator: str
    left: Node
    right: Node
    position: int


@dataclass(frozen=True, slots=True)
class Conditional:
    """``condition ? yes : no``."""

    condition: Node
    yes: Node
    no: Node
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function's name, in upper case, and its arguments."""

    function: str
    arguments: tuple[Node, ...]
    position: int


Node = Literal | Variable | Cast | Unary | Binary | Conditional | Call


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression.

    Attributes:
        text: its text.
        root: its syntax tree.
        variables: the variables that it names, in the order of the text, each once.
    """

    text: str
    root: Node
    variables: tuple[VariableName, ...]


def children(node: Node) -> tuple[Node, ...]:
    """Return the direct children of a node, in the order of the text."""
    match node:
        case Cast() | Unary():
            return (node.operand,)
        case Binary():
            return (node.left, node.right)
        case Conditional():
            return (node.condition, node.yes, node.no)
        case Call():
            return node.arguments
        case _:
            return ()
