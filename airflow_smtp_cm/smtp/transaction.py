"""One message from MAIL to the final reply: flights, refusals, and what is certain when it breaks off."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Protocol

from airflow_smtp_cm.smtp.commands import mail_command, rcpt_command
from airflow_smtp_cm.smtp.content import END_OF_DATA, DataLines, LineEnds, Octets
from airflow_smtp_cm.smtp.effects import Call
from airflow_smtp_cm.smtp.errors import (
    DeliveryUncertain,
    MessageError,
    Phase,
    RecipientsRefused,
    Refused,
    SmtpError,
)
from airflow_smtp_cm.smtp.protocol import Command
from airflow_smtp_cm.smtp.result import Refusal, SendResult

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from airflow_smtp_cm.smtp.commands import DeliveryNotification
    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.outgoing import Content, Outgoing
    from airflow_smtp_cm.smtp.protocol import Wire
    from airflow_smtp_cm.smtp.replies import Reply

# A message up to this size travels with its envelope; a larger one waits until somebody has accepted it.
INLINE_LIMIT = 128 * 1024
# Large enough that a write costs little beside its octets, small enough to keep memory flat.
BLOCK = 128 * 1024

GO_AHEAD = 354


class _Encoder(Protocol):
    def feed(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class Transaction:
    """One message on one connection.

    Args:
        wire: the connection, opened and logged in.
        message: what to send.
        all_or_nothing: send to nobody if anybody is refused.
        notification: what to ask for in delivery reports.
    """

    def __init__(
        self,
        wire: Wire,
        message: Outgoing,
        *,
        all_or_nothing: bool,
        notification: DeliveryNotification | None,
    ) -> None:
        self._wire = wire
        self._message = message
        self._all_or_nothing = all_or_nothing
        self._notification = notification
        self._accepted: tuple[str, ...] = ()
        self._refused: tuple[Refusal, ...] = ()

    def run(self) -> Steps[SendResult]:
        """Send the message.

        Raises:
            MessageError: it cannot go to this server; nothing of it was sent.
            Refused: the server refused the sender or the content.
            RecipientsRefused: it refused recipients; ``result`` tells whether the others have the message.
            DeliveryUncertain: the whole content left and no reply came back.
        """
        started = time.monotonic()
        content: Content = yield Call(self._render)
        envelope = self._envelope(content)
        chunking = "CHUNKING" in self._wire.extensions
        together = self._wire.pipelining and not self._all_or_nothing
        if together and chunking and content.size <= INLINE_LIMIT:
            reply = yield from self._in_one_flight(content, envelope)
        else:
            reply = yield from self._in_turns(content, envelope, chunking=chunking, data_joins=together)
        if not reply.positive:
            raise self._wire.refused(f"{self._wire.peer} refused the message", Phase.FINAL, None, reply)
        result = SendResult(
            message_id=self._message.message_id,
            accepted=self._accepted,
            refused=self._refused,
            reply=reply,
            size=content.size,
            seconds=time.monotonic() - started,
        )
        if self._refused:
            raise self._recipients_refused(result)
        return result

    def _render(self) -> Content:
        extensions = self._wire.extensions
        eight_bit = "8BITMIME" in extensions
        try:
            content = self._message.content(
                eight_bit=eight_bit,
                binary="BINARYMIME" in extensions and "CHUNKING" in extensions,
                utf8=eight_bit and "SMTPUTF8" in extensions,
            )
            size = content.size
        except (OSError, ValueError) as error:
            raise MessageError(f"The message cannot go to {self._wire.peer}: {error}") from error
        if (limit := extensions.size_limit) is not None and size > limit:
            raise MessageError(
                f"The message has {size:,} octets, and {self._wire.peer} takes no more than {limit:,}. "
                f"Send less, or put the attachments where the recipients can fetch them."
            )
        return content

    def _envelope(self, content: Content) -> list[Command]:
        recipients = self._message.recipients
        if not recipients:
            raise MessageError("The message has no recipient.")
        if not content.utf8 and not all(address.isascii() for address in (self._message.sender, *recipients)):
            raise MessageError(f"An address is not ASCII, and {self._wire.peer} does not offer SMTPUTF8.")
        if self._notification is not None and "DSN" not in self._wire.extensions:
            raise MessageError(f"Delivery notifications are asked for, and {self._wire.peer} does not offer DSN.")
        mail = mail_command(self._message.sender, content, self._wire.extensions, self._notification)
        return [mail, *[rcpt_command(recipient, self._notification) for recipient in recipients]]

    def _in_one_flight(self, content: Content, envelope: list[Command]) -> Steps[Reply]:
        """Envelope and content together, BDAT: one round trip."""
        with closing(content.chunks()) as chunks:
            payload, _ = yield Call(partial(_next_block, chunks, INLINE_LIMIT + 1))
        encoder = _for_bdat(content)
        payload = encoder.feed(payload) + encoder.finish()
        flight = [*envelope, Command(Phase.FINAL, f"BDAT {len(payload)} LAST", payload)]
        yield from self._wire.send_all(flight)
        replies: list[Reply] = []
        try:
            yield from self._wire.read_all(flight, replies)
        except SmtpError as error:
            turned_away = isinstance(error, Refused) and error.phase is not Phase.FINAL
            if turned_away or _nobody_accepted(replies, len(envelope)):
                raise
            raise self._uncertain(error) from error
        yield from self._judge(envelope, replies)
        return replies[-1]

    def _in_turns(
        self, content: Content, envelope: list[Command], *, chunking: bool, data_joins: bool
    ) -> Steps[Reply]:
        """The envelope first, then the content for those whom the server has accepted."""
        data = Command(Phase.DATA, "DATA")
        if data_joins and not chunking:
            replies = yield from self._wire.flight([*envelope, data])
            yield from self._judge(envelope, replies, data_reply=replies[-1])
            go_ahead = replies[-1]
        else:
            replies = yield from self._wire.flight(envelope)
            yield from self._judge(envelope, replies)
            if chunking:
                size = content.size
                return (yield from self._content(content, _for_bdat(content), f"BDAT {size} LAST", size))
            go_ahead = yield from self._wire.command(data)
        if go_ahead.code != GO_AHEAD:
            if not go_ahead.positive:
                yield from self._reset()
            raise self._wire.refused(f"{self._wire.peer} takes no content", Phase.DATA, "DATA", go_ahead)
        return (yield from self._content(content, DataLines()))

    def _judge(
        self, envelope: Sequence[Command], replies: Sequence[Reply], data_reply: Reply | None = None
    ) -> Steps[None]:
        """Note who was accepted; end the transaction if nobody was, or if that is not enough."""
        mail, *recipients = replies[: len(envelope)]
        judged = list(zip(self._message.recipients, recipients, strict=False))
        self._accepted = tuple(address for address, reply in judged if reply.positive)
        self._refused = tuple(Refusal(address, reply) for address, reply in judged if not reply.positive)
        sender_refused = not mail.positive
        if not sender_refused and self._accepted and not (self._refused and self._all_or_nothing):
            return
        if data_reply is not None and data_reply.code == GO_AHEAD:
            # The server wants content for nobody (RFC 2920, section 3.1).
            yield from self._wire.write(END_OF_DATA, Phase.CONTENT)
            yield from self._wire.reply(Phase.FINAL)
        elif not sender_refused:
            yield from self._reset()
        if sender_refused:
            raise self._wire.refused(
                f"{self._wire.peer} refused the sender {self._message.sender}",
                Phase.MAIL,
                envelope[0].line,
                mail,
            )
        raise self._recipients_refused(None)

    def _content(
        self, content: Content, encoder: _Encoder, command: str | None = None, announced: int | None = None
    ) -> Steps[Reply]:
        """Stream the content, with the command that announces it, and return the final reply."""
        wire = self._wire
        head = f"{command}\r\n".encode() if command else b""
        sent, last = 0, False
        with closing(content.chunks()) as chunks:
            while not last:
                try:
                    block, last = yield Call(partial(_next_block, chunks, BLOCK))
                except MessageError:
                    wire.closed = True
                    raise
                block = encoder.feed(block) + (encoder.finish() if last else b"")
                sent += len(block)
                if announced is not None and (sent > announced or (last and sent < announced)):
                    wire.closed = True
                    raise MessageError(
                        f"The message changed while it was being sent: it had {announced} octets. "
                        f"Nothing was delivered."
                    )
                yield from wire.write(head + block if head else block, Phase.CONTENT)
                head = b""
        wire.trace("C", f"{command or 'content'} ({sent} octets)")
        try:
            return (yield from wire.reply(Phase.FINAL, command or "the content"))
        except SmtpError as error:
            raise self._uncertain(error) from error

    def _reset(self) -> Steps[None]:
        """Keep the session for the next message; if that fails, it is the first error that counts."""
        try:
            yield from self._wire.expect(Command(Phase.RSET, "RSET"), "RSET was refused")
        except SmtpError:
            self._wire.closed = True

    def _uncertain(self, error: SmtpError) -> DeliveryUncertain:
        self._wire.closed = True
        return DeliveryUncertain(
            f"{self._wire.peer} has got the whole message {self._message.message_id} and did not confirm it: {error} "
            f"It may have been delivered or not. Ask the recipients or the server's log before sending it again.",
            phase=Phase.FINAL,
            reply=error.reply,
            transient=False,
        )

    def _recipients_refused(self, result: SendResult | None) -> RecipientsRefused:
        named = "; ".join(map(str, self._refused))
        total = len(self._accepted) + len(self._refused)
        if result is not None:
            rest = f"The message {result.message_id} was delivered to the other {len(self._accepted)}."
        elif self._accepted:
            rest = "Nothing was sent to anybody, as all_or_nothing demands."
        else:
            rest = "Nobody got the message."
        return RecipientsRefused(
            f"{self._wire.peer} refused {len(self._refused)} of {total} recipients: {named}. {rest}",
            refused=self._refused,
            result=result,
        )


def _for_bdat(content: Content) -> _Encoder:
    return Octets() if content.body == "BINARYMIME" else LineEnds()


def _nobody_accepted(replies: Sequence[Reply], envelope: int) -> bool:
    """Whether what was read of a broken-off flight proves that the message went to nobody."""
    if not replies:
        return False
    mail, *recipients = replies[:envelope]
    return not mail.positive or (len(replies) >= envelope and not any(recipient.positive for recipient in recipients))


def _next_block(chunks: Generator[bytes], limit: int) -> tuple[bytes, bool]:
    """Return the next octets, about ``limit`` of them, and whether they are the last.

    Raises:
        MessageError: they cannot be read.
    """
    block: list[bytes] = []
    size = 0
    try:
        for chunk in chunks:
            block.append(chunk)
            size += len(chunk)
            if size >= limit:
                return b"".join(block), False
    except (OSError, ValueError) as error:
        raise MessageError(f"The message could not be read to its end, and was not sent: {error}") from error
    return b"".join(block), True
