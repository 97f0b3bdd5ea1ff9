"""The delays before the next try, by the cause of a transient error; docs/reliability.md shows them as a table.

To add or change a delay, change ``CAUSES``, and ``cause_of`` if another error belongs to a cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import Phase, RecipientsRefused, SmtpError

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.reply import Reply

LONGEST_DELAY_MINUTES = 60

_CLOSING = 421
_LOCAL_ERROR = 451  # with 4.7.x (policy), Exchange and others throttle


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause of transient errors.

    The description begins the reason of a retry in the task's log. The errors are for the documentation.
    """

    description: str
    errors: str
    first_delay_minutes: int

    def delay(self, try_number: int) -> timedelta:
        """Return the delay after this try, counted from 1: it doubles with each try, up to an hour."""
        return timedelta(minutes=min(self.first_delay_minutes * 2 ** (try_number - 1), LONGEST_DELAY_MINUTES))


_NETWORK = Cause(
    "Network or server unavailable",
    "no connection, silence, connection lost before the end of the message; Airflow's API server cannot be reached",
    1,
)
# Most servers that use greylisting accept a message five minutes after the first attempt.
_DEFERRED = Cause(
    "The server deferred recipients (possibly greylisting)",
    "4xx to a recipient: greylisting, a full mailbox",
    6,
)
# Exchange limits messages and connections per minute, and other servers per longer period.
_BUSY = Cause("The server limits messages or connections", "421, or 451 with 4.7.x", 10)
_OTHER = Cause("The server cannot accept the message now", "any other 4xx", 5)
_NOT_FOUND = Cause(
    "Airflow does not find what the task needs, or cannot reach its database",
    "a connection or Variable that does not exist, which Airflow also reports if its database cannot be reached",
    1,
)

CAUSES = (_NETWORK, _DEFERRED, _BUSY, _OTHER, _NOT_FOUND)


def cause_of(error: Exception) -> Cause:
    """Return the cause of a transient error."""
    if not isinstance(error, SmtpError):
        return _NOT_FOUND
    reply: Reply | None = error.reply
    if isinstance(error, RecipientsRefused):
        reply = next(refusal.reply for refusal in error.refused if refusal.reply.transient)
    if reply is None:
        return _NETWORK
    if reply.code == _CLOSING:
        return _BUSY
    if error.phase is Phase.RCPT:
        return _DEFERRED
    throttled = reply.code == _LOCAL_ERROR and (reply.enhanced_code or "").startswith("4.7.")
    return _BUSY if throttled else _OTHER
