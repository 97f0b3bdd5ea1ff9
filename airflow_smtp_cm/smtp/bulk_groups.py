"""Groups of messages in one write each: PIPELINING and the setting ``chunking`` (RFC 2920, 3.1; RFC 3030, 4.2).

How it works. A group is RSET MAIL RCPT... BDAT content, for each message. While the server works on a group, the next
one is built and written; then the replies to the first are read. A large message is sent alone, in its turn. If
a session ends early, the replies decide what becomes of each message in flight:

    the server refused its envelope                            settled with that error
    it was sent completely, and there is no final reply        settled as uncertain
    it was not sent completely                                 put back
    the server sent 421 before it processed the message        put back: a server processes nothing after 421
    the server refused it and all later ones, because of the   put back
    session

What an editor must keep:

- If it is not certain that the server has not accepted a message, it is settled as uncertain.
- At most two groups are in flight. ``GROUP`` limits the memory and the number of uncertain messages; the record of a
  task relies on it.
- While replies are pending, data is written with ``write_unchecked``: the check for unsolicited data would report a
  pending reply as unsolicited.
- Each message of a group begins with RSET: the recipients that a server keeps after it refused a message must not get
  the next one.
- What is sent alone, large messages and further transactions of a message, begins when no reply is pending, and after
  a RSET if the server refused the last message.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import MessageError, Phase, RecordError, Refused, SmtpError
from airflow_smtp_cm.smtp.group_limits import GROUP, GROUP_BYTES
from airflow_smtp_cm.smtp.outbox import refuses_session
from airflow_smtp_cm.smtp.wire import CLOSING, Command

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.outbox import InFlight, Outbox

# Clears the envelope of a message that the server refused, so that it does not become part of the next one.
_RESET = Command(Phase.RSET, "RSET")


class Groups:
    """The messages in flight in one session.

    Args:
        outbox: the messages.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._wire = outbox.wire
        self._in_flight: deque[InFlight] = deque()
        self._last_is_refused = False  # the last message whose replies were read

    def run(self) -> Steps[None]:
        """Send messages until none is left, or the session is over or full."""
        try:
            while not self._wire.closed:
                group, large = yield from self._next_group()
                if not group and not self._in_flight and large is None:
                    return
                if large is not None:
                    # First, so that messages before it can be put back before it.
                    self._outbox.put_back(large.message)
                if group:
                    yield from self._write(group)
                # The replies to the group before are read, while the server works on this one.
                yield from self._read_replies_until(0 if large else len(group))
                if large is not None and not self._outbox.session_is_refused:
                    yield from self._clear_envelope(large)
                    if not self._wire.closed:
                        self._outbox.next_message()
                        yield from self._outbox.send_alone(large)
        finally:
            if self._in_flight:  # the caller has stopped reading outcomes
                self._wire.closed = True

    def _next_group(self) -> Steps[tuple[list[InFlight], InFlight | None]]:
        """Return the next messages to write in one group, and the large message that ended the group, if one did."""
        group: list[InFlight] = []
        data = 0
        while len(group) < GROUP and data < GROUP_BYTES and (item := self._outbox.prepare_next()) is not None:
            if item.error is None and not item.transaction.is_small:
                return group, item
            group.append(item)
            if item.error is None:
                try:
                    item.pipeline = yield from item.transaction.bdat_pipeline()
                except MessageError as error:
                    item.error = error
                except RecordError as error:
                    self._outbox.stop(error, group.pop().message)
                else:
                    data += len(item.pipeline.commands[-1].payload)
        return group, None

    def _write(self, group: list[InFlight]) -> Steps[None]:
        data = b"".join([_RESET.encode() + item.pipeline.encode() for item in group if item.error is None])
        if data and not self._in_flight:
            try:
                yield from self._wire.check_for_unsolicited_data(Phase.MAIL)
            except SmtpError as error:  # nothing was sent
                yield from self._outbox.end_session(error, *(item.message for item in group))
                return
        self._in_flight.extend(group)
        if not data:
            return
        try:
            sent = group[:-1]  # if the write fails, the last message was not sent completely
            yield from self._wire.write_unchecked(data, Phase.MAIL)
            sent = group
        except SmtpError:
            # The server may have replied before; reading the replies raises the same error after them.
            self._wire.closed = True
        for item in sent:
            item.pipeline.sent = True

    def _read_replies_until(self, left: int) -> Steps[None]:
        """Read the replies to the oldest messages in flight, and settle them, until so many are left.

        If the session is over, none is left. If recipients of a message remain, or the server refuses the session,
        the replies to all messages in flight are read first.
        """
        while len(self._in_flight) > (0 if self._wire.closed else left):
            item = self._in_flight[0]
            try:
                yield from self._read_replies(item)
                if item.transaction.envelope.remaining or _is_refused_with_session(item):
                    for other in self._in_flight:
                        yield from self._read_replies(other)
            except SmtpError as error:
                yield from self._fail(error)
                return
            if item.error is not None and all(map(_is_refused_with_session, self._in_flight)):
                messages = [other.message for other in self._in_flight]
                self._in_flight.clear()
                yield from self._outbox.end_session(item.error, *messages)
            else:
                yield from self._settle_answered(self._in_flight.popleft())

    def _read_replies(self, item: InFlight) -> Steps[None]:
        if item.error is not None or item.is_answered:
            return
        reset = yield from self._wire.reply(_RESET.phase, _RESET.line)
        if not reset.positive:
            raise self._wire.refused("RSET was refused", _RESET.phase, _RESET.line, reset)
        yield from self._wire.read_replies(item.pipeline)
        item.error = item.transaction.envelope.error(item.pipeline)
        if item.error is None and not item.pipeline.replies[-1].positive:
            item.error = item.transaction.refused(item.pipeline.replies[-1])
        self._last_is_refused = item.error is not None

    def _clear_envelope(self, item: InFlight) -> Steps[None]:
        """Clear the envelope of a refused message, before something is sent alone."""
        if self._last_is_refused:
            yield from item.transaction.reset()
            self._last_is_refused = False

    def _settle_answered(self, item: InFlight) -> Steps[None]:
        alone = not self._in_flight
        if item.transaction.envelope.remaining:
            yield from self._clear_envelope(item)
        if item.error is None:
            yield from self._outbox.settle_reply(item, item.pipeline.replies[-1], alone=alone)
        elif item.transaction.envelope.remaining:
            yield from self._outbox.settle_failure(item, item.error, alone=alone)
        else:
            yield from self._outbox.settle(item, item.error)

    def _fail(self, error: SmtpError) -> Steps[None]:
        """Settle or put back all messages in flight after an error that ended the session."""
        self._wire.end(error)
        while self._in_flight and (self._in_flight[0].error is not None or self._in_flight[0].is_answered):
            yield from self._settle_answered(self._in_flight.popleft())
        # A server processes nothing after 421. In place of a final reply, it leaves that one message uncertain.
        closing = isinstance(error, Refused) and error.code == CLOSING
        pending = list(self._in_flight)
        self._in_flight.clear()
        for number, item in enumerate(pending):
            refusal = item.error or item.transaction.envelope.error(item.pipeline)
            not_processed = closing and (number > 0 or error.phase is not Phase.FINAL)
            if refusal is None and (not_processed or not item.pipeline.sent):
                yield from self._outbox.end_session(error, *(item.message for item in pending[number:]))
                return
            yield from self._outbox.settle(item, refusal or item.transaction.uncertain_error(error))
        yield from self._outbox.end_session(error)


def _is_refused_with_session(item: InFlight) -> bool:
    return item.error is not None and refuses_session(item.error)
