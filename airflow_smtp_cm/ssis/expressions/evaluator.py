"""Evaluates expressions, as SSIS does."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.ssis.expressions.checker import Checker
from airflow_smtp_cm.ssis.expressions.errors import ExpressionError
from airflow_smtp_cm.ssis.expressions.typed import Constant, Operation, Reference, Typed

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_smtp_cm.ssis.expressions.syntax import Expression, Variable, VariableName


def evaluate(expression: Expression, lookup: Callable[[VariableName], Value], now: datetime) -> Value:
    """Evaluate an expression as SSIS does.

    Args:
        expression: the expression.
        lookup: returns a variable's value; raises KeyError if the variable does not exist.
        now: the value of GETDATE(), local time without a time zone; GETUTCDATE() is the same time in UTC.

    Raises:
        ExpressionError: SSIS would fail, too: types do not match, division by zero, overflow, a text is not a date, a
            variable does not exist.
    """

    def resolve(variable: Variable) -> Typed:
        try:
            value = lookup(variable.name)
        except KeyError:
            reason = f"There is no variable {variable.name}"
            raise ExpressionError(expression.text, variable.position, reason) from None
        return Constant(value.content, value.data_type, variable.position, value.scale)

    def moment(function: str, position: int) -> Typed:
        milliseconds = now.replace(microsecond=now.microsecond // 1000 * 1000)
        if function == "getutcdate":
            milliseconds = milliseconds.astimezone(UTC).replace(tzinfo=None)
        return Constant(milliseconds, DataType.DBTIMESTAMP, position)

    result = Checker(expression, resolve, moment).check()
    if isinstance(result, Constant):
        return Value(result.content, result.data_type, result.scale)
    failed = _failed(result)
    raise ExpressionError(expression.text, failed.position, failed.failure)


def _failed(node: Operation | Reference) -> Operation:
    """Return the operation that failed: it has no value although its operands have one."""
    while isinstance(node, Operation):
        below = next((operand for operand in node.operands if not isinstance(operand, Constant)), None)
        if below is None:
            return node
        node = below
    raise AssertionError(f"{node} has no value yet")  # every variable has a value
