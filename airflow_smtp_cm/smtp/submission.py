"""One message, in as many transactions as the server's limit of recipients requires (RFC 5321, section 4.5.3.1.10).

How it works. The first transaction offers all recipients, up to ``MOST_RECIPIENTS``. The others, and those whom the
server refused only because it has enough (``recipient_limit``), are offered in further transactions of the same
session, each with as many recipients as the server accepted before. The loop ends: each transaction accepts or
refuses at least one recipient. If the server reports too many recipients before it accepts anybody, the others are
refused, too.

What an editor must keep:

- After a transaction that accepted recipients, ``record_accepted`` is called before anything else. If the process
  ends there, the record knows who has the message.
- An error of a further transaction does not hide that others have the message: it is ``DeliveryIncomplete`` or
  ``DeliveryUncertain``, with the result so far (``followed_by``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import (
    DeliveryIncomplete,
    DeliveryUncertain,
    RecipientsRefused,
    SmtpError,
)
from airflow_smtp_cm.smtp.recipient_limit import is_too_many
from airflow_smtp_cm.smtp.result import Refusal, SendResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.transaction import Transaction


def submit(transaction: Transaction) -> Steps[SendResult]:
    """Send the message of a prepared transaction, and return its result.

    Raises:
        MessageError: the content cannot be read; nothing was sent.
        Refused: the server refused the sender or the content.
        RecipientsRefused: the server refused recipients; ``result`` is set if others have the message.
        DeliveryIncomplete: some recipients have the message, then an error ended a further transaction.
        DeliveryUncertain: the whole content was sent, and no final reply arrived.
    """
    first: SendResult | RecipientsRefused
    try:
        first = yield from transaction.execute()
    except RecipientsRefused as error:
        if not transaction.envelope.remaining:
            raise
        first = error
    return (yield from complete(transaction, first))


def complete(transaction: Transaction, first: SendResult | RecipientsRefused) -> Steps[SendResult]:
    """Send the message to the recipients who remain after the first transaction; see ``submit``.

    Args:
        transaction: the first transaction.
        first: its result, or the error if the server accepted none of its recipients.
    """
    if isinstance(first, SendResult):
        result = first
    else:
        result = replace(transaction.result_of_nobody(), refused=_refused(transaction, first))
    recorded: tuple[str, ...] = ()
    while remaining := transaction.envelope.remaining:
        if result.accepted != recorded:
            yield from transaction.record_accepted(result)
            recorded = result.accepted
        if (ended := transaction.end_of_session) is not None:
            raise _failure(result, ended, remaining)
        transaction.envelope.offer_next()
        try:
            result = result.followed_by((yield from transaction.execute()))
        except RecipientsRefused as error:
            result = replace(result, refused=result.refused + _refused(transaction, error))
        except SmtpError as error:
            raise _failure(result, error, remaining) from error
    explanation = transaction.envelope.explained(result.refused) if result.refused else ""
    if result.refused and not result.accepted:
        raise RecipientsRefused(transaction.peer, refused=result.refused, explanation=explanation)
    if (failure := RecipientsRefused.in_result(result, transaction.peer, explanation=explanation)) is not None:
        raise failure
    return result


def followed_by(
    earlier: SendResult, outcome: SendResult | SmtpError, remaining: Sequence[str]
) -> SendResult | SmtpError:
    """Return the outcome for all recipients of a message, of whom some have it, or may have it, from before.

    Args:
        earlier: the result so far.
        outcome: the outcome for the remaining recipients.
        remaining: the remaining recipients.
    """
    if isinstance(outcome, SmtpError):
        return _failure(earlier, outcome, remaining)
    result = earlier.followed_by(outcome)
    return RecipientsRefused.in_result(result) or result


def _failure(earlier: SendResult, error: SmtpError, remaining: Sequence[str]) -> SmtpError:
    match error:
        case DeliveryUncertain(result=SendResult() as now):
            return error.with_result(earlier.followed_by(now), error.unsent)
        case _ if not (earlier.accepted or earlier.uncertain):
            return error
        case RecipientsRefused(result=now):
            now = now or replace(earlier, refused=error.refused)
            return RecipientsRefused.in_result(earlier.followed_by(now)) or error
        case DeliveryIncomplete(result=now):
            return DeliveryIncomplete(result=earlier.followed_by(now), remaining=error.remaining, cause=error.cause)
        case _:
            return DeliveryIncomplete(result=earlier, remaining=remaining, cause=error)


def _refused(transaction: Transaction, error: RecipientsRefused) -> tuple[Refusal, ...]:
    """Return those whom a transaction refuses that accepted nobody; if there are too many, the others are refused."""
    refused = error.refused
    if all(is_too_many(refusal.reply) for refusal in refused):
        replies = dict.fromkeys(transaction.envelope.remaining, refused[-1].reply) | transaction.envelope.not_now
        refused += tuple(Refusal(address, replies[address]) for address in transaction.envelope.remaining)
        transaction.envelope.remaining = ()
    return refused
