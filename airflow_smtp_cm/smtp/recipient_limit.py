"""How many recipients a transaction has, and which refused ones mean "not in this one" (RFC 5321, 4.5.3.1.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.smtp.reply import Reply

# 552 in servers older than RFC 2821. A server that refuses such messages altogether answers 550 or 554.
_CODES = (452, 552)
_TOO_MANY_RECIPIENTS = ".5.3"  # RFC 3463, section 3.6

MOST_RECIPIENTS = 1000
"""The most recipients that one transaction offers, unless it must have all of them.

Servers count recipients above their limit as errors, and end the session after too many of them: Postfix, whose limit
is 1,000 by default, after 1,000 further ones (``smtpd_recipient_overshoot_limit``) and 20 errors.
"""


def over_limit(answered: Sequence[tuple[str, Reply]]) -> set[str]:
    """Return the recipients whom the server refused only because it has enough in this transaction.

    The codes have other meanings, too: a full mailbox or disk. The enhanced status code decides. Without one, the
    position decides: a server over its limit refuses all further recipients, so the reply counts if no recipient
    after it was accepted. If it was a full mailbox after all, the further transaction gets the same reply again; it
    is then a refusal of these recipients, and the others are offered in another transaction.

    If the server refuses all recipients like this, it would do so in the next transaction, too: they are refused.

    Args:
        answered: the recipients of a transaction and their replies, in order.
    """
    found: set[str] = set()
    accepts_nobody_more = any(reply.positive for _, reply in answered)
    for address, reply in reversed(answered):
        if reply.positive:
            accepts_nobody_more = False
        elif reply.code in _CODES and (is_too_many(reply) if reply.enhanced_code else accepts_nobody_more):
            found.add(address)
    return found if len(found) < len(answered) else set()


def is_too_many(reply: Reply) -> bool:
    """Whether a reply is certainly about the number of recipients, by its enhanced status code."""
    return reply.code in _CODES and (reply.enhanced_code or "").endswith(_TOO_MANY_RECIPIENTS)
