"""Findings: what became of each thing in a package. The report consists of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Status(StrEnum):
    """What became of something in a package: converted, left for a person to do (manual), or skipped."""

    CONVERTED = "converted"
    MANUAL = "manual"
    SKIPPED = "skipped"


class About(StrEnum):
    """What kind of thing a finding is about."""

    CONFIGURATION = "configuration"
    CONNECTION = "connection"
    CONSTRAINT = "constraint"
    DISABLED = "disabled"
    EVENT_HANDLER = "event_handler"
    EXECUTE_PACKAGE = "execute_package"
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
    """One thing in a package, and what became of it.

    Attributes:
        status: whether it was converted.
        about: what kind of thing it is.
        place: where it is in the package (refId), or which variable or parameter.
        text: what became of it, and what to do.
        kind: what kind of task it is about, such as ``Execute SQL task``; empty for everything else.
        blocks: whether no mail can be sent, or a secret is missing, until it is done.
    """

    status: Status
    about: About
    place: str
    text: str
    kind: str = ""
    blocks: bool = False


@dataclass(slots=True)
class Findings:
    """Findings, in the order in which they were added; a duplicate is kept once."""

    _findings: dict[Finding, None] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Finding]:
        """Yield the findings."""
        return iter(self._findings)

    def converted(self, about: About, place: str, text: str) -> None:
        """Add something that was converted, and into what."""
        self._findings[Finding(Status.CONVERTED, about, place, text)] = None

    def manual(self, about: About, place: str, text: str, *, kind: str = "", blocks: bool = False) -> None:
        """Add something that a person must do or decide."""
        self._findings[Finding(Status.MANUAL, about, place, text, kind, blocks)] = None

    def skipped(self, about: About, place: str, text: str) -> None:
        """Add something that has no counterpart in Airflow, or is not needed."""
        self._findings[Finding(Status.SKIPPED, about, place, text)] = None
