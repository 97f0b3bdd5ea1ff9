"""The messages that are recorded as SENDING together, before the first of them is transmitted.

Each write takes a call of Airflow's API server, and all messages that are recorded as SENDING are uncertain if the
worker is killed. So several of them are recorded at once only while the server is fast.
"""

from __future__ import annotations

import time
from collections import deque
from math import inf
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.group_limits import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable

# The number of messages that one connection has in flight at once: no more can ever be uncertain.
_MOST_IN_FLIGHT = 2 * GROUP
# Seconds: at shorter intervals, one write covers several messages; at longer ones, each outcome is written at once.
_SHORT_INTERVAL = 0.5


class Window:
    """The messages to send in this try, until they are recorded as SENDING.

    Args:
        connections: the number of connections that send at the same time.
        messages: the indexes of the messages, in order.

    Attributes:
        size: the number of messages that are recorded at once, if there are so many.
    """

    def __init__(self, connections: int, messages: Iterable[int] = ()) -> None:
        self.size = 1
        self._connections = connections
        self._handed_out: set[int] = set()
        self._following = deque(messages)
        self._recorded_at = -inf  # when messages were last recorded

    def hand_out(self, index: int) -> None:
        """Note that a message was handed to the client, which will send it; messages are handed out in order."""
        self._handed_out.add(index)
        self._pass(index)

    def holds(self, index: int) -> bool:
        """Return whether a message was handed out, and is not recorded."""
        return index in self._handed_out

    def discard(self, index: int) -> None:
        """Note that a message need not be recorded: it has an outcome, even if it could not be handed out."""
        self._handed_out.discard(index)
        self._pass(index)

    def take(self, index: int, sending: int) -> list[int]:
        """Take a message out, and those that are recorded with it: others that were handed out, and that follow.

        Args:
            index: the message.
            sending: the number of messages in the state SENDING.
        """
        before, self._recorded_at = self._recorded_at, time.monotonic()
        self.size = min(2 * self.size, GROUP) if self._recorded_at - before < _SHORT_INTERVAL else 1
        most = max(1, min(self.size, self._connections * _MOST_IN_FLIGHT - sending))
        taken = [index, *(self._handed_out - {index})][:most]
        self._handed_out.difference_update(taken)
        while self._following and len(taken) < most:
            taken.append(self._following.popleft())
        return taken

    def _pass(self, index: int) -> None:
        while self._following and self._following[0] <= index:
            self._following.popleft()
