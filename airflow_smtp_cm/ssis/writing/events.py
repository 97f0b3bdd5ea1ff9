"""Converts event handlers that send mail to callbacks, at the same level: task, group or DAG.

=====================  ==========================================  ==================================================
event                  callback of each task                       difference
=====================  ==========================================  ==================================================
OnError                ``on_failure_callback``                     once for each task that fails, not for each error
OnTaskFailed           ``on_failure_callback``
OnPostExecute          ``on_success_callback`` and                 not for containers and the package itself
                       ``on_failure_callback``
OnPreExecute           ``on_execute_callback``                     not for containers and the package itself
=====================  ==========================================  ==================================================

An event propagates from the task to its containers and the package, unless a handler stops it (System::Propagate).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.model import EvaluatedOperation, Outcome
from airflow_smtp_cm.ssis.writing.findings import About, Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_smtp_cm.ssis.model import EventHandler, Executable, PrecedenceConstraint
    from airflow_smtp_cm.ssis.writing.control_flow import Node

CALLBACKS = {
    "OnPreExecute": ("on_execute_callback",),
    "OnError": ("on_failure_callback",),
    "OnTaskFailed": ("on_failure_callback",),
    "OnPostExecute": ("on_success_callback", "on_failure_callback"),
}
_RAISED_BY_CONTAINERS = ("OnPreExecute", "OnPostExecute")
_CONDITIONAL = (
    "It depends on a precedence constraint, and a list of notifiers has no conditions: skipped. Write a function "
    "that tests the condition and calls a SendMailNotifier."
)

Callbacks = dict[str, tuple[str, ...]]


class Events:
    """The callbacks of a package's tasks and groups.

    Args:
        root: the control flow.
        notifier: converts a mail in an event handler of a node to a notifier, and returns the name of its variable.
            Its last argument is the path to the mail: the containers within the handler, then the mail.
        findings: collects what has no counterpart.
    """

    def __init__(
        self,
        root: Node,
        notifier: Callable[[Node, EventHandler, tuple[Executable, ...]], str],
        findings: Findings,
    ) -> None:
        self._findings = findings
        self._notifier = notifier
        self._own: dict[Node, list[tuple[EventHandler, tuple[str, ...]]]] = {}
        for node in (root, *root.everything()):
            if node.executable:
                self._own[node] = [
                    (handler, self._notifiers(node, handler)) for handler in self._handlers(node.executable)
                ]

    def of(self, node: Node) -> Callbacks:
        """Return the names of the notifiers by callback, those of the parents' handlers included."""
        callbacks: Callbacks = {}
        for event, names in CALLBACKS.items():
            for name in names:
                callbacks[name] = tuple(dict.fromkeys((*callbacks.get(name, ()), *self._sent(node, event))))
        return {name: notifiers for name, notifiers in callbacks.items() if notifiers}

    def inherited(self, node: Node) -> Callbacks:
        """Return the callbacks of the parent."""
        return self.of(node.parent) if node.parent else {}

    def _sent(self, node: Node, event: str) -> tuple[str, ...]:
        if node.executable is None:
            return ()
        # A disabled executable raises no events. Failure callbacks may stay: it cannot fail.
        if node.executable.disabled and CALLBACKS[event][0] != "on_failure_callback":
            return ()
        own = [(handler, notifiers) for handler, notifiers in self._own[node] if handler.event == event]
        sent = tuple(one for _, notifiers in own for one in notifiers)
        if node.parent and all(handler.propagates for handler, _ in own):
            sent += self._sent(node.parent, event)
        return sent

    def _handlers(self, executable: Executable) -> Iterator[EventHandler]:
        off = executable.properties.get("DisableEventHandlers") == "True"
        for handler in executable.event_handlers:
            if handler.disabled or off or executable.disabled:
                self._findings.skipped(About.EVENT_HANDLER, handler.ref_id, "It is disabled.")
            else:
                yield handler

    def _notifiers(self, node: Node, handler: EventHandler) -> tuple[str, ...]:
        mails = list(self._mails(handler.executables, handler.constraints))
        if not mails:
            self._findings.skipped(About.EVENT_HANDLER, handler.ref_id, "It sends no mail that can be converted.")
            return ()
        if handler.event not in CALLBACKS:
            self._findings.manual(
                About.EVENT_HANDLER,
                handler.ref_id,
                f"Airflow has no callback for {handler.event}: its mail was skipped.",
            )
            return ()
        if handler.event in _RAISED_BY_CONTAINERS and node.children:
            self._findings.manual(
                About.EVENT_HANDLER,
                handler.ref_id,
                f"The callback runs for each task. {handler.event} of containers and of the package has no callback: "
                f"if the mail is meant for these, send it by a task at the end.",
            )
        return tuple(self._notifier(node, handler, mail) for mail in mails)

    def _mails(
        self,
        executables: tuple[Executable, ...],
        constraints: tuple[PrecedenceConstraint, ...],
        path: tuple[Executable, ...] = (),
    ) -> Iterator[tuple[Executable, ...]]:
        """Yield the mails that a handler sends unconditionally, in order; report everything else in it."""
        skipped: set[str] = set()
        for one in _ordered(executables, constraints):
            before = [constraint for constraint in constraints if constraint.target == one.ref_id]
            if any(map(_is_a_condition, before)) or skipped & {constraint.source for constraint in before}:
                skipped.add(one.ref_id)
                self._findings.manual(About.EVENT_HANDLER, one.ref_id, _CONDITIONAL)
            elif one.mail:
                yield (*path, one)
            elif one.executables:
                if one.kind is not Kind.SEQUENCE:
                    self._findings.manual(About.LOOP, one.ref_id, "A callback has no loops: its mail is sent once.")
                yield from self._mails(one.executables, one.constraints, (*path, one))
            else:
                self._findings.manual(
                    About.EVENT_HANDLER,
                    one.ref_id,
                    f"It is not a Send Mail task ({one.type}): skipped in the callback.",
                )
            for handler in one.event_handlers:
                self._findings.skipped(About.EVENT_HANDLER, handler.ref_id, "A callback has no events of its own.")


def _is_a_condition(constraint: PrecedenceConstraint) -> bool:
    return constraint.operation is not EvaluatedOperation.CONSTRAINT or constraint.outcome is Outcome.FAILURE


def _ordered(
    executables: tuple[Executable, ...], constraints: tuple[PrecedenceConstraint, ...]
) -> Iterator[Executable]:
    """Yield executables in topological order."""
    waiting = list(executables)
    while waiting:
        pending = {one.ref_id for one in waiting}
        blocked = {one.target for one in constraints if one.source in pending}
        ready = [one for one in waiting if one.ref_id not in blocked] or waiting
        yield from ready
        waiting = [one for one in waiting if one not in ready]
