"""Translates expressions to templates of Airflow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.expressions import typed
from airflow_smtp_cm.ssis.expressions.bindings import Binding, Constant, Inline, Jinja, Template
from airflow_smtp_cm.ssis.expressions.casts import NotCastable, as_text
from airflow_smtp_cm.ssis.expressions.checker import Checker
from airflow_smtp_cm.ssis.expressions.errors import ExpressionError, Untranslatable
from airflow_smtp_cm.ssis.expressions.jinja_text import Level, NotExpressible, jinja, joined
from airflow_smtp_cm.ssis.expressions.line_ends import (
    begins_with_newlines,
    computed,
    result_with_newlines,
    with_newlines,
)
from airflow_smtp_cm.ssis.expressions.typed import Operation, Reference, Typed, operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_smtp_cm.ssis.expressions.syntax import Expression, Variable, VariableName

# Literal text that Jinja would change: its own openings, a brace that forms an opening with the braces after it, and
# a CR that may be the first half of a line end; at the end of a template also the newline, which Jinja drops.
_SPECIAL_BEFORE_BRACES = re.compile(r"\{{2,}[%#]?|\{[%#]|\{(?=\r|\Z)|\r\Z")
_SPECIAL_AT_THE_END = re.compile(r"\{{2,}[%#]?|\{[%#]|\{(?=\n\Z)|\n\Z")


def to_jinja(expression: Expression, bind: Callable[[VariableName], Binding]) -> Template:
    """Translate an expression to a template that renders to the same result, with newlines as line ends.

    Where SSIS fails to evaluate (for example, overflow), the template may still render to a text.

    Args:
        expression: the expression.
        bind: returns what a variable becomes; raises Untranslatable if it has no counterpart. Its ``text`` and
            ``position`` are then replaced by the expression and the variable's position.

    Raises:
        Untranslatable: the expression has no counterpart.
        ExpressionError: SSIS would fail to evaluate it, too: the types do not match.
    """
    binder = _Binder(bind)
    try:
        root = binder.check(expression)
        value = jinja(root)
        as_written = as_text(root)
        text, uses_functions = _template(result_with_newlines(as_written))
    except NotExpressible as error:
        raise Untranslatable(expression.text, error.position, error.reason) from None
    except NotCastable:
        reason = f"The result is {root.data_type.value}, which cannot be cast to text"
        raise Untranslatable(expression.text, root.position, reason) from None
    except RecursionError:
        raise Untranslatable(expression.text, 0, "The expression and its variables are nested too deeply") from None
    uses_functions = uses_functions or value.uses_functions
    return Template(text, root.data_type, uses_functions, value.text, binder.notes, computed(as_written))


class _Binder:
    """Checks an expression and the expressions of the variables that are inlined into it."""

    def __init__(self, bind: Callable[[VariableName], Binding]) -> None:
        self._bind = bind
        self.notes: dict[str, str] = {}
        self._inlined: dict[VariableName, Typed] = {}
        self._open: list[VariableName] = []

    def check(self, expression: Expression) -> Typed:
        return Checker(expression, lambda variable: self._resolve(expression, variable), _now).check()

    def _resolve(self, expression: Expression, variable: Variable) -> Typed:
        try:
            binding = self._bind(variable.name)
        except Untranslatable as error:
            raise Untranslatable(expression.text, variable.position, error.reason) from None
        match binding:
            case Constant(value):
                return typed.Constant(value.content, value.data_type, variable.position, value.scale)
            case Jinja():
                if binding.note:
                    self.notes[str(variable.name)] = binding.note
                return Reference(binding, binding.data_type, variable.position)
            case Inline():
                return self._inline(expression, variable, binding.expression)

    def _inline(self, outer: Expression, variable: Variable, inner: Expression) -> Typed:
        name = variable.name
        if name in self._open:
            reason = f"{name} has an expression that refers to itself"
            raise Untranslatable(outer.text, variable.position, reason)
        if name not in self._inlined:
            self._open.append(name)
            try:
                self._inlined[name] = self.check(inner)
            except (ExpressionError, Untranslatable) as error:
                reason = f"{name}: {error.reason} (in its own expression {inner.text})"
                raise type(error)(outer.text, variable.position, reason) from None
            finally:
                self._open.pop()
        return self._inlined[name]


def _now(function: str, position: int) -> Typed:
    return operation(function, (), DataType.DBTIMESTAMP, position)


def _template(node: Typed) -> tuple[str, bool]:
    """Write a text as a template; constant parts stand outside of braces."""
    if node.nullable and not isinstance(node, typed.Constant):
        written = jinja(node)
        return f"{{{{ {written.at(Level.OR)} or '' }}}}", written.uses_functions
    is_joined = isinstance(node, Operation) and node.function == "concatenate"
    pieces = node.operands if is_joined and isinstance(node, Operation) else (node,)
    # Neighbouring constants are one literal text: a newline may end the template even if an empty constant follows.
    template, literal, uses_functions = "", "", False
    for piece in pieces:
        if isinstance(piece, typed.Constant):
            literal += str(piece.content or "")
        else:
            written = joined(piece)
            before = _protected(begins_with_newlines(literal), _SPECIAL_BEFORE_BRACES)
            template += f"{before}{{{{ {written.text} }}}}"
            literal = ""
            uses_functions = uses_functions or written.uses_functions
    return template + as_template(literal), uses_functions


def as_template(text: str) -> str:
    """Return the template that renders to a given text, whatever the text contains, with newlines as line ends."""
    return _protected(with_newlines(text), _SPECIAL_AT_THE_END)


def _protected(text: str, special: re.Pattern[str]) -> str:
    return special.sub(lambda found: f"{{{{ {found[0]!r} }}}}", text)
