"""Completes the messages of Send Mail tasks: what disables them, the items of a loop, and what is left to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.writing.findings import About, Findings
from airflow_smtp_cm.ssis.writing.foreach import together
from airflow_smtp_cm.ssis.writing.send_mail_task import Mail, Managers, Switch, mail_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.ssis.model import EventHandler, Executable, Variable
    from airflow_smtp_cm.ssis.writing.scope import Scope


@dataclass(frozen=True, slots=True)
class Place:
    """Where an executable is.

    Attributes:
        scope: the names that it can use.
        switch: what disables it.
    """

    scope: Scope
    switch: Switch

    def within(self, owner: Executable | EventHandler, variables: tuple[Variable, ...]) -> Place:
        """Return the place within an executable or event handler, which has these variables."""
        scope = self.scope.within(owner.ref_id, variables)
        return Place(scope, self.switch.within(owner, scope))


@dataclass(frozen=True, slots=True)
class Messages:
    """Converts Send Mail tasks to messages, and reports those that are disabled.

    Attributes:
        managers: the connection managers that they can use.
        findings: collects what was converted and what is manual.
    """

    managers: Managers
    findings: Findings

    def one(self, task: Executable, place: Place) -> Mail:
        """Return a task's message, its ``disable`` included."""
        mail = self._composed(task, place)
        self._report(task, place, mail)
        return mail

    def many(self, task: Executable, places: Sequence[Place]) -> Mail:
        """Return the messages of a task in a loop; for each item, the variables have other values at its place."""
        mail = together([self._composed(task, place) for place in places])
        self._report(task, places[0], mail)
        return mail

    def _composed(self, task: Executable, place: Place) -> Mail:
        mail = mail_of(task, place.scope, self.managers, self.findings)
        place.switch.apply(mail, self.findings)
        return mail

    def _report(self, task: Executable, place: Place, mail: Mail) -> None:
        if place.switch.disabled:
            self.findings.converted(About.DISABLED, task.ref_id, "The task is disabled, as in the package.")
        elif mail.to_do:
            write = [name for name in mail.to_do if name != "disable"]
            self.findings.manual(
                About.MAIL,
                task.ref_id,
                f"Nothing is sent until you write {' and '.join(write)} and remove its disable."
                if write
                else "Nothing is sent until you write its disable.",
                blocks=True,
            )
