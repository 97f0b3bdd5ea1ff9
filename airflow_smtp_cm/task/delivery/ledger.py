"""The record of a task's messages over all its tries; its size and the number of its writes are bounded.

What is recorded: the state of each message; for one message, also its whole result; for many, failures and results
of some. All failures are in the log.

When: right before the content of a message is transmitted (``record_sending``), between two transactions of one
message, and after its final reply (``settle``). For many messages, one write covers several. ``states`` explains what
the record means.

Where: in Airflow's task state store (Airflow 3.3 and newer). ``state_store`` explains which tries read and write it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import RecordError
from airflow_smtp_cm.smtp.recorded import RecordedPart
from airflow_smtp_cm.smtp.result import SendResult
from airflow_smtp_cm.task.delivery.states import Event, State, after, combined, missing
from airflow_smtp_cm.task.delivery.stored import Contents, Transmission, Writer, read
from airflow_smtp_cm.task.delivery.window import Window
from airflow_smtp_cm.task.state_store import LAST_TRY

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.task.delivery.result import Failure, MergeResult
    from airflow_smtp_cm.task.state_store import TaskRecord

logger = logging.getLogger(__name__)

# The record of 100,000 messages must be smaller than the 65,535 bytes ([state_store] max_value_storage_bytes) from
# which on Airflow warns. Their states take half of that if sent messages and others alternate at random.
_FAILURES = 30  # of each kind but uncertain ones
_UNCERTAIN = 40
_RESULTS = 100

_TO_BE_SENT = {State.WAITING, State.DEFERRED}
_RESULTS_KEPT = {State.DEFERRED, State.ASKED}
_NO_REPLY = {Event.UNCERTAIN, Event.RESEND, Event.ASSUME_SENT, Event.ASK}


class Ledger:
    """The states of all messages.

    Before messages are transmitted, SENDING is recorded for a few of them at once; their outcomes are written
    together with SENDING of the next few.

    Args:
        record: where it is stored.
        messages: the number of messages.
        digest: a hash of what must be the same in every try; None if there is no such check.
        connections: the number of connections that send at the same time.

    Attributes:
        digest: the hash of what earlier tries sent, if there were any.
        is_incomplete: whether an earlier try kept no record. Every message that it may have sent has the state
            SENDING, and no transmission.
        results: the results of messages that were sent to some recipients and not yet to others; or of the only
            message.
        transmissions: what is being sent now, of the only message or of messages in several transactions; or what a
            person is asked about.
        answers: the answers to questions about messages whose delivery was uncertain.
        transmitted_at: when SENDING was last recorded, in seconds since 1970; None if this is not known.

    Raises:
        InvalidMessage: the messages are not those of an earlier try.
        RecordError: the record of earlier tries cannot be read.
        DeliveryUncertain: the task resumes with an answer, and its record was deleted.
    """

    def __init__(self, record: TaskRecord, messages: int, digest: str | None = None, *, connections: int = 1) -> None:
        earlier = read(record, messages, digest)
        self.digest = earlier.digest
        self._states = bytearray(earlier.states)
        self._failures = earlier.failures
        self.results = earlier.results
        self.transmissions = earlier.transmissions
        self.answers = earlier.answers
        self.transmitted_at = earlier.transmitted_at
        self._earlier_seconds = earlier.seconds
        self._is_last = record.is_last
        self.is_incomplete = record.is_incomplete
        if self.is_incomplete:
            self._states[:] = (State.SENDING if state in _TO_BE_SENT else state for state in self._states)
        self._changed = False  # since the last write
        self._writer = Writer(record, bytes(self._states))
        self._started: float | None = None
        self._connections = connections
        self._window = Window(connections)

    @property
    def is_recorded(self) -> bool:
        """Whether a later try knows all outcomes, as far as it could know them."""
        return not self._changed or self._writer.error is None

    def summary(self) -> MergeResult:
        """Return the result of all messages."""
        from airflow_smtp_cm.task.delivery.result import MergeResult  # noqa: PLC0415 - only for many messages

        return MergeResult(
            messages=len(self._states),
            counts={state: self._states.count(state) for state in State},
            failures=tuple(failure for _, failure in sorted(self._failures.items())),
            seconds=self._seconds(),
        )

    def state(self, index: int) -> State:
        """Return a message's state."""
        return State(self._states[index])

    def interrupted(self) -> list[int]:
        """Return the indexes of messages that an earlier try was sending when it ended."""
        return [index for index, state in enumerate(self._states) if state == State.SENDING]

    def asked(self) -> list[int]:
        """Return the indexes of messages about which a person must be asked."""
        return [index for index, state in enumerate(self._states) if state == State.ASKED]

    def failure(self, index: int) -> Failure | None:
        """Return the description of a message that a recipient does not have, or may not have, if it is kept."""
        return self._failures.get(index)

    def begin(self) -> list[int]:
        """Start the clock, and return the indexes of the messages to send in this try, in order."""
        self._started = time.monotonic()
        pending = [index for index, state in enumerate(self._states) if state in _TO_BE_SENT]
        self._window = Window(self._connections, pending)
        return pending

    def recipients(self, index: int, message: MailMessage) -> tuple[str, ...]:
        """Return the recipients of a message who neither have it, or may have it, nor were rejected permanently."""
        result = self.results.get(index)
        return message.recipients if result is None else missing(result, message.recipients)

    def hand_out(self, index: int, message: MailMessage) -> WriteAheadMessage:
        """Return a message to send it now, to the recipients who remain; messages are handed out in order."""
        if self._states[index] != State.SENDING:
            self._window.hand_out(index)
        return WriteAheadMessage(self, index, message)

    def record_sending(self, index: int, result: SendResult, others: Collection[str]) -> None:
        """Record that a message is being sent, before its content is transmitted.

        Args:
            index: the index of the message.
            result: its result if there is no final reply.
            others: its recipients who are not in this transaction.

        Raises:
            RecordError: it cannot be recorded, or an earlier outcome could not.
        """
        is_first = self._window.holds(index)
        have_it = self.results[index].accepted if index in self.results else ()
        unsent = len(set(others).difference(have_it)) if others else 0
        # A further transaction of a message, or one for some of its recipients, is recorded by itself.
        if not is_first and not unsent and self._states[index] == State.SENDING:
            return
        if self._writer.error is not None:
            # The failed write may still arrive, and replace this one. A retry would then not know what is sent now.
            raise _unwritten(self._writer.error)
        due = self._window.take(index, self._states.count(State.SENDING)) if is_first else [index]
        states = bytes(self._states)
        for other in due:
            if self._states[other] != State.SENDING:
                self._move(other, Event.CONTENT_DUE)
        if not is_first or unsent or len(self._states) == 1:
            self.transmissions[index] = Transmission(result, unsent)
        self.transmitted_at = time.time()
        try:
            self._write()
        except Exception as error:
            self._states[:] = states
            self.transmissions.pop(index, None)
            raise _unwritten(error) from error

    def record_accepted(self, index: int, result: SendResult) -> None:
        """Record that some recipients of a message have it, and that a transaction for others follows.

        Args:
            index: the index of the message.
            result: the result of all its transactions in this try.
        """
        self._move(index, Event.PART)
        self.results[index] = combined(self.results.get(index), result)
        self.save()

    def settle(
        self,
        index: int,
        event: Event,
        *,
        result: SendResult | None = None,
        failure: Failure | None = None,
        unsent: int = 0,
    ) -> None:
        """Note the outcome for a message.

        Args:
            index: the index of the message.
            event: what happened.
            result: its result, if some recipients have it.
            failure: its description for the result, if a recipient does not have it, or may not have it.
            unsent: of a message that a person is asked about: the number of recipients to whom it was not sent yet.
        """
        self._move(index, event)
        state = self.state(index)
        self._failures.pop(index, None)
        self._window.discard(index)
        if failure is not None and state is not State.ASSUMED_SENT:
            self._keep(failure)
        if result is not None and state is State.ASKED:
            self.results.pop(index, None)
            result = self._open(index, result, unsent)
        if result is not None and (state in _RESULTS_KEPT or len(self._states) == 1):
            self.results[index] = result
        elif state not in _RESULTS_KEPT:
            self.results.pop(index, None)
        # With one connection, SENDING of the next message is written soon, together with this outcome. UNCERTAIN need
        # not be written: the record still has SENDING, which means the same to a retry.
        is_written_soon = self._window.size > 1 or (self._connections == 1 and State.SENDING in self._states)
        if event not in _NO_REPLY and not is_written_soon:
            self.save()

    def has_room_for_result(self, index: int) -> bool:
        """Return whether the record has room for the result of a message that some recipients do not have yet."""
        return index in self.results or len(self.results) < _RESULTS

    def mark_unsent(self, first: int = 0) -> None:
        """Note that the messages without an outcome, from the index ``first`` on, were not sent."""
        for index in range(first, len(self._states)):
            if self._states[index] == State.SENDING:
                self._move(index, Event.UNSENT)

    def save(self) -> None:
        """Write the record if it has changed; an error of the store must not replace the outcome of the mail."""
        if not self._changed:
            return
        try:
            self._write()
        except Exception:
            logger.exception("The record cannot be written. %s", self._writer.unknown_to_a_retry(bytes(self._states)))

    def save_for_answer(self) -> None:
        """Write the record, and let Airflow keep it until the answer arrives.

        Raises:
            RecordError: it cannot be written, and the answer would be applied to other messages than those that the
                question names.
        """
        try:
            self._write(for_answer=True)
        except Exception as error:
            asked = self.asked()
            if not self._writer.has_open(asked):
                logger.warning("%s", self._writer.unknown_to_a_retry(bytes(self._states)))
                raise RecordError(
                    f"Delivery of {len(asked):,} of {len(self._states):,} messages is uncertain. No question is "
                    f"asked, because the record cannot be written: {error}. Nothing is sent again. "
                    + (LAST_TRY if self._is_last else "A retry asks about all whose outcome is not recorded.")
                ) from error
            logger.exception("That a question is asked could not be recorded. The answer is applied nevertheless.")

    def _open(self, index: int, result: SendResult, unsent: int) -> SendResult | None:
        """Keep what a person is asked about; return the result for the other recipients, if there is one."""
        known = replace(result, uncertain=())
        is_for_others = bool(known.accepted or known.refused)
        if unsent or is_for_others or len(self._states) == 1:
            open_question = SendResult.without_reply(result.message_id, result.uncertain, result.size)
            self.transmissions[index] = Transmission(open_question, unsent)
        return known if is_for_others else None

    def _move(self, index: int, event: Event) -> None:
        self._states[index] = after(self.state(index), event)
        self.transmissions.pop(index, None)
        self._changed = True

    def _write(self, *, for_answer: bool = False) -> None:
        contents = Contents(
            digest=self.digest,
            states=bytes(self._states),
            failures=self._failures,
            results=self.results,
            transmissions=self.transmissions,
            answers=self.answers,
            transmitted_at=self.transmitted_at,
            seconds=self._seconds(),
        )
        self._writer.write(contents, for_answer=for_answer)
        self._changed = False

    def _keep(self, failure: Failure) -> None:
        if sum(other.state is failure.state for other in self._failures.values()) < _limit(failure.state):
            self._failures[failure.index] = failure.shortened()

    def _seconds(self) -> float:
        return self._earlier_seconds + (time.monotonic() - self._started if self._started is not None else 0.0)


class WriteAheadMessage(RecordedPart):
    """A message that records its transmission: right before its content is transmitted (write-ahead), and in between.

    Args:
        ledger: where it is recorded.
        index: the index of the message.
        message: the message.

    Attributes:
        recipients: the recipients to whom it is sent.
    """

    __slots__ = ("_index", "_ledger", "message", "recipients")

    def __init__(self, ledger: Ledger, index: int, message: MailMessage) -> None:
        self._ledger = ledger
        self._index = index
        self.message = message
        self.recipients = ledger.recipients(index, message)

    def record_sending(self, recipients: Sequence[str], size: int) -> None:
        """Record that the content is about to be transmitted to these recipients; see ``smtp.recorded``."""
        result = SendResult.without_reply(self.message_id, tuple(recipients), size)
        self._ledger.record_sending(self._index, result, set(self.recipients).difference(recipients))

    def record_accepted(self, result: SendResult) -> None:
        """Record the result so far; see ``smtp.recorded``."""
        self._ledger.record_accepted(self._index, result)


def _unwritten(error: Exception) -> RecordError:
    return RecordError(f"The record cannot be written, so nothing more is sent: {error}")


def _limit(state: State) -> int:
    return _UNCERTAIN if state in {State.UNCERTAIN, State.ASKED} else _FAILURES
