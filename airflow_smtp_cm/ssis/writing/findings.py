"""What there is to say about a package on its way to Airflow: findings, of which the report is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """What became of something in a package."""

    CONVERTED = "converted"
    MANUAL = "manual"
    SKIPPED = "skipped"


class About(StrEnum):
    """What a line is about."""

    CONNECTION = "connection"
    CONSTRAINT = "constraint"
    DISABLED = "disabled"
    EVENT_HANDLER = "event_handler"
    EXPRESSION = "expression"
    FILE = "file"
    LOOP = "loop"
    MAIL = "mail"
    PARAMETER = "parameter"
    PLACEHOLDER = "placeholder"
    PROPERTY = "property"
    SECRET = "secret"  # noqa: S105 - a name, not a secret
    VARIABLE = "variable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing, and what became of it.

    Attributes:
        status: whether it was brought over.
        about: what kind of thing it is.
        place: where it is in the package (refId), or which variable or parameter.
        text: what became of it, and what is to be done.
    """

    status: Status
    about: About
    place: str
    text: str


@dataclass(slots=True)
class Findings:
    """Findings, in the order in which they were found; the same twice is said once."""

    findings: dict[Finding, None] = field(default_factory=dict)

    def converted(self, about: About, place: str, text: str) -> None:
        """Say what something has become."""
        self.findings[Finding(Status.CONVERTED, about, place, text)] = None

    def manual(self, about: About, place: str, text: str) -> None:
        """Say what somebody must do, or decide."""
        self.findings[Finding(Status.MANUAL, about, place, text)] = None

    def skipped(self, about: About, place: str, text: str) -> None:
        """Say what has no place in Airflow, or is not needed."""
        self.findings[Finding(Status.SKIPPED, about, place, text)] = None
