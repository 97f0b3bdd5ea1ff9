"""What there is to say about a package on its way to Airflow: lines, of which the report is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """What became of something in a package."""

    BROUGHT_OVER = "brought_over"
    NEEDS_A_HUMAN = "needs_a_human"
    LEFT_OUT = "left_out"


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
class Line:
    """One thing, and what became of it.

    Attributes:
        verdict: whether it was brought over.
        about: what kind of thing it is.
        place: where it is in the package (refId), or which variable or parameter.
        text: what became of it, and what is to be done.
    """

    verdict: Verdict
    about: About
    place: str
    text: str


@dataclass(slots=True)
class Lines:
    """Lines, in the order in which they were found; the same twice is said once."""

    lines: dict[Line, None] = field(default_factory=dict)

    def brought_over(self, about: About, place: str, text: str) -> None:
        """Say what something has become."""
        self.lines[Line(Verdict.BROUGHT_OVER, about, place, text)] = None

    def needs_a_human(self, about: About, place: str, text: str) -> None:
        """Say what somebody must do, or decide."""
        self.lines[Line(Verdict.NEEDS_A_HUMAN, about, place, text)] = None

    def left_out(self, about: About, place: str, text: str) -> None:
        """Say what has no place in Airflow, or is not needed."""
        self.lines[Line(Verdict.LEFT_OUT, about, place, text)] = None
