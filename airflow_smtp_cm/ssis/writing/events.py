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
_Sent = dict[str, tuple[str, ...]]  # by event


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
        self._sent: dict[Node, _Sent] = {}
        for node in (root, *root.everything()):
            if node.executable:
                self._sent[node] = self._sent_by(node, node.executable)
        self._callbacks = {node: _callbacks(sent) for node, sent in self._sent.items()}

    def of(self, node: Node) -> Callbacks:
        """Return the names of the notifiers by callback, those of the parents' handlers included."""
        return self._callbacks.get(node, {})

    def inherited(self, node: Node) -> Callbacks:
        """Return the callbacks of the parent."""
        return self.of(node.parent) if node.parent else {}

    def _sent_by(self, node: Node, executable: Executable) -> _Sent:
        """Return the notifiers for each event of a node; its parent comes first."""
        above = self._sent[node.parent] if node.parent else dict.fromkeys(CALLBACKS, ())
        own = [(handler, self._notifiers(node, handler)) for handler in self._handlers(executable)]
        sent = {}
        for event, callbacks in CALLBACKS.items():
            of_event = [(handler, notifiers) for handler, notifiers in own if handler.event == event]
            propagates = all(handler.propagates for handler, _ in of_event)
            names = tuple(one for _, notifiers in of_event for one in notifiers)
            # A disabled executable raises no events. Failure callbacks may stay: it cannot fail.
            silent = executable.disabled and callbacks != ("on_failure_callback",)
            sent[event] = () if silent else (*names, *(above[event] if propagates else ()))
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


def _callbacks(sent: _Sent) -> Callbacks:
    found: dict[str, dict[str, None]] = {}
    for event, notifiers in sent.items():
        for callback in CALLBACKS[event]:
            found.setdefault(callback, {}).update(dict.fromkeys(notifiers))
    return {callback: tuple(notifiers) for callback, notifiers in found.items() if notifiers}


def _within(executable: Executable) -> Iterator[Executable]:
    """Yield an executable and all in it, without their event handlers."""
    yield executable
    for one in executable.executables:
        yield from _within(one)
