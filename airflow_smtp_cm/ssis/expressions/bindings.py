"""What the variables of an expression become in Airflow, and what the expression then is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
    from airflow_smtp_cm.ssis.expressions.syntax import Expression


@dataclass(frozen=True, slots=True)
class Jinja:
    """A Jinja expression takes a variable's place.

    Attributes:
        expression: such as ``params.What``, without braces; in parentheses unless it is a name, an attribute, an
            item or a call.
        data_type: the type of what it yields; dates of any kind may also be ISO 8601 text there (a param is JSON), if
            ``iso_text`` says so.
        nullable: whether it may yield None (SSIS's NULL).
        iso_text: whether a date or time is text there.
        uses_functions: whether it needs the macro ``ssis``.
        note: how it differs from the variable, in words for who migrates.
    """

    expression: str
    data_type: DataType
    nullable: bool = False
    iso_text: bool = False
    uses_functions: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Inline:
    """Another expression takes a variable's place (EvaluateAsExpression); its variables are bound the same way.

    Attributes:
        expression: the expression.
    """

    expression: Expression


@dataclass(frozen=True, slots=True)
class Constant:
    """A value takes a variable's place.

    Attributes:
        value: the value.
    """

    value: Value


Binding = Jinja | Inline | Constant


@dataclass(frozen=True, slots=True)
class Template:
    """An expression as a template of Airflow's.

    Attributes:
        text: what goes into a template field: literal text, and Jinja in braces. It renders to the result as text, as
            SSIS casts it to DT_WSTR; a NULL renders to nothing.
        data_type: the type of the result.
        uses_functions: whether it needs the macro ``ssis`` (``user_defined_macros={"ssis": ssis}``).
        notes: how what variables became differs from them, by the variables' names.
    """

    text: str
    data_type: DataType
    uses_functions: bool
    _jinja_expression: str
    notes: Mapping[str, str]

    def as_jinja_expression(self) -> str:
        """Return the same as one Jinja expression without braces, whose value is the result itself, not its text."""
        return self._jinja_expression
