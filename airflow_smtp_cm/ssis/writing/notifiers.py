"""Converts the mails of event handlers to notifiers, and writes the arguments that call them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.expressions.system_variables import in_callback
from airflow_smtp_cm.ssis.writing.findings import About, Findings
from airflow_smtp_cm.ssis.writing.handler_flow import HandlerMail, mails_of
from airflow_smtp_cm.ssis.writing.messages import Messages, Place
from airflow_smtp_cm.ssis.writing.names import Identifiers, slug
from airflow_smtp_cm.ssis.writing.send_mail_task import Switch
from airflow_smtp_cm.ssis.writing.source_text import call, listed, literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_smtp_cm.ssis.expressions import Binding
    from airflow_smtp_cm.ssis.model import EventHandler, Executable, PrecedenceConstraint
    from airflow_smtp_cm.ssis.writing.control_flow import Node
    from airflow_smtp_cm.ssis.writing.events import Callbacks
    from airflow_smtp_cm.ssis.writing.scope import Scope


@dataclass(slots=True)
class Notifiers:
    """The notifiers of a DAG file.

    Attributes:
        messages: converts the Send Mail tasks.
        places: the place of each executable.
        expression: returns a constraint's expression as Jinja, or raises Untranslatable.
        names: makes the names of Python variables unique.
        findings: collects what was converted and what is manual.
        definitions: the Python source of each notifier, by the name of its variable.
        uses_functions: whether a notifier needs the macro ``ssis``.
    """

    messages: Messages
    places: Mapping[Node, Place]
    expression: Callable[[PrecedenceConstraint, Scope], str]
    names: Identifiers
    findings: Findings
    definitions: dict[str, str] = field(default_factory=dict)
    uses_functions: bool = False

    def add(self, node: Node, handler: EventHandler) -> tuple[str, ...]:
        """Add the notifiers of an event handler of a node; return the names of their variables, in order."""

        def expression(constraint: PrecedenceConstraint, path: tuple[Executable, ...]) -> str:
            return self.expression(constraint, self._place(handler, node, path, in_callback).scope)

        return tuple(self._notifier(node, handler, mail) for mail in mails_of(handler, expression))

    def _place(
        self, handler: EventHandler, node: Node, path: tuple[Executable, ...], system: Callable[[str], Binding]
    ) -> Place:
        """Return the place of the last executable of a path within an event handler."""
        # A disabled executable raises no events, so only the handler itself can disable the mail.
        place = Place(self.places[node].scope.with_system(system), Switch()).within(handler, handler.variables)
        for executable in path:
            place = place.within(executable, executable.variables)
        return place

    def _notifier(self, node: Node, handler: EventHandler, sent: HandlerMail) -> str:
        task = sent.path[-1]
        place = self._place(handler, node, sent.path, partial(in_callback, own_name=task.name))
        mail = self.messages.one(task, replace(place, switch=place.switch.only_if(sent.condition)))
        self.uses_functions |= mail.uses_functions
        name = self.names.take(slug(task.name, "send_mail"))
        # A notifier without subject and text would use its defaults.
        for argument in ("subject", "message_source"):
            mail.arguments.setdefault(argument, '""')
        self.definitions[name] = call("SendMailNotifier", mail.arguments)
        self.findings.converted(
            About.EVENT_HANDLER, task.ref_id, f"Notifier {name}, called by callbacks ({handler.event})."
        )
        if sent.before:
            self.findings.manual(
                About.EVENT_HANDLER,
                task.ref_id,
                f"Before it, the handler runs {', '.join(sent.before)}. A callback runs no tasks: if the mail needs "
                f"their results, write a function that does their work and then calls the notifier {name}.",
            )
        return name


def default_args(own: Callbacks, inherited: Callbacks) -> str:
    """Return the Python source of ``default_args`` with the callbacks that differ; empty if there are none."""
    items = (f"{literal(name)}: {value}" for name, value in changed_callbacks(own, inherited).items())
    joined = ", ".join(items)
    return f"{{{joined}}}" if joined else ""


def changed_callbacks(own: Callbacks, inherited: Callbacks) -> dict[str, str]:
    """Return the arguments for the callbacks that differ from the inherited ones; the values are Python source."""
    return {
        name: listed(own[name]) if name in own else "None"
        for name in dict.fromkeys((*inherited, *own))
        if own.get(name) != inherited.get(name)
    }
