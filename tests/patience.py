"""How long clients wait in the tests: hardly at all for what never comes, and without an end for all that does come.

So no test depends on how fast the machine is.
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
    """Timeouts of a client that gives up no wait, nor that for the answer to QUIT."""

    def of(self, phase: Phase) -> float:  # noqa: ARG002 - it is alike in all
        return PATIENCE_SECONDS


PATIENT = Patient()


@dataclass(frozen=True)
class ImpatientIn(Patient):
    """Timeouts of a client that gives up soon in one phase, in which nothing comes, and in no other."""

    phase: Phase

    def of(self, phase: Phase) -> float:
        return SOON if phase is self.phase else super().of(phase)
