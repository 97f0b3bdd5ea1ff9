"""The dialogue of a session, line by line, without secrets: for logs and for the connection test."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["TraceEvent"]

logger = logging.getLogger("airflow_smtp_cm.smtp")

REDACTED = "********"


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One line of the dialogue.

    Attributes:
        seconds: time since the start of the session.
        direction: C for lines of the client, S for lines of the server, ``*`` for other events.
        text: the line; tokens of an AUTH exchange are replaced by ``********``, the content by its size.
    """

    seconds: float
    direction: Literal["C", "S", "*"]
    text: str

    def __str__(self) -> str:
        return f"{self.seconds:8.3f} {self.direction}: {self.text}"


TraceSink = Callable[[TraceEvent], None]


def log_event(event: TraceEvent) -> None:
    """Write the event to the ``airflow_smtp_cm.smtp`` logger at DEBUG."""
    logger.debug("%s", event)


@dataclass(slots=True)
class Trace:
    """Adds the time to events and passes them to a sink."""

    sink: TraceSink | None = None
    _start: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.sink is None and logger.isEnabledFor(logging.DEBUG):
            self.sink = log_event

    def __call__(self, direction: Literal["C", "S", "*"], line: object) -> None:
        """Record one line; it is formatted only if there is a sink."""
        if self.sink is not None:
            self.sink(TraceEvent(time.monotonic() - self._start, direction, str(line)))
