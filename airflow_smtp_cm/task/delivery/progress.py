"""The progress of a mail merge, logged at intervals."""

from __future__ import annotations

import logging
import time

logger = logging.getLogger(__name__)

_INTERVAL = 15.0  # seconds


class Progress:
    """The progress of one try.

    Args:
        done: how many messages were already handled by earlier tries.
        messages: the number of all messages.
    """

    def __init__(self, done: int, messages: int) -> None:
        self._before = self._done = done
        self._messages = messages
        self._started = self._logged = time.monotonic()

    def one_more(self) -> None:
        """Count a message, and log the progress if it was not logged for 15 seconds."""
        self._done += 1
        now = time.monotonic()
        if now - self._logged < _INTERVAL or self._done == self._messages:
            return
        self._logged = now
        rate = (self._done - self._before) / (now - self._started)
        left = (self._messages - self._done) / rate
        logger.info(
            "SendMailTaskInfo: %s of %s messages, %s, %s left.",
            f"{self._done:,}",
            f"{self._messages:,}",
            f"{rate:,.0f} a second" if rate >= 1 else f"{rate * 60:,.0f} a minute",
            _duration(left),
        )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
