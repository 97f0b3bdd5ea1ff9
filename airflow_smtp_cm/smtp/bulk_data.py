"""Messages back to back with DATA and PIPELINING: one round trip for each (RFC 2920, section 3.1).

How it works. The content of a message and the envelope of the next one are one write. While the server works on it,
the message after them is prepared: rendered and encoded. Then the replies to both are read. A message that is too
large for one write is sent alone, in its turn, and so is the rest of a message for which recipients remain.

What an editor must keep:

- While replies are pending, data is written with ``write_unchecked``: the check for unsolicited data would report a
  pending reply as unsolicited.
- ``record_sending`` comes before the envelope is sent, and again if the content goes to fewer recipients. A message
  that is only prepared is not recorded.
- The prepared message comes after the others, so it is put back before them, also before a further transaction, in
  which the session may end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import MessageError, Phase, SmtpError
from airflow_smtp_cm.smtp.outbox import refuses_session

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.outbox import InFlight, Outbox


class Overlapped:
    """The messages in flight in one session.

    Args:
        outbox: the messages.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._wire = outbox.wire
        self._prepared: InFlight | None = None

    def run(self) -> Steps[None]:
        """Send messages until none is left, or the session is over or full."""
        current: InFlight | None = None
        while not self._wire.closed:
            if current is not None and current.transaction.envelope.remaining:
                if (yield from self._outbox.record_sending(current)):
                    current = yield from self._exchange(current, None)
                    continue
                self._wire.closed = True  # the server waits for the content
                return
            if self._prepared is None:
                self._prepared = yield from self._prepare_next()
            following = self._prepared
            if current is None and following is None:
                return
            if following is not None and following.pipeline.commands:
                self._prepared = None
                if (yield from self._outbox.record_sending(following)):
                    current = yield from self._exchange(current, following)
                    continue
                following = None
            if current is not None:
                current = yield from self._exchange(current, None)
            if following is not None and following is self._prepared and not self._wire.closed:
                self._prepared = None
                yield from self._outbox.send_alone(following)
        self._outbox.put_back(*self._unsent())

    def _prepare_next(self) -> Steps[InFlight | None]:
        """Return the next message; with its content and commands, if they can be sent with those of others."""
        item = self._outbox.prepare_next()
        if item is not None and item.error is None and item.transaction.is_small:
            try:
                item.content = yield from item.transaction.data_lines()
            except MessageError as error:
                item.error = error
            else:
                item.pipeline = item.transaction.data_pipeline()
        return item

    def _undo_prepare(self, item: InFlight) -> None:
        """Put the prepared message back if further transactions of this one come before it."""
        if item.transaction.envelope.remaining and self._prepared is not None:
            self._outbox.undo_prepare(self._prepared)
            self._prepared = None

    def _unsent(self, following: InFlight | None = None) -> list[Outgoing]:
        """Return the messages to put back, in order: one that was not sent, and the prepared one."""
        unsent = [item.message for item in (following, self._prepared) if item is not None]
        self._prepared = None
        return unsent

    def _exchange(self, current: InFlight | None, following: InFlight | None) -> Steps[InFlight | None]:
        """Send the content of one message and the envelope of the next; return the next if it may be continued."""
        wire = self._wire
        data = (current.content if current else b"") + (following.pipeline.encode() if following else b"")
        try:
            yield from wire.check_for_unsolicited_data(Phase.CONTENT if current else Phase.MAIL)
        except SmtpError as error:  # nothing was sent
            if current is None:
                yield from self._outbox.end_session(error, *self._unsent(following))
            else:
                self._outbox.put_back(*self._unsent(following))
                yield from self._outbox.settle_failure(current, error)
            return None
        broken: SmtpError | None = None
        try:
            yield from wire.write_unchecked(data, Phase.CONTENT)
        except SmtpError as error:
            broken = error
        if self._prepared is None and broken is None:
            self._prepared = yield from self._prepare_next()
        if current is not None:
            try:  # the server may have replied before the connection broke
                reply = yield from wire.reply(Phase.FINAL, "the content")
            except SmtpError as error:
                broken = error
                yield from self._outbox.settle(current, current.transaction.uncertain_error(error))
            else:
                if not reply.positive and refuses_session(current.transaction.refused(reply)):
                    # The next message, whose envelope was sent, must come after this one.
                    wire.closed = wire.closed or following is not None
                    self._outbox.put_back(*self._unsent(following))
                    following = None
                self._undo_prepare(current)
                yield from self._outbox.settle_reply(current, reply)
        if broken is not None:
            yield from self._outbox.end_session(broken, *self._unsent(following))
            return None
        return (yield from self._read_envelope_replies(following)) if following else None

    def _read_envelope_replies(self, item: InFlight) -> Steps[InFlight | None]:
        """Read the replies to an envelope; return the message if its content may be sent."""
        try:
            yield from self._wire.read_replies(item.pipeline)
            yield from item.transaction.check_envelope_replies(item.pipeline)
        except SmtpError as error:
            refusal = item.transaction.envelope.error(item.pipeline) or error
            if self._wire.closed or refuses_session(refusal):
                self._outbox.put_back(*self._unsent())
            self._undo_prepare(item)
            yield from self._outbox.settle_failure(item, refusal)
            return None
        return item
