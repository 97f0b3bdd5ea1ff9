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
``handler_flow`` has what a handler's precedence constraints become.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.writing.findings import About, Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_smtp_cm.ssis.model import EventHandler, Executable
    from airflow_smtp_cm.ssis.writing.control_flow import Node

CALLBACKS = {
    "OnPreExecute": ("on_execute_callback",),
    "OnError": ("on_failure_callback",),
    "OnTaskFailed": ("on_failure_callback",),
    "OnPostExecute": ("on_success_callback", "on_failure_callback"),
}
_RAISED_BY_CONTAINERS = ("OnPreExecute", "OnPostExecute")
Callbacks = dict[str, tuple[str, ...]]


class Events:
    """The callbacks of a package's tasks and groups.

    Args:
        root: the control flow.
        notifiers: converts the mails in an event handler of a node to notifiers, and returns the names of their
            variables, in order.
        findings: collects what has no counterpart.
    """

    def __init__(
        self,
        root: Node,
        notifiers: Callable[[Node, EventHandler], tuple[str, ...]],
        findings: Findings,
    ) -> None:
        self._findings = findings
        self._convert = notifiers
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
        if not any(one.mail for executable in handler.executables for one in _within(executable)):
            self._findings.skipped(About.EVENT_HANDLER, handler.ref_id, "It sends no mail.")
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
        for executable in handler.executables:
            for one in _within(executable):
                self._report(one)
        return self._convert(node, handler)

    def _report(self, executable: Executable) -> None:
        """Report what a callback cannot do."""
        if executable.executables:
            if executable.kind is not Kind.SEQUENCE:
                self._findings.manual(
                    About.LOOP, executable.ref_id, "A callback has no loops: its mail is sent once."
                )
        elif not executable.mail:
            self._findings.manual(
                About.EVENT_HANDLER,
                executable.ref_id,
                f"It is not a Send Mail task ({executable.type_name}): skipped in the callback.",
            )
        for handler in executable.event_handlers:
            self._findings.skipped(About.EVENT_HANDLER, handler.ref_id, "A callback has no events of its own.")


def _within(executable: Executable) -> Iterator[Executable]:
    """Yield an executable and all in it, without their event handlers."""
    yield executable
    for one in executable.executables:
        yield from _within(one)
