"""One mail transaction: the envelope, the content, the final reply, and what is certain if the session breaks.

How it works. What the server offers decides how a message is sent, and the setting ``chunking``, which is off by
default; if it is off, the server's CHUNKING is not used:

    used                        writes, separated by |; the client waits for the replies to each
    PIPELINING                  MAIL RCPT... DATA | content
    PIPELINING and CHUNKING     MAIL RCPT... BDAT content                for content of up to ``INLINE_LIMIT``
                                MAIL RCPT... | BDAT content              for larger content
    CHUNKING                    MAIL | RCPT | ... | BDAT content
    neither                     MAIL | RCPT | ... | DATA | content

With ``all_or_nothing``, the first write holds only the envelope: the content may be sent only if all recipients are
accepted. Larger content is sent block by block; it is never in memory as a whole.

The errors depend on one question: can the server have the whole message? Until the last byte of the content is passed
to the network, the answer is no, and the error says what happened. From then on, only the final reply can answer it:
without a final reply, delivery is uncertain. There is one exception. If the content was sent together with the
envelope, and the server refused the envelope or answered it with 421, it has not processed the content: the error is
``Refused``, and nothing is uncertain.

What an editor must keep:

- ``record_sending`` comes right before the first byte of the content, not earlier. If it fails, nothing is sent.
- The last byte of the content is not written before the size is checked. After BDAT, the announced number of bytes
  is the whole message, so a file that has grown or shrunk must be noticed before.
- An error while the content is being sent closes the connection. No command can follow: the server would read it as
  content, and the end of the content would make it deliver half a message.
- ``uncertain_error`` is raised only if all of the content was sent. An earlier error is raised unchanged, so that a
  retry is possible.
- A failed transaction ends with RSET, so that the session can be used for the next message. The error of the message
  counts, not one of RSET.
- The generator of the content is closed in all cases: it holds an open file.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.content_transfer import INLINE_LIMIT, ContentTransfer
from airflow_smtp_cm.smtp.data_encoding import END_OF_DATA
from airflow_smtp_cm.smtp.effects import Call
from airflow_smtp_cm.smtp.envelope import Envelope
from airflow_smtp_cm.smtp.errors import (
    DeliveryUncertain,
    Disconnected,
    MessageError,
    Phase,
    Refused,
    SmtpError,
    TimedOut,
)
from airflow_smtp_cm.smtp.recorded import Recorded
from airflow_smtp_cm.smtp.result import SendResult
from airflow_smtp_cm.smtp.wire import START_MAIL_INPUT, Command, Pipeline

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.delivery_notification import DeliveryNotification
    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.interfaces import Content, Outgoing
    from airflow_smtp_cm.smtp.reply import Reply
    from airflow_smtp_cm.smtp.wire import Wire


class Transaction:
    """One transaction of one message on one connection; ``submission`` adds further ones.

    Args:
        wire: the connection, after login.
        message: the message.
        all_or_nothing: send to no recipient if the server refuses one.
        notification: the delivery reports to request.

    Attributes:
        message: the message; after ``prepare``, what the message policy made of it.
        envelope: the sender and the recipients.
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
        self.message = message
        self.envelope = Envelope(wire, all_or_nothing=all_or_nothing, notification=notification)
        self._all_or_nothing = all_or_nothing

    def execute(self) -> Steps[SendResult]:
        """Send the prepared message; return the result for the accepted recipients.

        Raises:
            MessageError: the content cannot be read; nothing was sent.
            Refused: the server refused the sender or the content.
            RecipientsRefused: the server refused all recipients, or some with ``all_or_nothing``; nothing was sent.
            DeliveryUncertain: the whole content was sent, and no final reply arrived.
        """
        chunking = self._wire.chunking
        pipelined = self._wire.pipelining and not self._all_or_nothing
        if pipelined and chunking and self.is_small:
            reply = yield from self._send_in_one_pipeline()
        else:
            reply = yield from self._send_envelope_first(
                chunking=chunking, data_in_pipeline=pipelined and not chunking
            )
        if chunking and not reply.positive:
            # After DATA, the server has no envelope any more; after BDAT, that is not certain (RFC 3030, section 2).
            yield from self.reset()
        return self.result(reply)

    def prepare(self) -> None:
        """Apply the message policy, and render the message for this server.

        Raises:
            MessageError: the message cannot be sent to this server.
            ValueError: the message policy rejects it.
        """
        self._started = time.monotonic()
        if (policy := self._wire.settings.message_policy) is not None:
            self.message = policy(self.message)
        self._content = self._render()
        self._transfer = ContentTransfer(self._wire, self._content)
        self.envelope.begin(self.message, self._content)

    @property
    def peer(self) -> str:
        """The server's host and port, for error messages."""
        return self._wire.peer

    @property
    def end_of_session(self) -> SmtpError | None:
        """Why no further transaction can follow in this session; None if one can."""
        if not self._wire.closed:
            return None
        return self._wire.ended_by or Disconnected(f"{self.peer} ended the session.", phase=Phase.MAIL)

    def record_sending(self) -> Steps[None]:
        """Record that the content is about to be transmitted, if the message keeps a record."""
        if isinstance(message := self.message, Recorded):
            yield Call(partial(message.record_sending, self.envelope.addressed, self._content.size))

    def record_accepted(self, result: SendResult) -> Steps[None]:
        """Record the result so far, if the message keeps a record; a further transaction follows."""
        if isinstance(message := self.message, Recorded):
            yield Call(partial(message.record_accepted, result))

    @property
    def is_small(self) -> bool:
        """Whether the prepared content is small enough to be sent in one write."""
        return self._content.size <= INLINE_LIMIT

    def bdat_pipeline(self) -> Steps[Pipeline]:
        """Return the envelope and BDAT with the content (RFC 3030), to be sent at once.

        Raises:
            MessageError: the content cannot be read.
        """
        yield from self.record_sending()
        return Pipeline([*self.envelope.commands, (yield from self._transfer.bdat())])

    def data_pipeline(self) -> Pipeline:
        """Return the envelope and DATA."""
        return Pipeline([*self.envelope.commands, Command(Phase.DATA, "DATA")])

    def data_lines(self) -> Steps[bytes]:
        """Return the content encoded for DATA, with the final dot.

        Raises:
            MessageError: the content cannot be read.
        """
        return self._transfer.data_lines()

    def result(self, reply: Reply) -> SendResult:
        """Return the result for the accepted recipients, from the final reply.

        Raises:
            Refused: the server refused the message.
        """
        if not reply.positive:
            raise self.refused(reply)
        return self._result(reply, accepted=self.envelope.accepted)

    def result_of_nobody(self) -> SendResult:
        """Return the result if the server has accepted no recipient."""
        return self._result(None)

    def refused(self, reply: Reply) -> Refused:
        """Return the error for a negative final reply."""
        return self._wire.refused(f"{self._wire.peer} refused the message", Phase.FINAL, None, reply)

    def _result(
        self, reply: Reply | None, *, accepted: tuple[str, ...] = (), uncertain: tuple[str, ...] = ()
    ) -> SendResult:
        return SendResult(
            message_id=self.message.message_id,
            accepted=accepted,
            refused=self.envelope.refused,
            reply=reply,
            size=self._content.size,
            seconds=time.monotonic() - self._started,
            uncertain=uncertain,
        )

    def _render(self) -> Content:
        extensions = self._wire.extensions
        eight_bit = "8BITMIME" in extensions
        try:
            content = self.message.content(
                eight_bit=eight_bit,
                binary=self._wire.chunking and "BINARYMIME" in extensions,
                utf8=eight_bit and "SMTPUTF8" in extensions,
            )
            size = content.size
        except (OSError, ValueError) as error:
            raise MessageError(f"The message cannot be sent to {self._wire.peer}: {error}") from error
        if (limit := extensions.size_limit) is not None and size > limit:
            raise MessageError(
                f"The message has {size:,} bytes, and {self._wire.peer} accepts at most {limit:,}. "
                f"Send smaller attachments, or a link to them."
            )
        return content

    def _send_in_one_pipeline(self) -> Steps[Reply]:
        """Send the envelope and BDAT with the content in one write: one round trip."""
        pipeline = yield from self.bdat_pipeline()
        try:
            yield from self._send_pipelined(pipeline)
        except SmtpError as error:
            # A server that refuses the envelope has not processed the content.
            refused = isinstance(error, Refused) and error.phase is not Phase.FINAL
            if pipeline.sent and not refused:
                raise self.uncertain_error(error) from error
            raise
        yield from self.check_envelope_replies(pipeline)
        return pipeline.replies[-1]

    def _send_envelope_first(self, *, chunking: bool, data_in_pipeline: bool) -> Steps[Reply]:
        """Send the envelope, then the content for the accepted recipients."""
        pipeline = self.data_pipeline() if data_in_pipeline else Pipeline(self.envelope.commands)
        yield from self._send_pipelined(pipeline)
        yield from self.check_envelope_replies(pipeline)
        if chunking:
            return (yield from self._stream_content(f"BDAT {self._content.size} LAST"))
        if not data_in_pipeline:
            yield from self.check_data_reply((yield from self._wire.command(Command(Phase.DATA, "DATA"))))
        return (yield from self._stream_content())

    def _send_pipelined(self, pipeline: Pipeline) -> Steps[None]:
        """Send a pipeline; if the connection breaks after a refusal of the envelope, raise the refusal."""
        try:
            yield from self._wire.send_pipelined(pipeline)
        except SmtpError as error:
            if (refusal := self.envelope.error(pipeline)) is not None:
                raise refusal from error
            raise

    def check_envelope_replies(self, pipeline: Pipeline) -> Steps[None]:
        """Store the accepted recipients; end the transaction if the envelope or DATA was refused.

        Raises:
            Refused: the server refused the sender, too many recipients, or DATA.
        """
        refusal = self.envelope.error(pipeline)
        answer = pipeline.replies[-1] if pipeline.commands[-1].phase is Phase.DATA else None
        if refusal is None:
            if answer is not None:
                yield from self.check_data_reply(answer)
            return
        if answer is not None and answer.code == START_MAIL_INPUT:
            # The server accepted DATA without a recipient (RFC 2920, section 3.1): it gets an empty content. If this
            # fails, the connection is closed; the error that is raised is the refusal.
            with suppress(SmtpError):
                yield from self._wire.write(END_OF_DATA, Phase.CONTENT)
                yield from self._wire.reply(Phase.FINAL)
        else:
            yield from self.reset()
        raise refusal

    def check_data_reply(self, reply: Reply) -> Steps[None]:
        """Check that the reply to DATA is 354; otherwise end the transaction.

        Raises:
            Refused: the server refused DATA.
        """
        if reply.code != START_MAIL_INPUT:
            yield from self.reset()
            raise self._wire.refused(f"{self._wire.peer} did not accept DATA", Phase.DATA, "DATA", reply)

    def _stream_content(self, bdat: str | None = None) -> Steps[Reply]:
        """Send the content block by block, after the BDAT command if one is given, and return the final reply."""
        wire = self._wire
        try:
            yield from self.record_sending()
            yield from self._transfer.stream(bdat)
        except BaseException as error:
            # The content is incomplete: only closing the connection keeps the server from delivering it.
            wire.closed = True
            if bdat and isinstance(error, Disconnected | TimedOut):
                raise type(error)(
                    f"{error.without_explanation}. {self._advice(error)}",
                    phase=error.phase,
                    command=error.command,
                    reply=error.reply,
                ) from error
            raise
        wire.trace("C", f"{bdat or 'content'} ({self._content.size} bytes)")
        try:
            return (yield from wire.reply(Phase.FINAL, bdat or "the content"))
        except SmtpError as error:
            raise self.uncertain_error(error) from error

    def reset(self) -> Steps[None]:
        """Send RSET, so that the session can be used for the next message; if it fails, close the session."""
        if self._wire.closed:
            return
        try:
            yield from self._wire.expect(Command(Phase.RSET, "RSET"), "RSET was refused")
        except SmtpError as error:
            self._wire.end(error)

    def uncertain_error(self, error: SmtpError) -> DeliveryUncertain:
        """Return the error for a message that was sent completely, without a final reply."""
        self._wire.closed = True
        unanswered = self._wire.chunking and isinstance(error, Disconnected | TimedOut)
        advice = f"{self._advice(error)} " if unanswered else ""
        explanation = "" if unanswered else error.explanation
        uncertain = DeliveryUncertain(
            f"The whole message {self.message.message_id} was sent to {self._wire.peer}, but not confirmed "
            f"({error.without_explanation}): delivery is uncertain. {advice}Check the server's log, or ask the "
            f"recipients, before you send it again. {explanation}".rstrip(),
            reply=error.reply,
            result=self._result(None, uncertain=self.envelope.addressed),
            unsent=len(self.envelope.remaining),
        )
        uncertain.explanation = explanation
        return uncertain

    def _advice(self, error: SmtpError) -> str:
        """Return what to do if BDAT gets no reply; most often, it is this setting."""
        return (
            f"The connection's setting chunking is on. If {self._wire.peer}, or a gateway before it, does not handle "
            f"BDAT, turn it off. {error.explanation}".rstrip()
        )
