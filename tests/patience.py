"""Timeouts of clients in tests: very short for data that never arrives, practically unlimited for all other data.

Therefore no test depends on the speed of the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.settings import Timeouts
from airflow_smtp_cm.smtp.trace import REDACTED
from tests.servers.processes import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from airflow_smtp_cm.smtp.errors import Phase
    from airflow_smtp_cm.smtp.trace import TraceEvent

SOON = 0.3


@dataclass(frozen=True)
class Patient(Timeouts):
    """Timeouts of a client that never gives up, not even at QUIT."""

    def of(self, phase: Phase) -> float:  # noqa: ARG002 - the same in all phases
        return PATIENCE_SECONDS


PATIENT = Patient()


@dataclass(frozen=True)
class ImpatientIn(Patient):
    """Timeouts of a client that soon gives up in one phase, in which no data arrives, and never in another.

    Attributes:
        phase: the phase.
        begins: whether a wait in this phase that begins now is for such data; the client may wait for itself before.
    """

    phase: Phase
    begins: Callable[[], object] = lambda: True

    def of(self, phase: Phase) -> float:
        return SOON if phase is self.phase and self.begins() else super().of(phase)


def impatient_in(phase: Phase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every client soon give up in one phase, and never in another."""
    monkeypatch.setattr(Timeouts, "of", lambda _, current: ImpatientIn(phase).of(current))


class AuthLines:
    """The trace of a client, which counts the lines of AUTH that it has sent: it takes its time for the tokens."""

    sent = 0

    def __call__(self, event: TraceEvent) -> None:
        self.sent += event.direction == "C" and event.text.startswith(("AUTH", REDACTED))
