"""The messages of a bulk that are not settled, and what becomes of each when a session fails.

How it works. Each message that was taken from the iterator is settled once, in the order of the messages, or put back
for the next session. A failed message is put back if the server certainly has not accepted it, and only the session
is over, not this message:

    the connection broke, or the server sent 421                  the session ended before the message
    the server refused it with a reply about the session          see ``SESSION_OVER``

What an editor must keep:

- A message is put back only if the server certainly has not accepted it, since it will be sent again.
- A message is put back at the front, so a later message must be put back before an earlier one.
- If a session ends before any message is settled, the error is raised. Otherwise the same messages would open session
  after session, without an end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.effects import Settled
from airflow_smtp_cm.smtp.errors import MessageError, SmtpError
from airflow_smtp_cm.smtp.submission import complete, submit
from airflow_smtp_cm.smtp.transaction import Transaction
from airflow_smtp_cm.smtp.wire import CLOSING, TOO_LONG, Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """

    wire: Wire
    session_is_refused: bool

    def __init__(self, messages: Iterable[Outgoing], *, all_or_nothing: bool, most: int | None) -> None:
        self._messages = iter(messages)
        self._returned: deque[Outgoing] = deque()  # taken from the iterator, and not sent
        self._all_or_nothing = all_or_nothing
        self._most = most
        self.source_error: Exception | None = None

    def begin_session(self, wire: Wire) -> None:
        """Begin with a new session, or continue the same one."""
        if getattr(self, "wire", None) is not wire:  # the counts are those of the session, over several runs
            self.wire, self._started, self._settled, self.session_is_refused = wire, 0, 0, False

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

    def prepare_next(self) -> InFlight | None:
        """Return the next message, rendered for this server; None if there is none or the session is full."""
        if self.session_is_full:
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

    def send_alone(self, item: InFlight) -> Steps[None]:
        """Send one message, and settle it or put it back."""
        if item.error is not None:
            yield from self.settle(item.error)
            return
        try:
            result = yield from submit(item.transaction)
        except SmtpError as error:
            yield from self.settle_failure(item, error)
        else:
            yield from self.settle(result)

    def settle(self, outcome: SendResult | SmtpError) -> Steps[None]:
        """Report the outcome of a message."""
        self._settled += 1
        yield Settled(outcome)

    def settle_reply(self, item: InFlight, reply: Reply) -> Steps[None]:
        """Settle a message by its final reply, after further transactions if recipients remain."""
        try:
            result = yield from complete(item.transaction, item.transaction.result(reply))
        except SmtpError as error:
            yield from self.settle_failure(item, error)
        else:
            yield from self.settle(result)

    def settle_failure(self, item: InFlight, error: SmtpError) -> Steps[None]:
        """Settle a message that was not delivered, or put it back if only the session is over."""
        if refuses_session(error) or (self.wire.closed and _ends_session(error)):
            self.end_session(error, item.message)
        else:
            yield from self.settle(error)

    def end_session(self, error: SmtpError, *unsent: Outgoing) -> None:
        """End the session, and put unsent messages back for the next one.

        Raises:
            SmtpError: no message was settled in this session: a new session would end in the same way.
        """
        if refuses_session(error):
            self.session_is_refused = True  # it is still open: the client ends it with QUIT
        else:
            self.wire.closed = True
        if unsent and not self._settled:
            raise error
        self.put_back(*unsent)


def refuses_session(error: SmtpError) -> bool:
    """Whether the server refused a message because of the session: another session may accept the message."""
    return error.transient and (error.code, error.enhanced_code) in SESSION_OVER


def _ends_session(error: SmtpError) -> bool:
    """Whether the error is one of the session, not of the message: another session may accept the message."""
    return error.transient and (error.reply is None or error.code == CLOSING)
