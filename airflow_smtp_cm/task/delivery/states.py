"""The states of a message over all tries of its task, and the events that change them.

How it works
============

A task has one record, whether it sends one message or a hundred thousand: the state of each message, and some
details for later tries (see ``ledger``). From Airflow 3.3 on, the record is kept for the next try, until the task is
cleared; the last try writes none. On older versions, and with ``durable=False``, each try has only its own record;
the states and the rules are the same.

::

    event        |  from WAITING   SENDING       DEFERRED   ASKED         |  what happened
    -------------+--------------------------------------------------------+----------------------------------------
    CONTENT_DUE  |  SENDING        -             SENDING    -             |  the content is about to be transmitted
    ACCEPTED     |  -              SENT          -          -             |  positive final reply for all recipients
    PART         |  -              DEFERRED      -          -             |  a transaction for others follows
    DEFERRED     |  DEFERRED       DEFERRED      DEFERRED   DEFERRED      |  a recipient does not have it yet
    REJECTED     |  FAILED         FAILED        FAILED     FAILED        |  a recipient will never have it
    UNCERTAIN    |  -              UNCERTAIN     -          UNCERTAIN     |  } the content was transmitted, or may
    RESEND       |  -              DEFERRED      -          DEFERRED      |  } have been, without a final reply:
    ASSUME_SENT  |  -              ASSUMED_SENT  -          ASSUMED_SENT  |  } ``on_uncertain``, or the answer of
    ASK          |  -              ASKED         ASKED      ASKED         |  } a person, chooses one of these
    UNSENT       |  -              WAITING       -          -             |  certainly not delivered in this try

    SENT, ASSUMED_SENT, FAILED and UNCERTAIN are final: no event changes them.

What a retry does depends only on the state of each message:

- WAITING, DEFERRED: it sends the message to all recipients who neither have it nor were rejected permanently.
- SENDING: an earlier try ended before the outcome was known. This is treated as a missing final reply: see
  ``on_uncertain``.
- ASKED: it sends nothing, and asks a person, after everything else was sent. When the task resumes with the answer,
  that takes the place of ``on_uncertain`` for these messages.
- a final state: it sends nothing.

What an editor must not break
=============================

1. *Write-ahead.* SENDING is in the record before the first byte of content is transmitted. If that cannot be
   written, nothing is transmitted. So every message that was delivered, or may have been, is in the record. The last
   try writes none; if Airflow runs the task once more, this is noticed, and all messages that are not in a final
   state count as SENDING (``state_store``).
2. *The outcome is recorded before QUIT.* QUIT takes time, in which a worker may be killed.
3. *An error of the store does not replace the outcome of the mail.* If the record cannot be written after the final
   reply, this is logged, and the task ends with the outcome of the mail. The record still has SENDING, which the next
   try treats as uncertain. Nothing more is sent in this try: the failed write may still arrive, and replace a later
   one (``Ledger.record_sending``). ``tests/task/delivery/store_faults`` has all cases.
4. *No recipient gets a second copy.* If some recipients have a message and others do not, this is recorded
   (``Ledger.results``), and the next try continues from there (``over_all_tries``). This includes a message with more
   recipients than the server accepts at once, which is sent in several transactions: what is uncertain after one of
   them is uncertain only for its recipients (``SendResult.uncertain``), and the others still get the message.
5. *One place decides.* ``RetryRules`` decides what an outcome means, for one message as for many. Its callers only
   word results and errors.
6. *A missing pair is an error.* ``after`` raises for an event that cannot happen in a state. Add a pair only with the
   reason why it can happen, here and in the test.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING, NamedTuple

from airflow_smtp_cm.smtp.errors import DeliveryIncomplete, DeliveryUncertain, RecipientsRefused, SmtpError
from airflow_smtp_cm.smtp.result import SendResult
from airflow_smtp_cm.smtp.submission import followed_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_smtp_cm.smtp.result import Refusal
    from airflow_smtp_cm.task.state_store import OnUncertain, TaskRecord


class State(IntEnum):
    """The state of a message; records contain the numbers."""

    WAITING = 0
    SENDING = 1
    SENT = 2
    ASSUMED_SENT = 3
    DEFERRED = 4
    FAILED = 5
    UNCERTAIN = 6
    ASKED = 7


class Event(Enum):
    """An event in the life of a message; see the table above."""

    CONTENT_DUE = auto()
    ACCEPTED = auto()
    PART = auto()
    DEFERRED = auto()
    REJECTED = auto()
    UNCERTAIN = auto()
    RESEND = auto()
    ASSUME_SENT = auto()
    ASK = auto()
    UNSENT = auto()


_TO_BE_SENT = {
    Event.CONTENT_DUE: State.SENDING,
    Event.DEFERRED: State.DEFERRED,
    Event.REJECTED: State.FAILED,
}

TRANSITIONS: Mapping[State, Mapping[Event, State]] = {
    State.WAITING: _TO_BE_SENT,
    State.SENDING: {
        Event.ACCEPTED: State.SENT,
        Event.PART: State.DEFERRED,
        Event.DEFERRED: State.DEFERRED,
        Event.REJECTED: State.FAILED,
        Event.UNCERTAIN: State.UNCERTAIN,
        Event.RESEND: State.DEFERRED,
        Event.ASSUME_SENT: State.ASSUMED_SENT,
        Event.ASK: State.ASKED,
        Event.UNSENT: State.WAITING,
    },
    State.SENT: {},
    State.ASSUMED_SENT: {},
    # ASK: some recipients may have it from an earlier transaction, and no retry follows for the others.
    State.DEFERRED: {**_TO_BE_SENT, Event.ASK: State.ASKED},
    State.FAILED: {},
    State.UNCERTAIN: {},
    State.ASKED: {
        # The answer is about those who may have it; others do not have it yet, or were refused.
        Event.DEFERRED: State.DEFERRED,
        Event.REJECTED: State.FAILED,
        Event.UNCERTAIN: State.UNCERTAIN,
        Event.RESEND: State.DEFERRED,
        Event.ASSUME_SENT: State.ASSUMED_SENT,
        Event.ASK: State.ASKED,
    },
}

OPEN = frozenset({State.SENDING, State.ASKED})
"""The states of messages to which an answer applies: an earlier try may have sent them."""

_ON_UNCERTAIN: Mapping[OnUncertain, Event] = {
    "fail": Event.UNCERTAIN,
    "resend": Event.RESEND,
    "assume_sent": Event.ASSUME_SENT,
    "ask": Event.ASK,
}


def after(state: State, event: Event) -> State:
    """Return the state after an event.

    Raises:
        RuntimeError: it cannot happen in this state.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise RuntimeError(f"A message in the state {state.name} cannot get the event {event.name}.") from None


def over_all_tries(
    earlier: SendResult | None, outcome: SendResult | SmtpError, recipients: Sequence[str]
) -> SendResult | SmtpError:
    """Return the outcome of this and all earlier tries together.

    Args:
        earlier: the result of earlier tries; None if no recipient has the message, or may have it.
        outcome: the outcome of this try.
        recipients: the recipients of this try: those who remained.
    """
    if earlier is None:
        return outcome
    outcome = followed_by(_without_deferred(earlier), outcome, recipients)
    return (isinstance(outcome, SendResult) and _uncertain_in(outcome)) or outcome


def combined(earlier: SendResult | None, now: SendResult) -> SendResult:
    """Return the result of earlier tries and of this one, in which those who were deferred were retried."""
    return now if earlier is None else _without_deferred(earlier).followed_by(now)


def _without_deferred(result: SendResult) -> SendResult:
    return replace(result, refused=rejected(result))


def result_of(outcome: SendResult | SmtpError) -> SendResult | None:
    """Return the result in an outcome; None if no recipient has the message, or may have it."""
    if isinstance(outcome, RecipientsRefused | DeliveryIncomplete | DeliveryUncertain):
        return outcome.result
    return outcome if isinstance(outcome, SendResult) else None


def _uncertain_in(result: SendResult) -> DeliveryUncertain | None:
    if not result.uncertain:
        return None
    return DeliveryUncertain(
        f"The message {result.message_id} was sent to some recipients without a final reply, before it was sent to "
        f"the others. Check the server's log, or ask the recipients, before you send it again.",
        result=result,
    )


def rejected(result: SendResult) -> tuple[Refusal, ...]:
    """Return the recipients who were rejected permanently."""
    return tuple(refusal for refusal in result.refused if not refusal.reply.transient)


def missing(result: SendResult, recipients: Sequence[str]) -> tuple[str, ...]:
    """Return those of the recipients who neither have the message, or may have it, nor were rejected permanently."""
    settled = {*result.accepted, *result.uncertain, *(refusal.address for refusal in rejected(result))}
    return tuple(address for address in recipients if address not in settled)


class RetryRules(NamedTuple):
    """The rules that decide which event an outcome is, and so what a retry does.

    Attributes:
        on_uncertain: what to do if delivery is uncertain.
        all_or_nothing: whether a message is sent to no recipient if the server refuses any of them.
        has_record: whether the task keeps a record for its retries.
    """

    on_uncertain: OnUncertain
    all_or_nothing: bool
    has_record: bool

    @classmethod
    def of_task(cls, record: TaskRecord, on_uncertain: OnUncertain, *, all_or_nothing: bool) -> RetryRules:
        """Return the rules for a task; without a record, nobody is asked, and the task fails."""
        can_ask = record.is_available and record.is_written
        return cls(
            on_uncertain="fail" if on_uncertain == "ask" and not can_ask else on_uncertain,
            all_or_nothing=all_or_nothing,
            has_record=record.is_available,
        )

    def event(self, outcome: SendResult | SmtpError) -> Event:
        """Return the event for an outcome of all tries."""
        if isinstance(outcome, SendResult):
            return Event.ACCEPTED
        if isinstance(outcome, DeliveryUncertain):
            return self._event_if_uncertain(outcome)
        if isinstance(outcome, DeliveryIncomplete):
            return Event.DEFERRED if outcome.cause.transient and self.has_record else Event.REJECTED
        if outcome.transient:
            return Event.DEFERRED
        some_deferred = isinstance(outcome, RecipientsRefused) and any(
            refusal.reply.transient for refusal in outcome.refused
        )
        # Without a record, a retry would send to all recipients.
        return Event.DEFERRED if some_deferred and self.has_record and not self.all_or_nothing else Event.REJECTED

    def conclude(
        self, outcome: SendResult | SmtpError, earlier: SendResult | None = None, recipients: Sequence[str] = ()
    ) -> tuple[Event, SendResult | SmtpError, SendResult | None]:
        """Decide what the outcome of a try means, together with earlier tries; see ``over_all_tries``.

        Returns:
            The event; the outcome of all tries; and what to keep for a retry: the result for those who have the
            message, or may have it. Uncertain recipients who are assumed to have it count as accepted there.
        """
        outcome = over_all_tries(earlier, outcome, recipients)
        event, kept = self.event(outcome), result_of(outcome)
        if kept is not None and kept.uncertain and self.on_uncertain in {"resend", "assume_sent"}:
            assumed = kept.uncertain if self.on_uncertain == "assume_sent" else ()
            kept = replace(kept, accepted=kept.accepted + assumed, uncertain=())
            if not kept.accepted:
                kept = None
        if event is Event.ASSUME_SENT and kept is not None and (refused := RecipientsRefused.in_result(kept)):
            return self.event(refused), refused, kept
        return event, outcome, kept

    def asks(self, event: Event, kept: SendResult | None, *, is_last: bool) -> bool:
        """Return whether a person must be asked about an outcome.

        Not if an automatic retry follows for other recipients: it comes first.

        Args:
            event: the event for the outcome of all tries.
            kept: the result to keep.
            is_last: whether Airflow does not retry this try by itself.
        """
        if self.on_uncertain != "ask" or kept is None or not kept.uncertain:
            return False
        return event is not Event.DEFERRED or is_last

    def _event_if_uncertain(self, outcome: DeliveryUncertain) -> Event:
        in_parts = outcome.unsent or (outcome.result is not None and outcome.result.accepted)
        if not self.has_record:
            # A retry would send to those who have the message, and the others would never get it.
            return Event.UNCERTAIN if in_parts else self.if_uncertain
        return Event.DEFERRED if outcome.unsent else self.if_uncertain

    @property
    def if_uncertain(self) -> Event:
        """The event for a message without a final reply."""
        return _ON_UNCERTAIN[self.on_uncertain]
