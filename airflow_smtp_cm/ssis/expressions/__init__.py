"""SSIS's expression language ("Integration Services (SSIS) Expressions"): read, evaluated, and translated to Jinja."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.data_types import DataType, Value
from airflow_smtp_cm.ssis.expressions.bindings import Binding, Constant, Inline, Jinja, Template
from airflow_smtp_cm.ssis.expressions.errors import ExpressionError, Untranslatable
from airflow_smtp_cm.ssis.expressions.syntax import Expression, VariableName

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = [
    "Binding",
    "Constant",
    "DataType",
    "Expression",
    "ExpressionError",
    "Inline",
    "Jinja",
    "Template",
    "Untranslatable",
    "Value",
    "VariableName",
    "evaluate",
    "parse",
    "to_jinja",
]


def parse(text: str) -> Expression:
    """Read an expression.

    Raises:
        ExpressionError: it is none.
    """
    raise NotImplementedError


def evaluate(expression: Expression, lookup: Callable[[VariableName], Value], now: datetime) -> Value:
    """Evaluate an expression as SSIS does.

    Args:
        expression: the expression.
        lookup: gives a variable's value; may raise ExpressionError or KeyError if there is none of that name.
        now: what GETDATE() gives, local time without a time zone; GETUTCDATE() is the same moment in UTC.

    Raises:
        ExpressionError: SSIS would fail, too: types that do not fit, division by zero, overflow, text that is no date.
    """
    raise NotImplementedError


def to_jinja(expression: Expression, bind: Callable[[VariableName], Binding]) -> Template:
    """Translate an expression to a template that renders to the same result.

    Args:
        expression: the expression.
        bind: says what a variable becomes; raises Untranslatable if there is nothing for it: ``text`` and ``position``
            are then replaced by the expression's and the variable's place in it.

    Raises:
        Untranslatable: there is no counterpart.
        ExpressionError: SSIS would not evaluate it, either: types that do not fit.
    """
    raise NotImplementedError
