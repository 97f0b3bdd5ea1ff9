"""Simulates SSIS: which tasks of a package run, and which mails are sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.macros import ssis
from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.ssis.expressions import evaluate, parse
from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.model import EvaluatedOperation, MessageSourceType, Outcome
from airflow_smtp_cm.ssis.writing.values import read_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from airflow_smtp_cm.ssis.model import (
        ConnectionManager,
        EventHandler,
        Executable,
        ExecutePackage,
        Package,
        PrecedenceConstraint,
        Project,
    )


@dataclass(frozen=True)
class Sent:
    """A message."""

    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    importance: str
    attachments: tuple[str, ...]


@dataclass
class Simulation:
    """One run of a package.

    Attributes:
        package: the package.
        project: its project.
        failing: names of the tasks that fail.
        given: values of parameters that are set at the start, by name.
        system: values of system variables, except those of the event.
        items: values of the variables that the surrounding loops set, such as ``User::Region``.
        started: the packages that Execute Package tasks run, and the values that they pass.
        outcomes: the outcome of each executable, by ``ref_id``: True, False, or None if it never ran.
        sent: the messages sent.
    """

    package: Package
    project: Project
    failing: Collection[str] = ()
    given: dict[str, Any] = field(default_factory=dict)
    system: dict[str, Value] = field(default_factory=dict)
    items: dict[str, str] = field(default_factory=dict)
    started: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    outcomes: dict[str, bool | None] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def run(self) -> bool:
        """Run the package, and return whether it succeeds."""
        return self._run(self.package.root, ())

    def _run(self, executable: Executable, path: tuple[Executable, ...]) -> bool:
        path = (*path, executable)
        if self._is_off(executable, path):
            self._note(executable, outcome=True)
            return True
        if not executable.executables:
            succeeded = self._run_task(executable, path)
        else:
            for values in self._iterations(executable):
                # SSIS ends a loop with its first failure; a mapped group runs all items, and so does this.
                self.items |= values
                self._run_in_order(executable, path)
            succeeded = all(self.outcomes[one.ref_id] is not False for one in executable.executables)
        self.outcomes[executable.ref_id] = succeeded
        return succeeded

    def _iterations(self, executable: Executable) -> list[dict[str, str]]:
        """Return the variables of each iteration of a loop; of other containers, and other loops, one without any."""
        loop = executable.foreach
        if loop is None:
            return [{}]
        rows = loop.rows
        if loop.files:
            files = sorted(Path(loop.files.folder).glob(loop.files.file_spec))
            rows = tuple((str(path),) for path in files)
            for one in executable.executables:
                self._note(one, outcome=None)
        return [{name: values[index] for index, name in loop.variables.items()} for values in rows]

    def _run_in_order(
        self, container: Executable | EventHandler, path: tuple[Any, ...], event: dict[str, str] | None = None
    ) -> None:
        run = self._run if event is None else partial(self._run_in_handler, event=event)
        waiting = list(container.executables)
        while waiting:
            pending = {one.ref_id for one in waiting}
            ready = (
                one
                for one in waiting
                if not any(c.target == one.ref_id and c.source in pending for c in container.constraints)
            )
            one = next(ready)
            waiting.remove(one)
            before = [c for c in container.constraints if c.target == one.ref_id]
            holds = [self._holds(c, path, event) for c in before]
            every = len(before) == 1 or all(c.logical_and for c in before)
            if not before or (all(holds) if every else any(holds)):
                run(one, path)
            else:
                self._note(one, outcome=None)

    def _run_in_handler(self, executable: Executable, path: tuple[Any, ...], event: dict[str, str]) -> None:
        """Run a part of an event handler; its tasks succeed."""
        path = (*path, executable)
        self.outcomes[executable.ref_id] = True
        if self._is_off(executable, path, event):
            self._note(executable, outcome=True)
        elif executable.mail:
            self._send(executable, path, event | {"TaskName": executable.name})
        else:
            self._run_in_order(executable, path, event)

    def _holds(self, constraint: PrecedenceConstraint, path: tuple[Any, ...], event: dict[str, str] | None) -> bool:
        succeeded = self.outcomes[constraint.source]
        if succeeded is None:
            return False
        outcome = {Outcome.SUCCESS: succeeded, Outcome.FAILURE: not succeeded, Outcome.COMPLETION: True}
        asked = outcome[constraint.outcome]
        if constraint.operation is EvaluatedOperation.CONSTRAINT:
            return asked
        true = bool(self._value(constraint.expression, path, event).content)
        return {
            EvaluatedOperation.EXPRESSION: true,
            EvaluatedOperation.EXPRESSION_AND_CONSTRAINT: true and asked,
            EvaluatedOperation.EXPRESSION_OR_CONSTRAINT: true or asked,
        }[constraint.operation]

    def _note(self, executable: Executable, *, outcome: bool | None) -> None:
        self.outcomes[executable.ref_id] = outcome
        for one in executable.executables:
            self._note(one, outcome=outcome)

    def _run_task(self, task: Executable, path: tuple[Executable, ...]) -> bool:
        succeeded = task.name not in self.failing
        if succeeded and task.mail:
            self._send(task, path, {"TaskName": task.name})
        if succeeded and task.run:
            self._start(task.run, path)
        for event in ("OnPostExecute",) if succeeded else ("OnError", "OnTaskFailed", "OnPostExecute"):
            self._raise(event, task, path)
        return succeeded

    def _start(self, run: ExecutePackage, path: tuple[Any, ...]) -> None:
        values = {name: self._value(f"@[{source}]", path).content for name, source in run.parameters.items()}
        managers = {one.dtsid: one.connection_string for one in self.package.connection_managers}
        name = run.package_name or managers[run.connection].rpartition("\\")[2]
        # Parameters of the project have the same values in all its packages.
        of_project = {one.name: self.given.get(one.name, one.value) for one in self.project.parameters}
        self.started.append((name, of_project | values))

    def _raise(self, event: str, task: Executable, path: tuple[Executable, ...]) -> None:
        for depth in range(len(path), 0, -1):
            handlers = [one for one in path[depth - 1].event_handlers if one.event == event and not one.disabled]
            for handler in handlers:
                self._run_in_order(handler, (*path[:depth], handler), {"SourceName": task.name})
            if not all(handler.propagates for handler in handlers):
                return

    def _is_off(self, executable: Executable, path: tuple[Any, ...], event: dict[str, str] | None = None) -> bool:
        if expression := executable.expressions.get("Disable"):
            return bool(self._value(expression, path, event).content)
        return executable.disabled

    def _send(self, task: Executable, path: tuple[Any, ...], event: dict[str, str]) -> None:
        mail = task.mail
        assert mail
        fields = {
            "FromLine": mail.from_line,
            "ToLine": mail.to_line,
            "CCLine": mail.cc_line,
            "BCCLine": mail.bcc_line,
            "Subject": mail.subject,
            "MessageSource": mail.message_source,
            "FileAttachments": "|".join(mail.attachments),
            "Priority": str(mail.priority),
        }
        for name in fields.keys() & task.expressions.keys():
            fields[name] = self._text(task.expressions[name], path, event)
        text = fields["MessageSource"]
        if mail.message_source_type is MessageSourceType.VARIABLE:
            text = self._text(f"@[{text}]", path, event)
        elif mail.message_source_type is MessageSourceType.FILE_CONNECTION:
            text = f"Text of {self._manager(text).connection_string}"
        recipients = ";".join((fields["ToLine"], fields["CCLine"], fields["BCCLine"])).split(";")
        self.sent.append(
            Sent(
                sender=fields["FromLine"],
                recipients=tuple(sorted(one.strip() for one in recipients if one.strip())),
                subject=fields["Subject"],
                text=text,
                importance={"1": "high", "5": "low"}.get(fields["Priority"], ""),
                attachments=tuple(filter(None, fields["FileAttachments"].split("|"))),
            )
        )

    def _manager(self, reference: str) -> ConnectionManager:
        managers = (*self.package.connection_managers, *self.project.connection_managers)
        return next(one for one in managers if reference in {one.dtsid, one.name})

    def _text(self, expression: str, path: tuple[Any, ...], event: dict[str, str]) -> str:
        content = self._value(expression, path, event).content
        return "" if content is None else str(content)

    def _value(self, expression: str, path: tuple[Any, ...], event: dict[str, str] | None = None) -> Value:
        def lookup(name: Any) -> Value:
            if name.namespace in {None, "System"}:
                known = self.system | {one: Value(text, DataType.WSTR) for one, text in (event or {}).items()}
                if name.name in known:
                    return known[name.name]
            for stored, data_type in self._stored(path, name):
                if f"{name.namespace}::{name.name}" in self.items:
                    return read_value(self.items[f"{name.namespace}::{name.name}"], data_type)
                if getattr(stored, "expression", None):
                    return self._value(stored.expression, path, event)
                if name.name in self.given:
                    return read_value(str(self.given[name.name]), data_type)
                return read_value(stored.value, data_type)
            raise KeyError(str(name))

        return evaluate(parse(expression), lookup, ssis.getdate())

    def _stored(self, path: tuple[Any, ...], name: Any) -> Iterator[tuple[Any, DataType]]:
        for owner in reversed(path):
            for variable in owner.variables:
                if variable.name == name.name and name.namespace in {None, variable.namespace}:
                    yield variable, variable.data_type
        for namespace, parameters in (("$Package", self.package.parameters), ("$Project", self.project.parameters)):
            for parameter in parameters:
                if parameter.name == name.name and name.namespace in {None, namespace}:
                    yield parameter, parameter.data_type


def placeholders(executable: Executable) -> Iterator[Executable]:
    """Yield the tasks of the control flow that are not Send Mail tasks."""
    for one in executable.executables:
        yield from placeholders(one) if one.executables else [one] if one.kind is not Kind.SEND_MAIL else []
