"""Converts the expressions of a package to Airflow's templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.expressions import (
    ExpressionError,
    Template,
    Untranslatable,
    VariableName,
    as_template,
    parse,
    to_jinja,
)
from airflow_smtp_cm.ssis.writing.findings import About, Findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_smtp_cm.ssis.writing.scope import Scope


def to_do(what: str) -> str:
    """Return a template that marks work to do; it is neither true nor false, so that the task fails."""
    return as_template(f"To do: {what}")


def to_do_all(arguments: Mapping[str, str]) -> str:
    """Return the same for arguments that are still to write, each with SSIS's expression or a description."""
    return to_do(f"write {' and '.join(f'{name} ({why})' for name, why in arguments.items())}")


def as_operand(test: str) -> str:
    """Return a Jinja expression as an operand of ``and``, in parentheses if it needs them."""
    return f"({test})" if " or " in test or " if " in test else test


@dataclass(slots=True)
class Translator:
    """Translates the expressions of one place in a package.

    Attributes:
        scope: the names that are visible there.
        place: its ``ref_id``.
        findings: collects what cannot be translated.
        uses_functions: whether a template needs the macro ``ssis``.
    """

    scope: Scope
    place: str
    findings: Findings
    uses_functions: bool = False

    def template(self, property_name: str, text: str) -> Template | None:
        """Return an expression as a template; None, with a finding, if it has no counterpart.

        Args:
            property_name: the property that has the expression.
            text: the expression.
        """
        try:
            template = to_jinja(parse(text), self.scope.bind)
        except (ExpressionError, Untranslatable) as error:
            self.findings.manual(
                About.EXPRESSION,
                self.place,
                f"The expression of {property_name} has no counterpart: {error}",
                blocks=True,
            )
            return None
        return self._noted(template)

    def variable(self, name: str, about: About, what: str) -> Template | None:
        """Return a variable such as ``User::Body`` as a template; None, with a finding, if there is none.

        Args:
            name: its name.
            about: the kind of the finding.
            what: what uses it, for the finding.
        """
        try:
            template = to_jinja(parse(str(named(name))), self.scope.bind)
        except (ExpressionError, Untranslatable) as error:
            self.findings.manual(about, self.place, f"{what} ({name}): {error.reason}.")
            return None
        return self._noted(template)

    def constant(self, property_name: str, text: str) -> str | None:
        """Return the value of an expression with the stored values, and report it; None if that is not possible."""
        try:
            value, named = self.scope.constant(text)
        except (ExpressionError, Untranslatable) as error:
            self.findings.manual(
                About.EXPRESSION, self.place, f"The expression of {property_name} cannot be evaluated: {error}"
            )
            return None
        if named:
            names = ", ".join(map(str, named))
            self.findings.manual(
                About.EXPRESSION,
                self.place,
                f"The expression of {property_name} was evaluated once, with the stored values of {names}: {text}",
            )
        return value

    def _noted(self, template: Template) -> Template:
        self.uses_functions |= template.uses_functions
        self.scope.params.computed.update(template.computed)
        for name, note in template.notes.items():
            self.findings.manual(About.EXPRESSION, self.place, f"{name}: {note}.")
        return template


def named(name: str) -> VariableName:
    """Return the name of a variable that is stored as ``User::Body``."""
    namespace, colons, rest = name.partition("::")
    return VariableName(namespace, rest) if colons else VariableName(None, namespace)
