"""What became of each of many messages over all tries of a task, in a record whose size and writes are bounded."""

from __future__ import annotations

import time
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.smtp.bulk import GROUP
from airflow_smtp_cm.task.mail_merge.result import Failure, MergeResult, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_smtp_cm.task.state_store import TaskRecord

KEY = "airflow_smtp_cm.messages"
"""The record's key in the task state store."""

# A record for 100,000 messages must keep below the 65,535 bytes ([state_store] max_value_storage_bytes) from which
# on Airflow complains. Their states need half of that where sent ones and others alternate at random.
_FAILURES = 30  # of each kind
_OUTSTANDING = 100

# As many as the conversation has on their way at once, so that no more are ever in doubt.
_MOST_IN_DOUBT = 2 * GROUP
# Seconds: where messages leave faster, one write covers several of them; where they do not, each is settled at once.
_QUICK = 0.5


@dataclass(frozen=True, slots=True)
class Outstanding:
    """Who of a message's recipients is still to get it.

    Attributes:
        recipients: those whom the server put off.
        refused: those whom it refused for good, each with its reply.
    """

    recipients: tuple[str, ...]
    refused: Mapping[str, str]


class Ledger:
    """What is known of each message.

    Before messages leave, the record says so, of a few ahead; what became of them is recorded with the next few.

    Args:
        record: where it is kept.
        messages: how many there are.
        digest: what tells whether they are the same in every try.

    Attributes:
        outstanding: for messages that some recipients have already, who else is to get them.

    Raises:
        InvalidMessage: they are not those of an earlier try.
    """

    def __init__(self, record: TaskRecord, messages: int, digest: str) -> None:
        self._record = record
        self._digest = digest
        self._states = bytearray(messages)
        self._failures: dict[int, Failure] = {}
        self.outstanding: dict[int, Outstanding] = {}
        self._earlier_seconds = 0.0
        if stored := record.read():
            self._read(stored)
        self._started: float | None = None
        self._pending: list[int] = []
        self._covered = 0  # places among the pending ones that are recorded as leaving
        self._ahead = 1
        self._opened = -inf  # when the record last said that messages leave

    @property
    def is_kept(self) -> bool:
        """Whether later tries will know of it."""
        return self._record.is_kept

    def result(self) -> MergeResult:
        """Return what became of all."""
        return MergeResult(
            messages=len(self._states),
            counts={state: self._states.count(state) for state in State},
            failures=tuple(failure for _, failure in sorted(self._failures.items())),
            seconds=self._seconds(),
        )

    def left_before(self) -> list[int]:
        """Return the messages that an earlier try was sending when it ended."""
        return [index for index, state in enumerate(self._states) if state == State.LEAVING]

    def begin(self) -> list[int]:
        """Return the messages that this try is to send, in order, and let its time begin."""
        self._started = time.monotonic()
        self._pending = [index for index, state in enumerate(self._states) if state in {State.WAITING, State.PUT_OFF}]
        return self._pending

    def leaves(self, place: int) -> None:
        """See that the record says so before a message leaves.

        Args:
            place: its place among those that this try is to send.

        Raises:
            RuntimeError: it cannot be recorded.
        """
        if place < self._covered:
            return
        before, self._opened = self._opened, time.monotonic()
        self._ahead = min(2 * self._ahead, GROUP) if self._opened - before < _QUICK else 1
        window = min(self._ahead, max(1, _MOST_IN_DOUBT - self._states.count(State.LEAVING)))
        for index in self._pending[place : place + window]:
            self._states[index] = State.LEAVING
        self._covered = place + window
        try:
            self.write()
        except (OSError, ValueError) as error:  # which the conversation would take for the message's
            raise RuntimeError(f"What is sent cannot be recorded, so nothing more is sent: {error}") from error

    def settle(self, index: int, failure: Failure | None = None, outstanding: Outstanding | None = None) -> None:
        """Note that a message was sent, or what else became of it.

        Args:
            index: the message's.
            failure: why it was not, or may not have been.
            outstanding: who else is to get it, if some have it already.
        """
        state = failure.state if failure else State.SENT
        self._states[index] = state
        self._failures.pop(index, None)
        if failure is not None and state is not State.ASSUMED_SENT:
            self._name(failure)
        if outstanding is not None:
            self.outstanding[index] = outstanding
        elif state is not State.PUT_OFF:
            self.outstanding.pop(index, None)
        if self._ahead == 1 and State.LEAVING not in self._states:
            self.write()

    def has_room_for_outstanding(self, index: int) -> bool:
        """Whether it can be noted who else is to get a message."""
        return index in self.outstanding or len(self.outstanding) < _OUTSTANDING

    def take_back(self, place: int) -> None:
        """Note that of the messages that this try was to send, none has left from one on."""
        for index in self._pending[place:]:
            if self._states[index] == State.LEAVING:
                self._states[index] = State.WAITING

    def write(self) -> None:
        """Record all that is known."""
        self._record.write(
            {
                "digest": self._digest,
                "states": b64encode(zlib.compress(self._states)).decode(),
                "failures": [failure.as_json() for failure in self._failures.values()],
                "outstanding": [
                    [index, list(item.recipients), dict(item.refused)] for index, item in self.outstanding.items()
                ],
                "seconds": round(self._seconds(), 3),
            }
        )

    def _read(self, stored: dict[str, Any]) -> None:
        states = bytearray(zlib.decompress(b64decode(stored["states"])))
        if (stored["digest"], len(states)) != (self._digest, len(self._states)):
            raise InvalidMessage(
                f"messages: They are not those of an earlier try of this task, which had {len(states):,}, other "
                f"recipients or another order. Nothing more is sent. See that every try gets the same; to send all "
                f"of these, clear the task."
            )
        self._states = states
        self._failures = {item["index"]: Failure.from_json(item) for item in stored["failures"]}
        self.outstanding = {
            index: Outstanding(tuple(recipients), refused) for index, recipients, refused in stored["outstanding"]
        }
        self._earlier_seconds = stored["seconds"]

    def _name(self, failure: Failure) -> None:
        if sum(other.state is failure.state for other in self._failures.values()) < _limit(failure.state):
            self._failures[failure.index] = failure.shortened()

    def _seconds(self) -> float:
        return self._earlier_seconds + (time.monotonic() - self._started if self._started is not None else 0.0)


def _limit(state: State) -> int:
    return _MOST_IN_DOUBT if state is State.IN_DOUBT else _FAILURES
