"""The messages of a bulk that are not settled, and what becomes of each when a session fails.

How it works. Each message that was taken from the iterator is settled once, in the order of the messages, or put back
for the next session. A failed message is put back if the server certainly has not accepted it, and only the session
is over, not this message:

    the connection broke, or the server sent 421                  the session ended before the message
    the server refused it with a reply about the session          see ``SESSION_OVER``
    the same, between two transactions of the message             only its ``Rest`` is put back

A session that ends at its first message may have ended because of this message: it is settled with the error, and the
next session begins with the message after it. If the next session is as fruitless, the server is the reason, and the
error is raised.

If the transmission of a message cannot be recorded, neither it nor a later one is sent. Those in flight are settled,
and the error is raised.

What an editor must keep:

- A message is put back only if the server certainly has not accepted it, since it will be sent again.
- A message is put back at the front, so a later message must be put back before an earlier one. A message is settled
  or put back before later ones are settled.
- Each session settles a message, or sends one to some recipients, or raises. Otherwise the same messages would open
  session after session, without an end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.effects import Settled
from airflow_smtp_cm.smtp.errors import DeliveryIncomplete, MessageError, RecipientsRefused, RecordError, SmtpError
from airflow_smtp_cm.smtp.recorded import Recorded, RecordedPart
from airflow_smtp_cm.smtp.submission import complete, followed_by, submit
from airflow_smtp_cm.smtp.transaction import Transaction
from airflow_smtp_cm.smtp.wire import CLOSING, TOO_LONG, Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.reply import Reply
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.wire import Wire

# Replies in a transaction that are about the session: it has lasted too long, or had enough messages. RFC 3463 calls
# x.4.2 "bad connection" and x.4.5 "system congestion"; servers answer 454 4.7.0 with "too many messages".
SESSION_OVER = {TOO_LONG, (452, "4.4.5"), (454, "4.7.0")}


@dataclass(slots=True)
class InFlight:
    """A message that is being sent.

    Attributes:
        message: the message.
        transaction: its transaction on this connection.
        pipeline: its commands that were sent together.
        content: its content, encoded for DATA.
        error: why it is not sent, or the refusal of its envelope.
    """

    message: Outgoing
    transaction: Transaction
    pipeline: Pipeline = field(default_factory=lambda: Pipeline([]))
    content: bytes = b""
    error: SmtpError | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the server has replied to all of the pipeline."""
        return len(self.pipeline.replies) == len(self.pipeline.commands)


@dataclass(frozen=True, slots=True)
class Rest(RecordedPart):
    """A message for the recipients who remain, since the session ended between two of its transactions.

    Attributes:
        message: the message.
        recipients: the recipients who remain.
        result: the result for the others.
    """

    message: Outgoing
    recipients: tuple[str, ...]
    result: SendResult

    @classmethod
    def after(cls, message: Outgoing, error: DeliveryIncomplete) -> Rest:
        """Return the rest of a message, or of a rest."""
        if isinstance(message, cls):
            return cls(message.message, error.remaining, message.result.followed_by(error.result))
        return cls(message, error.remaining, error.result)

    def record_sending(self, recipients: Sequence[str], size: int) -> None:
        """Record that the content is about to be transmitted, if the message keeps a record."""
        if isinstance(self.message, Recorded):
            self.message.record_sending(recipients, size)

    def record_accepted(self, result: SendResult) -> None:
        """Record the result of all sessions so far, if the message keeps a record."""
        if isinstance(self.message, Recorded):
            self.message.record_accepted(self.result.followed_by(result))

    def outcome(self, outcome: SendResult | SmtpError) -> SendResult | SmtpError:
        """Return the outcome of the whole message, from that of the rest."""
        return followed_by(self.result, outcome, self.recipients)


class Outbox:
    """The messages of a bulk.

    Args:
        messages: the messages.
        all_or_nothing: send a message to no recipient if the server refuses one.
        most: messages per session; None for no limit.

    Attributes:
        wire: the connection of the session.
        session_is_refused: whether the server has refused a message because of the session, which is still open.
        source_error: the error of the iterator, to be raised after the messages before it are settled.
        record_error: why no further message can be recorded, to be raised after those in flight are settled.
    """

    wire: Wire
    session_is_refused: bool

    def __init__(self, messages: Iterable[Outgoing], *, all_or_nothing: bool, most: int | None) -> None:
        self._messages = iter(messages)
        self._returned: deque[Outgoing] = deque()  # taken from the iterator, and not sent
        self._all_or_nothing = all_or_nothing
        self._most = most
        self._last_was_fruitless = False  # the session before
        self.source_error: Exception | None = None
        self.record_error: RecordError | None = None

    def begin_session(self, wire: Wire) -> None:
        """Begin with a new session, or continue the same one."""
        if getattr(self, "wire", None) is not wire:  # the counts are those of the session, over several runs
            self.wire, self._started, self._is_fruitless, self.session_is_refused = wire, 0, True, False

    @property
    def session_is_full(self) -> bool:
        """Whether no more messages may be sent over this session, though it is open."""
        return self.session_is_refused or (self._most is not None and self._started >= self._most)

    @property
    def is_empty(self) -> bool:
        """Whether no message is left; this may take one from the iterator."""
        message = self.next_message()
        if message is not None:
            self.put_back(message)
        return message is None

    def next_message(self) -> Outgoing | None:
        """Return the next message; None if none is left."""
        return self._returned.popleft() if self._returned else next(self._messages, None)

    def put_back(self, *messages: Outgoing) -> None:
        """Put messages back at the front, in this order."""
        self._returned.extendleft(reversed(messages))

    def undo_prepare(self, item: InFlight) -> None:
        """Put back a message that was prepared and not sent; it will be prepared again."""
        self._started -= 1
        self.put_back(item.message)

    def prepare_next(self) -> InFlight | None:
        """Return the next message, rendered for this server; None if there is none or the session is full."""
        if self.session_is_full or self.record_error is not None:
            return None
        try:
            message = self.next_message()
        except Exception as error:  # noqa: BLE001 - raised after the messages before it are settled
            self.source_error = error
            return None
        if message is None:
            return None
        self._started += 1
        transaction = Transaction(self.wire, message, all_or_nothing=self._all_or_nothing, notification=None)
        item = InFlight(message, transaction)
        try:
            transaction.prepare()
        except MessageError as error:
            item.error = error
        except ValueError as error:  # raised by the message policy
            item.error = MessageError(str(error))
        return item

    def record_sending(self, item: InFlight) -> Steps[bool]:
        """Record that the content is about to be transmitted; if that fails, put it back and return False."""
        try:
            yield from item.transaction.record_sending()
        except RecordError as error:
            self.stop(error, item.message)
            return False
        return True

    def stop(self, error: RecordError, *unsent: Outgoing) -> None:
        """Send no further message, since it cannot be recorded, and put unsent messages back."""
        self.record_error = self.record_error or error
        self.put_back(*unsent)

    def send_alone(self, item: InFlight) -> Steps[None]:
        """Send one message, and settle it or put it back."""
        if item.error is not None:
            yield from self.settle(item, item.error)
        else:
            yield from self._settle_after(item, submit(item.transaction))

    def settle(self, item: InFlight, outcome: SendResult | SmtpError) -> Steps[None]:
        """Report the outcome of a message."""
        self._is_fruitless = self._last_was_fruitless = False
        yield Settled(_whole(item.message, outcome))

    def settle_reply(self, item: InFlight, reply: Reply, *, alone: bool = True) -> Steps[None]:
        """Settle a message by its final reply, after further transactions if recipients remain.

        Args:
            item: the message.
            reply: the final reply.
            alone: whether no later message is in flight, so that this one can be put back.
        """
        try:
            result = item.transaction.result(reply)
        except SmtpError as error:
            yield from self.settle_failure(item, error, alone=alone)
        else:
            yield from self._settle_after(item, complete(item.transaction, result), alone=alone)

    def settle_failure(self, item: InFlight, error: SmtpError, *, alone: bool = True) -> Steps[None]:
        """Settle a message whose first transaction failed, or put it back if only the session is over.

        If the server refused the recipients of this transaction, the others are offered in further ones.
        """
        if isinstance(error, RecipientsRefused) and item.transaction.envelope.remaining:
            yield from self._settle_after(item, complete(item.transaction, error), alone=alone)
        elif alone and self._is_over(error):
            yield from self.end_session(error, item.message)
        else:
            yield from self.settle(item, error)

    def _settle_after(self, item: InFlight, steps: Steps[SendResult], *, alone: bool = True) -> Steps[None]:
        """Settle a message after these steps, or put it, or its rest, back if only the session is over."""
        try:
            outcome: SendResult | SmtpError = yield from steps
        except SmtpError as error:
            outcome = error
        if isinstance(outcome, RecordError):
            self.stop(outcome, item.message)
        elif isinstance(outcome, DeliveryIncomplete) and isinstance(outcome.cause, RecordError):
            self.stop(outcome.cause)
            yield from self.settle(item, outcome)
        elif not (alone and isinstance(outcome, SmtpError)):
            yield from self.settle(item, outcome)
        elif isinstance(outcome, DeliveryIncomplete) and self._is_over(outcome.cause):
            self._is_fruitless = self._last_was_fruitless = False  # some recipients have it
            yield from self.end_session(outcome.cause, Rest.after(item.transaction.message, outcome))
        elif self._is_over(outcome):
            yield from self.end_session(outcome, item.message)
        else:
            yield from self.settle(item, outcome)

    def end_session(self, error: SmtpError, *unsent: Outgoing) -> Steps[None]:
        """End the session, and put unsent messages back for the next one.

        If no message was settled in this session, the first unsent one is settled with the error.

        Raises:
            SmtpError: it was the same in the session before, or the error is not transient: a new session would end
                in the same way.
        """
        if refuses_session(error):
            self.session_is_refused = True  # it is still open: the client ends it with QUIT
        else:
            self.wire.closed = True
        self.put_back(*unsent)
        if not (unsent and self._is_fruitless):
            return
        if self._last_was_fruitless or not error.transient:
            if (outcome := self.unfinished(error)) is not None:
                yield Settled(outcome)
            raise error
        self._last_was_fruitless = True
        self._returned.popleft()
        yield Settled(_whole(unsent[0], error))

    def unfinished(self, error: SmtpError) -> SendResult | SmtpError | None:
        """Return the outcome of a message that only some recipients have, if there is one and no session follows."""
        if not (self._returned and isinstance(rest := self._returned[0], Rest)):
            return None
        self._returned.popleft()
        return rest.outcome(error)

    def _is_over(self, error: SmtpError) -> bool:
        """Whether the error is one of the session, not of the message: another session may accept the message."""
        return refuses_session(error) or (self.wire.closed and _ends_session(error))


def _whole(message: Outgoing, outcome: SendResult | SmtpError) -> SendResult | SmtpError:
    return message.outcome(outcome) if isinstance(message, Rest) else outcome


def refuses_session(error: SmtpError) -> bool:
    """Whether the server refused a message because of the session: another session may accept the message."""
    return error.transient and (error.code, error.enhanced_code) in SESSION_OVER


def _ends_session(error: SmtpError) -> bool:
    return error.transient and (error.reply is None or error.code == CLOSING)
