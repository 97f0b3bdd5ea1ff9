"""The states of a message over all tries of its task, and what moves it from one to the next.

How it works
============

A task has one record, whether it sends one message or a hundred thousand: the state of each message, and what a later
try needs besides (see ``ledger``). From Airflow 3.3 on, the record outlives the try, and Clear ends it. On older
versions, and with ``durable=False``, a try knows only about itself; the states and the rules are the same.

::

    event        |  from WAITING   SENDING       DEFERRED   |  what happened
    -------------+------------------------------------------+------------------------------------------------------
    CONTENT_DUE  |  SENDING        -             SENDING    |  the conversation asked for the first byte of content
    ACCEPTED     |  -              SENT          -          |  positive final reply, and no recipient is missing
    DEFERRED     |  DEFERRED       DEFERRED      DEFERRED   |  not delivered to somebody, and a retry may deliver it
    REJECTED     |  FAILED         FAILED        FAILED     |  not delivered to somebody, and no retry will deliver it
    UNCERTAIN    |  -              UNCERTAIN     -          |  } the content was transmitted, or may have been, and
    RESEND       |  -              DEFERRED      -          |  } there was no final reply; ``on_uncertain`` chooses
    ASSUME_SENT  |  -              ASSUMED_SENT  -          |  } which of the three it is
    UNSENT       |  -              WAITING       -          |  it is certain that nobody received it in this try

    SENT, ASSUMED_SENT, FAILED and UNCERTAIN are final: no event moves a message from there.

A retry finds each message in one of these states and does the following, and nothing else:

- WAITING, DEFERRED: it sends the message to all recipients who neither have it nor were rejected permanently.
- SENDING: an earlier try ended before the outcome was known. That is the same as no final reply: ``on_uncertain``.
- a final state: it sends nothing.

What an editor must not break
=============================

1. *Write-ahead.* SENDING is in the record before the first byte of content is transmitted. If that cannot be
   written, nothing is transmitted. So what was delivered, or may have been, is in the record.
2. *The outcome is recorded before QUIT.* QUIT takes time, in which a worker may be killed.
3. *The outcome of the mail stands.* A fault of the store after the final reply is logged, and the task ends as the
   mail did. The record still has SENDING, which the next try treats as uncertain.
4. *No recipient gets a second copy.* Who has a message that others are still to get is kept (``Ledger.results``), and
   the next try continues from there (``over_all_tries``).
5. *One place decides.* What an outcome means is decided by ``RetryRules``, for one message as for many. What calls it
   words results and errors, and decides nothing.
6. *A pair that is missing is an error.* ``after`` raises for what cannot happen. Add a pair only with the reason why
   it can happen, here and in the test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import DeliveryUncertain, RecipientsRefused, SmtpError
from airflow_smtp_cm.smtp.result import SendResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_smtp_cm.smtp.result import Refusal
    from airflow_smtp_cm.task.state_store import OnUncertain


class State(IntEnum):
    """What is known about a message; the numbers are those in records."""

    WAITING = 0
    SENDING = 1
    SENT = 2
    ASSUMED_SENT = 3
    DEFERRED = 4
    FAILED = 5
    UNCERTAIN = 6


class Event(Enum):
    """What happens to a message; the module's table explains each."""

    CONTENT_DUE = auto()
    ACCEPTED = auto()
    DEFERRED = auto()
    REJECTED = auto()
    UNCERTAIN = auto()
    RESEND = auto()
    ASSUME_SENT = auto()
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
        Event.DEFERRED: State.DEFERRED,
        Event.REJECTED: State.FAILED,
        Event.UNCERTAIN: State.UNCERTAIN,
        Event.RESEND: State.DEFERRED,
        Event.ASSUME_SENT: State.ASSUMED_SENT,
        Event.UNSENT: State.WAITING,
    },
    State.SENT: {},
    State.ASSUMED_SENT: {},
    State.DEFERRED: _TO_BE_SENT,
    State.FAILED: {},
    State.UNCERTAIN: {},
}

_ON_UNCERTAIN: Mapping[OnUncertain, Event] = {
    "fail": Event.UNCERTAIN,
    "resend": Event.RESEND,
    "assume_sent": Event.ASSUME_SENT,
}


def after(state: State, event: Event) -> State:
    """Return the state that an event leads to.

    Raises:
        RuntimeError: it cannot happen in this state.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise RuntimeError(f"A message in the state {state.name} cannot get the event {event.name}.") from None


def over_all_tries(earlier: SendResult | None, outcome: SendResult | SmtpError) -> SendResult | SmtpError:
    """Return the outcome of a try together with what is certain from the tries before it.

    Args:
        earlier: who has the message, and who was refused, since earlier tries; None if nobody has it.
        outcome: what this try achieved, for the recipients who were still outstanding.
    """
    if earlier is None or not isinstance(outcome, SendResult | RecipientsRefused):
        return outcome
    now = result_of(outcome)
    result = replace(
        now or earlier,
        accepted=earlier.accepted + (now.accepted if now else ()),
        refused=rejected(earlier) + (outcome.refused if isinstance(outcome, RecipientsRefused) else ()),
    )
    return RecipientsRefused.in_result(result) or result


def result_of(outcome: SendResult | SmtpError) -> SendResult | None:
    """Return what is certain after an outcome, if somebody has the message."""
    if isinstance(outcome, RecipientsRefused):
        return outcome.result
    return outcome if isinstance(outcome, SendResult) else None


def rejected(result: SendResult) -> tuple[Refusal, ...]:
    """Return the recipients who were rejected permanently."""
    return tuple(refusal for refusal in result.refused if not refusal.reply.transient)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """What the outcome of a try means for the message, and so for a retry.

    Attributes:
        on_uncertain: what to do if nobody can know whether a message was delivered.
        all_or_nothing: whether a message goes to nobody if the server refuses anybody.
        has_record: whether a retry will know what this try did.
    """

    on_uncertain: OnUncertain
    all_or_nothing: bool
    has_record: bool

    def event(self, outcome: SendResult | SmtpError) -> Event:
        """Return what an outcome, over all tries, is for the message."""
        if isinstance(outcome, SendResult):
            return Event.ACCEPTED
        if isinstance(outcome, DeliveryUncertain):
            return self.if_uncertain
        if outcome.transient:
            return Event.DEFERRED
        some_deferred = isinstance(outcome, RecipientsRefused) and any(
            refusal.reply.transient for refusal in outcome.refused
        )
        # Without a record, a retry would send to everybody.
        return Event.DEFERRED if some_deferred and self.has_record and not self.all_or_nothing else Event.REJECTED

    @property
    def if_uncertain(self) -> Event:
        """What it is for a message if there was no final reply."""
        return _ON_UNCERTAIN[self.on_uncertain]
