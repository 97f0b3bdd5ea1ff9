"""One message from MAIL to the final reply: flights, refusals, and what is certain when it breaks off."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from airflow_smtp_cm.smtp.commands import mail_command, rcpt_command
from airflow_smtp_cm.smtp.data_encoding import END_OF_DATA, DataLines, LineEnds, Octets
from airflow_smtp_cm.smtp.effects import Call
from airflow_smtp_cm.smtp.errors import (
    DeliveryUncertain,
    MessageError,
    Phase,
    RecipientsRefused,
    Refused,
    SmtpError,
)
from airflow_smtp_cm.smtp.result import Refusal, SendResult
from airflow_smtp_cm.smtp.wire import GO_AHEAD, Command, Flight

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_smtp_cm.smtp.commands import DeliveryNotification
    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.interfaces import Content, Outgoing
    from airflow_smtp_cm.smtp.reply import Reply
    from airflow_smtp_cm.smtp.wire import Wire

# Large enough that a write costs little beside its octets, small enough to keep memory flat.
BLOCK = 128 * 1024
# A message of one block travels with its envelope; a larger one waits until somebody has accepted it.
INLINE_LIMIT = BLOCK


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
        self.prepare()
        return (yield from self.carry_out())

    def carry_out(self) -> Steps[SendResult]:
        """Send the message, once it is prepared; see ``run``."""
        chunking = "CHUNKING" in self._wire.extensions
        together = self._wire.pipelining and not self._all_or_nothing
        if together and chunking and self.is_small:
            reply = yield from self._in_one_flight()
        else:
            reply = yield from self._in_turns(chunking=chunking, data_joins=together and not chunking)
        return self.conclude(reply)

    def prepare(self) -> None:
        """Render the message for this server, as far as the site's policy lets it pass.

        Raises:
            MessageError: it cannot go there.
        """
        self._started = time.monotonic()
        if (policy := self._wire.settings.message_policy) is not None:
            self._message = policy(self._message)
        self._recipients = self._message.recipients
        self._content = self._render()
        self._envelope = self._commands()

    @property
    def is_small(self) -> bool:
        """Whether the content, once prepared, is small enough to be in memory as a whole."""
        return self._content.size <= INLINE_LIMIT

    def bdat_flight(self) -> Steps[Flight]:
        """Return envelope and content together (RFC 3030).

        Raises:
            MessageError: the content cannot be read.
        """
        encoder = _for_bdat(self._content)
        payload = encoder.feed((yield from self._whole_content())) + encoder.finish()
        return Flight([*self._envelope, Command(Phase.FINAL, f"BDAT {len(payload)} LAST", payload)])

    def data_flight(self) -> Flight:
        """Return the envelope and DATA."""
        return Flight([*self._envelope, Command(Phase.DATA, "DATA")])

    def data_lines(self) -> Steps[bytes]:
        """Return the content as DATA needs it, its end included.

        Raises:
            MessageError: it cannot be read.
        """
        encoder = DataLines()
        return encoder.feed((yield from self._whole_content())) + encoder.finish()

    def conclude(self, reply: Reply) -> SendResult:
        """Return what became of the message, by the final reply.

        Raises:
            Refused: it was refused.
            RecipientsRefused: it was refused for some.
        """
        if not reply.positive:
            raise self._wire.refused(f"{self._wire.peer} refused the message", Phase.FINAL, None, reply)
        result = SendResult(
            message_id=self._message.message_id,
            accepted=self._accepted,
            refused=self._refused,
            reply=reply,
            size=self._content.size,
            seconds=time.monotonic() - self._started,
        )
        if (error := RecipientsRefused.in_result(result, self._wire.peer)) is not None:
            raise error
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

    def _commands(self) -> list[Command]:
        content, recipients = self._content, self._recipients
        if not recipients:
            raise MessageError("The message has no recipient.")
        if not content.utf8 and not all(address.isascii() for address in (self._message.sender, *recipients)):
            raise MessageError(f"An address is not ASCII, and {self._wire.peer} does not offer SMTPUTF8.")
        if self._notification is not None and "DSN" not in self._wire.extensions:
            raise MessageError(f"Delivery notifications are asked for, and {self._wire.peer} does not offer DSN.")
        mail = mail_command(self._message.sender, content, self._wire.extensions, self._notification)
        return [mail, *[rcpt_command(recipient, self._notification) for recipient in recipients]]

    def _read(self, chunks: Generator[bytes], left: int) -> Steps[tuple[bytes, bool]]:
        read = partial(_next_block, chunks, left)
        return read() if self._content.in_memory else (yield Call(read))

    def _whole_content(self) -> Steps[bytes]:
        content = self._content
        with closing(content.chunks()) as chunks:
            octets, last = yield from self._read(chunks, content.size)
        if not last or len(octets) != content.size:
            raise _changed(content)
        return octets

    def _in_one_flight(self) -> Steps[Reply]:
        """Envelope and content together, BDAT: one round trip."""
        flight = yield from self.bdat_flight()
        try:
            yield from self._fly(flight)
        except SmtpError as error:
            # A server that refuses the envelope has not come as far as the content.
            refused = isinstance(error, Refused) and error.phase is not Phase.FINAL
            if flight.left and not refused:
                raise self.uncertain(error) from error
            raise
        yield from self.judge(flight)
        return flight.replies[-1]

    def _in_turns(self, *, chunking: bool, data_joins: bool) -> Steps[Reply]:
        """The envelope first, then the content for those whom the server has accepted."""
        flight = self.data_flight() if data_joins else Flight(self._envelope)
        yield from self._fly(flight)
        yield from self.judge(flight)
        if chunking:
            return (yield from self._stream_content(f"BDAT {self._content.size} LAST"))
        if not data_joins:
            yield from self.go_ahead((yield from self._wire.command(Command(Phase.DATA, "DATA"))))
        return (yield from self._stream_content())

    def _fly(self, flight: Flight) -> Steps[None]:
        """Send the envelope and what goes with it; a refusal counts for more than that the connection broke later."""
        try:
            yield from self._wire.fly(flight)
        except SmtpError as error:
            if (refusal := self.refusal(flight)) is not None:
                raise refusal from error
            raise

    def judge(self, flight: Flight) -> Steps[None]:
        """Note who was accepted; end the transaction if nobody was, if that is not enough, or if DATA was refused.

        Raises:
            Refused: so it was.
        """
        refusal = self.refusal(flight)
        answer = flight.replies[-1] if flight.commands[-1].phase is Phase.DATA else None
        if refusal is None:
            if answer is not None:
                yield from self.go_ahead(answer)
            return
        if answer is not None and answer.code == GO_AHEAD:
            # The server wants content for nobody (RFC 2920, section 3.1). Whatever comes of it closes the connection
            # at the worst; it is the first error that counts.
            with suppress(SmtpError):
                yield from self._wire.write(END_OF_DATA, Phase.CONTENT)
                yield from self._wire.reply(Phase.FINAL)
        else:
            yield from self._reset()
        raise refusal

    def go_ahead(self, reply: Reply) -> Steps[None]:
        """Make sure that the reply to DATA asks for the content."""
        if reply.code != GO_AHEAD:
            yield from self._reset()
            raise self._wire.refused(f"{self._wire.peer} takes no content", Phase.DATA, "DATA", reply)

    def refusal(self, flight: Flight) -> Refused | None:
        """Note who was accepted, and return the error if that is nobody, or not enough; None while replies lack."""
        mail, recipients = flight.replies[:1], flight.replies[1 : 1 + len(self._recipients)]
        if mail and not mail[0].positive:
            return self._wire.refused(
                f"{self._wire.peer} refused the sender {self._message.sender}",
                Phase.MAIL,
                flight.commands[0].line,
                mail[0],
            )
        if len(recipients) < len(self._recipients):
            return None
        judged = list(zip(self._recipients, recipients, strict=True))
        self._accepted = tuple(address for address, reply in judged if reply.positive)
        self._refused = tuple(Refusal(address, reply) for address, reply in judged if not reply.positive)
        enough = self._accepted and not (self._refused and self._all_or_nothing)
        if enough:
            return None
        return RecipientsRefused(self._wire.peer, refused=self._refused, accepted=len(self._accepted))

    def _stream_content(self, bdat: str | None = None) -> Steps[Reply]:
        """Send the content block by block, after BDAT if that announces it, and return the final reply."""
        wire = self._wire
        try:
            yield from self._stream(bdat)
        except BaseException:
            # A message that has begun and cannot be ended: only the end of the connection keeps it from delivery.
            wire.closed = True
            raise
        wire.trace("C", f"{bdat or 'content'} ({self._content.size} octets)")
        try:
            return (yield from wire.reply(Phase.FINAL, bdat or "the content"))
        except SmtpError as error:
            raise self.uncertain(error) from error

    def _stream(self, bdat: str | None) -> Steps[None]:
        content = self._content
        encoder = _for_bdat(content) if bdat else DataLines()
        head = f"{bdat}\r\n".encode() if bdat else b""
        size, last = 0, False
        yield from self._wire.nothing_unasked(Phase.DATA)
        with closing(content.chunks()) as chunks:
            while not last:
                block, last = yield from self._read(chunks, content.size - size)
                encoded = encoder.feed(block) + (encoder.finish() if last else b"")
                # What BDAT announces is the octets on the wire; DATA doubles dots and ends itself.
                size += len(encoded if bdat else block)
                if size > content.size or last is not (size == content.size):
                    raise _changed(content)
                yield from self._wire.write(head + encoded, Phase.CONTENT)
                head = b""

    def _reset(self) -> Steps[None]:
        """Keep the session for the next message; if that fails, it is the first error that counts."""
        if self._wire.closed:
            return
        try:
            yield from self._wire.expect(Command(Phase.RSET, "RSET"), "RSET was refused")
        except SmtpError:
            self._wire.closed = True

    def uncertain(self, error: SmtpError) -> DeliveryUncertain:
        """Word what became of a message that has left, if the connection broke before the final reply."""
        self._wire.closed = True
        why = str(error).rstrip(".")
        return DeliveryUncertain(
            f"{self._wire.peer} has got the whole message {self._message.message_id} and did not confirm it ({why}). "
            f"It may have been delivered or not. Ask the recipients or the server's log before sending it again.",
            phase=Phase.FINAL,
            reply=error.reply,
            transient=False,
        )


def _for_bdat(content: Content) -> _Encoder:
    return Octets() if content.body == "BINARYMIME" else LineEnds()


def _changed(content: Content) -> MessageError:
    return MessageError(
        f"The message changed while it was being sent: it had {content.size:,} octets. Nothing was delivered."
    )


def _next_block(chunks: Generator[bytes], left: int) -> tuple[bytes, bool]:
    """Return the next octets, some ``BLOCK`` of them, and whether they are the last.

    Where the announced octets end, so must the chunks, before the server gets the last of them: after BDAT that
    would be the whole message.

    Args:
        chunks: where they come from.
        left: how many should come yet.

    Raises:
        MessageError: they cannot be read.
    """
    block: list[bytes] = []
    size = 0
    try:
        for chunk in chunks:
            block.append(chunk)
            size += len(chunk)
            if size >= BLOCK and size != left:
                return b"".join(block), False
    except (OSError, ValueError) as error:
        raise MessageError(
            f"The message could not be read to its end, and was not sent: {error}",
            transient=isinstance(error, OSError),  # it was there when the message was made: the storage may recover
        ) from error
    return b"".join(block), True
