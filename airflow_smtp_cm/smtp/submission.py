"""One message, in as many transactions as the server's limit of recipients requires (RFC 5321, section 4.5.3.1.10).

How it works. The first transaction offers all recipients, up to ``MOST_RECIPIENTS``. The others, and those whom the
server refused only because it has enough (``recipient_limit``), are offered in further transactions of the same
session, each with as many recipients as the server accepted before. The loop ends: each transaction accepts or
refuses at least one recipient. If the server has enough before it accepts anybody, the others are refused, too.

What an editor must keep:

- After a transaction that accepted recipients, ``record_accepted`` is called before the next one. If the process ends
  there, the record knows who has the message.
- An error of a further transaction does not hide that others have the message: it is ``DeliveryIncomplete`` or
  ``DeliveryUncertain``, with the result so far.
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
from airflow_smtp_cm.smtp.recipient_limit import over_limit
from airflow_smtp_cm.smtp.result import Refusal

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.result import SendResult
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
    return (yield from complete(transaction, (yield from transaction.execute())))


def complete(transaction: Transaction, result: SendResult) -> Steps[SendResult]:
    """Send the message to the recipients who remain after the first transaction; see ``submit``.

    Args:
        transaction: the first transaction.
        result: its result.
    """
    remaining = transaction.remaining
    recorded = False
    while remaining:
        if (ended := transaction.end_of_session) is not None:
            raise DeliveryIncomplete(result=result, unsent=len(remaining), cause=ended)
        if not recorded:
            yield from transaction.record_accepted(result)
            recorded = True
        offered, later = remaining[: transaction.most], remaining[transaction.most :]
        transaction.offer(offered)
        try:
            part = yield from transaction.execute()
        except RecipientsRefused as error:
            # None was accepted. If the server has enough, it will not accept the later ones either.
            too_many = over_limit([(refusal.address, refusal.reply) for refusal in error.refused])
            not_offered = later if too_many else ()
            replies = dict.fromkeys(not_offered, error.refused[-1].reply) | transaction.not_now
            refused = tuple(Refusal(address, replies[address]) for address in not_offered)
            result = replace(result, refused=result.refused + error.refused + refused)
            remaining = later[len(not_offered) :]
        except DeliveryUncertain as error:
            uncertain = result.followed_by(error.result) if error.result else result
            raise error.with_result(uncertain, error.unsent + len(later)) from error
        except SmtpError as error:
            raise DeliveryIncomplete(result=result, unsent=len(remaining), cause=error) from error
        else:
            result = result.followed_by(part)
            recorded = False
            remaining = transaction.remaining + later
    explanation = transaction.explained(result.refused)
    if (failure := RecipientsRefused.in_result(result, transaction.peer, explanation=explanation)) is not None:
        raise failure
    return result
