"""The dialogue of a session, line by line, without secrets: for logs and for the connection test."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal

__all__ = ["TraceEvent"]

logger = logging.getLogger("airflow_smtp_cm.smtp")

REDACTED = "********"


class TraceEvent:
    """One line of the dialogue.

    Attributes:
        seconds: time since the start of the session.
        direction: C for lines of the client, S for lines of the server, ``*`` for other events.
        text: the line; tokens of an AUTH exchange are replaced by ``********``, the content by its size.
    """

    __slots__ = ("direction", "seconds", "text")

    def __init__(self, seconds: float, direction: Literal["C", "S", "*"], text: str) -> None:
        self.seconds = seconds
        self.direction = direction
        self.text = text

    def __str__(self) -> str:
        return f"{self.seconds:8.3f} {self.direction}: {self.text}"

    def __repr__(self) -> str:
        return f"TraceEvent({self.seconds:.3f}, {self.direction!r}, {self.text!r})"


TraceSink = Callable[[TraceEvent], None]


def log_event(event: TraceEvent) -> None:
    """Write the event to the ``airflow_smtp_cm.smtp`` logger at DEBUG."""
    logger.debug("%s", event)


class Trace:
    """Adds the time to events and passes them to a sink; without one, to the log, if that has the level DEBUG."""

    __slots__ = ("_start", "sink")

    def __init__(self, sink: TraceSink | None = None) -> None:
        self.sink = log_event if sink is None and logger.isEnabledFor(logging.DEBUG) else sink
        self._start = time.monotonic()

    def __call__(self, direction: Literal["C", "S", "*"], line: object) -> None:
        """Record one line; it is formatted only if there is a sink."""
        if self.sink is not None:
            self.sink(TraceEvent(time.monotonic() - self._start, direction, str(line)))
