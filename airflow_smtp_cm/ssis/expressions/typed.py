"""The typed tree of an expression: every node has a type, and constant parts are computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_smtp_cm.macros import ssis
from airflow_smtp_cm.macros.ssis.conversions import RANGES
from airflow_smtp_cm.macros.ssis.data_types import FLOATS, NUMBERS

if TYPE_CHECKING:
    from airflow_smtp_cm.macros.ssis.data_types import Content, DataType
    from airflow_smtp_cm.ssis.expressions.bindings import Jinja

# No text of a mail is longer. REPLICATE makes long texts, and an expression may call it thousands of times.
MAX_TEXT = 100_000

_MAY_RETURN_NULL = frozenset({"ln", "log", "codepoint", "power"})


@dataclass(frozen=True, slots=True)
class Constant:
    """A known value."""

    content: Content
    data_type: DataType
    position: int
    scale: int = 7

    @property
    def nullable(self) -> bool:
        """Whether it may be NULL."""
        return self.content is None

    @property
    def width(self) -> int | None:
        """The length, if it is a text."""
        return len(self.content) if isinstance(self.content, str) else None


@dataclass(frozen=True, slots=True)
class Reference:
    """A variable whose value is known only at run time."""

    binding: Jinja
    data_type: DataType
    position: int
    scale: int = 7
    width: int | None = None

    @property
    def nullable(self) -> bool:
        """Whether it may be NULL."""
        return self.binding.nullable


@dataclass(frozen=True, slots=True)
class Operation:
    """A function of ``airflow_smtp_cm.macros.ssis``, ``conditional`` or ``retyped``, and its operands.

    Attributes:
        nullable: whether it may be NULL.
        width: the maximum length of its text, if it is known.
        depth: the maximum number of nested operations, itself included.
        failure: why its computation failed, although its operands have values.
    """

    function: str
    operands: tuple[Typed, ...]
    data_type: DataType
    position: int
    scale: int
    nullable: bool
    width: int | None
    depth: int
    failure: str = ""


Typed = Constant | Reference | Operation


def operation(
    function: str,
    operands: tuple[Typed, ...],
    data_type: DataType,
    position: int,
    *,
    scale: int = 7,
    width: int | None = None,
) -> Typed:
    """Return an operation, or its value if all operands are constant.

    A failed computation stays an operation: it may be in a branch that is not evaluated.
    """
    depth = 1 + max((operand.depth for operand in operands if isinstance(operand, Operation)), default=0)
    made = Operation(function, operands, data_type, position, scale, _may_be_null(function, operands), width, depth)
    if function == "conditional":
        return _conditional(made)
    if function in {"logical_and", "logical_or"}:
        decisive = function == "logical_or"
        if any(isinstance(operand, Constant) and operand.content is decisive for operand in operands[:1]):
            return Constant(decisive, data_type, position)
    if operands and all(isinstance(operand, Constant) for operand in operands):
        try:
            return Constant(_compute(made), data_type, position, scale)
        except (ValueError, ArithmeticError) as error:
            return replace(made, failure=str(error))
    return made


def _compute(made: Operation) -> Content:
    """Return the result of a function of constant operands.

    Raises:
        ValueError: the function rejects an operand.
        ArithmeticError: division by zero, or the result does not fit into its type.
    """
    contents = [operand.content for operand in made.operands if isinstance(operand, Constant)]
    result: Content = getattr(ssis, made.function)(*contents)
    if isinstance(result, str) and len(result) > MAX_TEXT:
        raise OverflowError(f"The text has {len(result):,} characters; {MAX_TEXT:,} is the limit")
    if isinstance(result, int) and made.data_type in RANGES:
        lowest, highest = RANGES[made.data_type]
        if not lowest <= result <= highest:
            raise OverflowError(f"{result} does not fit into {made.data_type.value}")
    if isinstance(result, float) and result in {float("inf"), float("-inf")}:
        raise OverflowError(f"The result does not fit into {made.data_type.value}")
    return result


def retyped(node: Typed, data_type: DataType) -> Typed:
    """Return a node with another type whose values are the same in Python."""
    if node.data_type is data_type:
        return node
    if isinstance(node, Constant) and isinstance(node.content, int) and data_type in FLOATS:
        return replace(node, content=float(node.content), data_type=data_type)
    if isinstance(node, Operation) and data_type in NUMBERS:
        # The type of an operation on numbers determines how it computes, so it stays.
        return operation("retyped", (node,), data_type, node.position, width=node.width)
    return replace(node, data_type=data_type)


def _may_be_null(function: str, operands: tuple[Typed, ...]) -> bool:
    match function:
        case "is_null":
            return False
        case "replace_null" | "token_count":
            return operands[1].nullable
    return function in _MAY_RETURN_NULL or any(operand.nullable for operand in operands)


def _conditional(made: Operation) -> Typed:
    condition, yes, no = made.operands
    if not isinstance(condition, Constant):
        return made
    if condition.content is None:
        return Constant(None, made.data_type, made.position)
    return replace(yes if condition.content else no, scale=made.scale)
