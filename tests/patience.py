"""Timeouts of clients in tests: very short for data that never arrives, practically unlimited for all other data.

Therefore no test depends on the speed of the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.settings import Timeouts
from tests.servers.processes import PATIENCE_SECONDS

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.errors import Phase

SOON = 0.3


@dataclass(frozen=True)
class Patient(Timeouts):
    """Timeouts of a client that never gives up, not even at QUIT."""

    def of(self, phase: Phase) -> float:  # noqa: ARG002 - the same in all phases
        return PATIENCE_SECONDS


PATIENT = Patient()


@dataclass(frozen=True)
class ImpatientIn(Patient):
    """Timeouts of a client that soon gives up in one phase, in which no data arrives, and never in another."""

    phase: Phase

    def of(self, phase: Phase) -> float:
        return SOON if phase is self.phase else super().of(phase)
