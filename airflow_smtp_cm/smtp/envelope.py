"""The envelope of a message: which recipients each of its transactions offers, and what the replies to them mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.commands import mail_command, rcpt_command
from airflow_smtp_cm.smtp.errors import MessageError, Phase, RecipientsRefused, Refused
from airflow_smtp_cm.smtp.recipient_limit import MOST_RECIPIENTS, over_limit
from airflow_smtp_cm.smtp.result import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.smtp.delivery_notification import DeliveryNotification
    from airflow_smtp_cm.smtp.interfaces import Content, Outgoing
    from airflow_smtp_cm.smtp.reply import Reply
    from airflow_smtp_cm.smtp.wire import Command, Pipeline, Wire


class Envelope:
    """The sender and the recipients of one message on one connection.

    Args:
        wire: the connection, after login.
        all_or_nothing: send to no recipient if the server refuses one.
        notification: the delivery reports to request.

    Attributes:
        commands: MAIL and RCPT of the current transaction.
        accepted: the recipients whom the server accepted in the current transaction.
        refused: those whom it refused, except ``remaining``.
        remaining: the recipients for further transactions: those whom the server refused in this one only, since it
            has enough, and those above ``MOST_RECIPIENTS``, who were not offered; with ``all_or_nothing``, there are
            none.
        not_now: the last reply to each recipient whom the server refused only since it had enough.
        count: the number of transactions.
    """

    commands: Sequence[Command]
    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    remaining: tuple[str, ...]
    _later: tuple[str, ...]  # those above MOST_RECIPIENTS

    def __init__(self, wire: Wire, *, all_or_nothing: bool, notification: DeliveryNotification | None) -> None:
        self._wire = wire
        self._all_or_nothing = all_or_nothing
        self._notification = notification
        self._most = MOST_RECIPIENTS  # how many recipients a further transaction offers
        self.not_now: dict[str, Reply] = {}
        self.count = 1
        self._offer((), ())

    def begin(self, message: Outgoing, content: Content) -> None:
        """Prepare the first transaction.

        Raises:
            MessageError: the server cannot have the envelope; that of all transactions is checked.
        """
        recipients, extensions = message.recipients, self._wire.extensions
        if not recipients:
            raise MessageError("The message has no recipient.")
        if not content.utf8 and not all(address.isascii() for address in (message.sender, *recipients)):
            raise MessageError(f"An address is not ASCII, and {self._wire.peer} does not offer SMTPUTF8.")
        if self._notification is not None and "DSN" not in extensions:
            raise MessageError(f"Delivery notifications are requested, and {self._wire.peer} does not offer DSN.")
        self._sender = message.sender
        offered = len(recipients) if self._all_or_nothing else MOST_RECIPIENTS
        self._offer(recipients[:offered], tuple(recipients[offered:]))
        self.commands = [
            mail_command(message.sender, content, extensions, self._notification),
            *self._rcpt_commands(),
        ]

    def offer_next(self) -> None:
        """Prepare a further transaction, for the next of the remaining recipients."""
        self.count += 1
        self._offer(self.remaining[: self._most], self.remaining[self._most :])
        self.commands = [self.commands[0], *self._rcpt_commands()]

    @property
    def addressed(self) -> tuple[str, ...]:
        """The recipients to whom the current transaction sends the content, as far as is known."""
        return self.accepted or tuple(self._offered)

    def explained(self, refused: tuple[Refusal, ...]) -> str:
        """Return what the refusals mean, for error messages; empty if this is not known."""
        return self._wire.explained(*(refusal.reply for refusal in refused))

    def error(self, pipeline: Pipeline) -> Refused | None:
        """Store the accepted recipients, and return the error if the envelope was refused.

        The result is None if the envelope was accepted, and also if replies to recipients are missing.
        """
        mail, recipients = pipeline.replies[:1], pipeline.replies[1 : 1 + len(self._offered)]
        if mail and not mail[0].positive:
            return self._wire.refused(
                f"{self._wire.peer} refused the sender {self._sender}",
                Phase.MAIL,
                pipeline.commands[0].line,
                mail[0],
            )
        if len(recipients) < len(self._offered):
            return None
        answered = list(zip(self._offered, recipients, strict=True))
        self.accepted = tuple(address for address, reply in answered if reply.positive)
        if len(self.accepted) == len(answered):
            return None
        refused = tuple(Refusal(address, reply) for address, reply in answered if not reply.positive)
        not_now = over_limit(answered)
        if not self._all_or_nothing:
            if not_now:
                self._most = len(self.accepted) or len(answered) - len(not_now)
                self.not_now |= {address: reply for address, reply in answered if address in not_now}
            self.remaining = (*(item.address for item in refused if item.address in not_now), *self._later)
            self.refused = refused = tuple(item for item in refused if item.address not in not_now)
            if self.accepted:
                return None
        return RecipientsRefused(
            self._wire.peer,
            refused=refused,
            accepted=len(self.accepted),
            over_limit=self._all_or_nothing and bool(self.accepted and not_now),
            unsent=len(self.remaining),
            explanation=self.explained(refused),
        )

    def _offer(self, offered: Sequence[str], later: tuple[str, ...]) -> None:
        self._offered = offered
        self._later = self.remaining = later
        self.accepted = ()
        self.refused = ()

    def _rcpt_commands(self) -> list[Command]:
        return [rcpt_command(recipient, self._notification) for recipient in self._offered]
