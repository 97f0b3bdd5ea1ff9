"""Converts a Send Mail task to arguments of SendMailOperator and SendMailNotifier."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.expressions import as_template
from airflow_smtp_cm.ssis.model import MessageSourceType
from airflow_smtp_cm.ssis.writing import source_text
from airflow_smtp_cm.ssis.writing.connections import find, is_smtp
from airflow_smtp_cm.ssis.writing.findings import About, Findings
from airflow_smtp_cm.ssis.writing.handler_flow import ALWAYS, Condition
from airflow_smtp_cm.ssis.writing.templates import Translator, to_do_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_smtp_cm.ssis.model import ConnectionManager, EventHandler, Executable, SendMail
    from airflow_smtp_cm.ssis.writing.scope import Scope

_PRIORITIES = {1: "High", 5: "Low"}
_ADDRESS_LINES = {
    "from_email": ("FromLine", "from_line"),
    "to": ("ToLine", "to_line"),
    "cc": ("CCLine", "cc_line"),
    "bcc": ("BCCLine", "bcc_line"),
}
_PROPERTIES = frozenset(
    {
        *(name for name, _ in _ADDRESS_LINES.values()),
        *("SmtpConnection", "Subject", "Priority"),
        *("MessageSourceType", "MessageSource", "FileAttachments", "Disable"),
    }
)
_OF_PROJECT = (
    " If it belongs to the project, import the package together with the project: the folder with the .conmgr, or "
    "the .ispac."
)
_NAME = re.compile(r"[\w.]+")
_NEWLINE_AT_THE_END = as_template("\n")
_OF_WINDOWS = re.compile(r"[A-Za-z]:\\|\\\\|[A-Za-z]:/")


@dataclass(frozen=True, slots=True)
class Managers:
    """The connection managers that a package's tasks can use.

    Attributes:
        all: the package's, then the project's.
        conn_ids: ids of the Airflow connections, by the ``ref_id`` of SMTP connection managers.
        used: ``ref_id`` of those that a task uses.
    """

    all: Sequence[ConnectionManager]
    conn_ids: Mapping[str, str]
    used: set[str] = field(default_factory=set)

    def find(self, reference: str) -> ConnectionManager | None:
        """Return the connection manager with this GUID or name, and mark it as used."""
        manager = find(self.all, reference)
        if manager:
            self.used.add(manager.ref_id)
        return manager


@dataclass(slots=True)
class Mail:
    """A converted message.

    Attributes:
        arguments: arguments of SendMailOperator and SendMailNotifier by name; the values are Python source.
        to_do: arguments that a person must write, with SSIS's expression or a description.
        uses_functions: whether an argument needs the macro ``ssis``.
    """

    arguments: dict[str, str] = field(default_factory=dict)
    to_do: dict[str, str] = field(default_factory=dict)
    uses_functions: bool = False


def mail_of(task: Executable, scope: Scope, managers: Managers, findings: Findings) -> Mail:
    """Return the message of a Send Mail task.

    Args:
        task: the task.
        scope: the names that its expressions can use.
        managers: the connection managers that it can use.
        findings: collects what is manual.
    """
    return _Reading(task, scope, managers, findings).mail


class _Reading:
    """Converts a Send Mail task.

    Attributes:
        mail: the message.
    """

    def __init__(self, task: Executable, scope: Scope, managers: Managers, findings: Findings) -> None:
        if task.mail is None:
            raise ValueError(f"{task.ref_id} is not a Send Mail task.")
        self.mail = Mail()
        self._stored: SendMail = task.mail
        self._expressions = task.expressions
        self._managers = managers
        self._findings = findings
        self._place = task.ref_id
        self._translator = Translator(scope, task.ref_id, findings)
        self._connection()
        for argument, (name, attribute) in _ADDRESS_LINES.items():
            empty = " \t\r\n" if argument == "from_email" else "; \t\r\n"
            self._text(argument, name, getattr(self._stored, attribute), empty=empty)
        self._text("subject", "Subject", self._stored.subject)
        self._priority()
        self._message_source()
        self._attachments()
        for name, expression in self._expressions.items():
            if name not in _PROPERTIES:
                findings.manual(About.EXPRESSION, self._place, f"The expression of {name} was skipped: {expression}")
        self.mail.uses_functions = self._translator.uses_functions

    def _set(self, argument: str, template: str) -> None:
        self.mail.arguments[argument] = source_text.text(template)

    def _to_do(self, argument: str, why: str) -> None:
        self.mail.to_do[argument] = why

    def _text(self, argument: str, name: str, stored: str, *, empty: str = "") -> None:
        """Set an argument to the expression of a property, else to the stored value.

        Args:
            argument: the argument.
            name: the property.
            stored: its stored value.
            empty: characters without meaning at the ends, such as the semicolons of empty items.
        """
        written = as_template(stored)
        if expression := self._expressions.get(name):
            if template := self._translator.template(name, expression):
                written = template.text
            else:
                self._to_do(argument, expression)
        if empty:
            written = written.removesuffix(_NEWLINE_AT_THE_END).strip(empty)
        if written:
            self._set(argument, written)

    def _constant(self, argument: str, name: str, stored: str) -> str:
        expression = self._expressions.get(name)
        if not expression:
            return stored
        value = self._translator.constant(name, expression)
        if value is None:
            self._to_do(argument, expression)
            return stored
        return value

    def _connection(self) -> None:
        reference = self._constant("smtp_conn_id", "SmtpConnection", self._stored.smtp_connection)
        manager = self._managers.find(reference)
        if manager and is_smtp(manager):
            self._set("smtp_conn_id", self._managers.conn_ids[manager.ref_id])
            return
        what = f"{manager.name}, of type {manager.creation_name}" if manager else reference or "none"
        self._to_do("smtp_conn_id", what)
        self._findings.manual(
            About.CONNECTION,
            self._place,
            f"Its connection is not an SMTP connection manager, or does not exist: {what}."
            f"{'' if manager or not reference else _OF_PROJECT}",
        )

    def _priority(self) -> None:
        if expression := self._expressions.get("Priority"):
            if template := self._translator.template("Priority", expression):
                number = template.as_jinja_expression()
                self._set("priority", f"{{{{ {{1: 'High', 5: 'Low'}}.get({number}, 'Normal') }}}}")
            else:
                self._to_do("priority", expression)
        elif priority := _PRIORITIES.get(self._stored.priority):
            self._set("priority", priority)

    def _message_source(self) -> None:
        kind = self._stored.message_source_type
        if "MessageSourceType" in self._expressions:
            value = self._constant("message_source_type", "MessageSourceType", str(kind.value))
            kind = MessageSourceType(int(value)) if value in {"0", "1", "2"} else kind
        if kind is MessageSourceType.DIRECT_INPUT:
            self._text("message_source", "MessageSource", self._stored.message_source)
            return
        name = self._constant("message_source", "MessageSource", self._stored.message_source)
        if kind is MessageSourceType.VARIABLE:
            what = "Its text is in the variable that MessageSource names"
            if template := self._translator.variable(name, About.MAIL, what):
                self._set("message_source", template.text)
            else:
                self._to_do("message_source", f"the variable {name}")
        else:
            self._file(name)

    def _file(self, reference: str) -> None:
        self._set("message_source_type", "FileConnection")
        manager = self._managers.find(reference)
        if manager is None or manager.creation_name.upper() != "FILE":
            self._to_do("message_source", f"the file of the connection manager {reference}")
            self._findings.manual(
                About.FILE,
                self._place,
                f"Its message source is not a File connection manager, or does not exist: {reference}.",
            )
            return
        path = as_template(manager.connection_string)
        if expression := manager.expressions.get("ConnectionString"):
            if template := self._translator.template(f"ConnectionString of {manager.name}", expression):
                path = template.text
            else:
                self._to_do("message_source", expression)
        self._set("message_source", path)
        self._findings.manual(
            About.FILE, self._place, f"Its text is in a file. The workers need access to it: {path}"
        )

    def _attachments(self) -> None:
        if "FileAttachments" in self._expressions:
            self._text("attachments", "FileAttachments", "|".join(self._stored.attachments))
        elif files := self._stored.attachments:
            self.mail.arguments["attachments"] = source_text.listed(
                [source_text.text(as_template(file)) for file in files]
            )
        if "attachments" in self.mail.arguments:
            on_windows = any(map(_OF_WINDOWS.match, self._stored.attachments))
            self._findings.manual(
                About.FILE,
                self._place,
                f"It attaches files. The workers need access to them{', by their own paths' if on_windows else ''}: "
                f"{self._expressions.get('FileAttachments') or ' | '.join(self._stored.attachments)}",
            )


@dataclass(frozen=True, slots=True)
class Switch:
    """What disables an executable: its own Disabled or Disable, and those of its containers.

    Attributes:
        disabled: whether it is always disabled.
        expressions: expressions that disable it if any is true: place, text, and the names that it can use.
        condition: the condition in an event handler without which it is disabled, too.
    """

    disabled: bool = False
    expressions: tuple[tuple[str, str, Scope], ...] = ()
    condition: Condition = ALWAYS

    def within(self, owner: Executable | EventHandler, scope: Scope) -> Switch:
        """Return what disables an executable or event handler within this one."""
        if expression := owner.expressions.get("Disable"):
            return Switch(self.disabled, (*self.expressions, (owner.ref_id, expression, scope)))
        return Switch(self.disabled or owner.disabled, self.expressions)

    def only_if(self, condition: Condition) -> Switch:
        """Return the switch of an executable that also needs a condition to run."""
        return replace(self, condition=condition)

    def apply(self, mail: Mail, findings: Findings) -> None:
        """Set a message's argument ``disable``; arguments that are still to write disable it, too."""
        if self.disabled:
            mail.arguments["disable"] = "True"
            return
        tests, to_do_here = [], list(self.condition.to_do)
        for ref_id, expression, scope in self.expressions:
            translator = Translator(scope, ref_id, findings)
            if template := translator.template("Disable", expression):
                tests.append(template.as_jinja_expression())
                mail.uses_functions |= translator.uses_functions
            else:
                to_do_here.append(expression)
        if self.condition.tests:
            tests.append(_negated(self.condition.test))
        if to_do_here:
            mail.to_do["disable"] = "; ".join(to_do_here)
        if mail.to_do:
            mail.arguments["disable"] = source_text.text(to_do_all(mail.to_do))
        elif tests:
            joined = tests[0] if len(tests) == 1 else " or ".join(f"({test})" for test in tests)
            mail.arguments["disable"] = source_text.text(f"{{{{ {joined} }}}}")


def _negated(test: str) -> str:
    return f"not {test}" if _NAME.fullmatch(test) else f"not ({test})"
