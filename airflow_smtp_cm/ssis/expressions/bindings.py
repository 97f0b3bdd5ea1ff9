"""Bindings: what the variables of an expression become in Airflow; and the resulting template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
    from airflow_smtp_cm.ssis.expressions.syntax import Expression


@dataclass(frozen=True, slots=True)
class Jinja:
    """A Jinja expression that replaces a variable.

    Attributes:
        expression: such as ``params.Name``, without braces; in parentheses unless it is a name, an attribute, an
            item or a call.
        data_type: the type of its value; if ``iso_text`` is set, a date or time is ISO 8601 text instead (params are
            JSON).
        nullable: whether its value may be None (SSIS's NULL).
        iso_text: whether its value is a date or time as text.
        uses_functions: whether it needs the macro ``ssis``.
        note: how it differs from the variable, for the report.
    """

    expression: str
    data_type: DataType
    nullable: bool = False
    iso_text: bool = False
    uses_functions: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Inline:
    """An expression that replaces a variable (EvaluateAsExpression); its variables are bound in the same way.

    Attributes:
        expression: the expression.
    """

    expression: Expression


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that replaces a variable.

    Attributes:
        value: the value.
    """

    value: Value


Binding = Jinja | Inline | Constant


@dataclass(frozen=True, slots=True)
class Template:
    """An expression, translated to a template.

    Attributes:
        text: the value of a template field: literal text, and Jinja in braces. It renders to the result as SSIS casts
            it to DT_WSTR; NULL renders to an empty text.
        data_type: the type of the result.
        uses_functions: whether it needs the macro ``ssis`` (``user_defined_macros={"ssis": ssis}``).
        notes: the notes of the bindings, by variable name.
        computed: the Jinja expressions of the variables whose text a function computes with, so that the line ends
            of their values matter.
    """

    text: str
    data_type: DataType
    uses_functions: bool
    _jinja_expression: str
    notes: Mapping[str, str]
    computed: frozenset[str]

    def as_jinja_expression(self) -> str:
        """Return one Jinja expression, without braces, whose value is the result itself, not its text."""
        return self._jinja_expression
