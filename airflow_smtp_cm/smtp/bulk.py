"""Sending many messages back to back over one session after another (RFC 2920, 3.1; RFC 3030, 4.2).

How it works. A ``Bulk`` takes messages from an iterator and reports the outcome of each, in the same order, with a
``Settled`` effect. ``run`` sends over one session until the messages, the session, or its quota end; the client then
opens a new session and calls ``run`` again. Within a session there are three ways to send:

    without PIPELINING, with all_or_nothing, or with a rate     each message after the final reply to the one before
    PIPELINING                   content of a message and envelope of the next in one write, then the replies to both
    PIPELINING and ``chunking``  groups of messages (RSET MAIL RCPT... BDAT content, each) in one write; while the
                                 server works on a group, the next one is built and written, then the replies are read

A message larger than ``INLINE_LIMIT`` is sent alone, in its turn. One that cannot be rendered is only reported.

Each message that was taken from the iterator is settled once, or put back for the next session. If a session ends
early, the replies decide which:

    the server refused its envelope                            settled with that error
    it was sent completely, and there is no final reply        settled as uncertain
    it was not sent completely                                 put back
    the server sent 421 before it processed the message        put back: a server processes nothing after 421

What an editor must keep:

- Outcomes are in the order of the messages. A message that cannot be rendered waits for the outcomes before it.
- A message is put back only if the server certainly has not accepted it, since it will be sent again. If this is not
  certain, it is settled as uncertain.
- A message is put back at the front, so a later message must be put back before an earlier one.
- If a session ends before any message is settled, ``run`` raises the error. Otherwise the same messages would open
  session after session, without an end.
- At most two groups are in flight. ``GROUP`` limits the memory and the number of uncertain messages; the record of a
  task relies on it.
- While replies are pending, data is written with ``write_unchecked``: the check for unsolicited data would report a
  pending reply as unsolicited.
- Each message of a group begins with RSET: the recipients that a server keeps after it refused a message must not get
  the next one.
- If the caller stops reading outcomes while messages are in flight, the session is closed.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.effects import Settled
from airflow_smtp_cm.smtp.errors import MessageError, Phase, Refused, SmtpError
from airflow_smtp_cm.smtp.submission import complete, submit
from airflow_smtp_cm.smtp.transaction import Transaction
from airflow_smtp_cm.smtp.wire import CLOSING, Command, Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.reply import Reply
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.wire import Wire

# The size of a group, in messages and in bytes; two groups may be in flight. If the connection breaks, these are the
# messages whose delivery may be uncertain.
GROUP = 20
GROUP_BYTES = 256 * 1024

# Clears the envelope of a message that the server refused, so that it does not become part of the next one.
_RESET = Command(Phase.RSET, "RSET")


@dataclass(slots=True)
class _InFlight:
    """A message that is being sent.

    Attributes:
        message: the message.
        transaction: its transaction on this connection.
        pipeline: its envelope, with BDAT or DATA, and the replies so far.
        content: the content that follows DATA.
        error: why it cannot be sent to this server; nothing of it is sent then.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """The limits of a server on the number of messages.

    Attributes:
        messages_per_minute: messages per minute, evenly spaced; None for no limit.
        max_messages_per_connection: messages per connection, after which a new one is opened; None for no limit.

    Raises:
        ValueError: a limit is not positive.
    """

    messages_per_minute: float | None = None
    max_messages_per_connection: int | None = None

    def __post_init__(self) -> None:
        for name in ("messages_per_minute", "max_messages_per_connection"):
            most = getattr(self, name)
            if most is not None and not most > 0:
                raise ValueError(f"{name} must be a positive number, not {most!r}.")


class Bulk:
    """Many messages, sent over one session after another.

    Args:
        messages: the messages.
        all_or_nothing: send a message to no recipient if the server refuses one.
        throttle: the limits of the server.
    """

    def __init__(self, messages: Iterable[Outgoing], *, all_or_nothing: bool, throttle: Throttle) -> None:
        self._messages = iter(messages)
        self._returned: deque[Outgoing] = deque()  # taken from the iterator, and not sent
        self._all_or_nothing = all_or_nothing
        self._throttle = throttle
        self._due = time.monotonic()
        self._in_flight: deque[_InFlight] = deque()
        self._started = 0
        self._settled = 0
        self._source_error: Exception | None = None

    @classmethod
    def runs(cls, messages: Iterable[Outgoing], *, all_or_nothing: bool, throttle: Throttle) -> Iterator[Bulk]:
        """Yield the bulk until all messages are settled; the caller waits for ``pause`` and runs it in a session."""
        bulk = cls(messages, all_or_nothing=all_or_nothing, throttle=throttle)
        while (message := bulk._next_message()) is not None:
            bulk._put_back(message)
            yield bulk

    @property
    def pause(self) -> float:
        """Seconds until the next message may be sent."""
        return max(0.0, self._due - time.monotonic())

    @property
    def session_is_full(self) -> bool:
        """Whether no more messages may be sent over this session."""
        most = self._throttle.max_messages_per_connection
        return most is not None and self._started >= most

    def run(self, wire: Wire) -> Steps[None]:
        """Send messages until none is left, the session is over or full, or a pause is due.

        Raises:
            SmtpError: the session ended before any message was settled.
        """
        if getattr(self, "_wire", None) is not wire:  # the counts are those of the session, over several runs
            self._wire, self._started, self._settled = wire, 0, 0
        try:
            if self._throttle.messages_per_minute is not None:
                yield from self._send_with_pause(60 / self._throttle.messages_per_minute)
            elif not wire.pipelining or self._all_or_nothing:
                yield from self._send_one_by_one()
            elif wire.chunking:
                yield from self._send_in_groups()
            else:
                yield from self._send_with_data()
        finally:
            if self._in_flight:  # the caller has stopped reading outcomes
                wire.closed = True
        if self._source_error is not None:
            raise self._source_error

    def _prepare_next(self) -> _InFlight | None:
        """Return the next message, rendered for this server; None if there is none or the session is full."""
        if self.session_is_full:
            return None
        try:
            message = self._next_message()
        except Exception as error:  # noqa: BLE001 - raised after the messages before it are settled
            self._source_error = error
            return None
        if message is None:
            return None
        self._started += 1
        transaction = Transaction(self._wire, message, all_or_nothing=self._all_or_nothing, notification=None)
        item = _InFlight(message, transaction)
        try:
            transaction.prepare()
        except MessageError as error:
            item.error = error
        except ValueError as error:  # raised by the message policy
            item.error = MessageError(str(error))
        return item

    def _next_message(self) -> Outgoing | None:
        return self._returned.popleft() if self._returned else next(self._messages, None)

    def _put_back(self, *messages: Outgoing) -> None:
        self._returned.extendleft(reversed(messages))

    def _settle(self, outcome: SendResult | SmtpError) -> Steps[None]:
        self._settled += 1
        yield Settled(outcome)

    def _settle_reply(self, item: _InFlight, reply: Reply) -> Steps[None]:
        """Settle a message by its final reply, after further transactions if recipients remain."""
        try:
            outcome: SendResult | SmtpError = yield from complete(item.transaction, item.transaction.result(reply))
        except SmtpError as error:
            outcome = error
        yield from self._settle(outcome)

    def _end_session(self, error: SmtpError, *unsent: Outgoing) -> None:
        """End the session, and put unsent messages back for the next one.

        Raises:
            SmtpError: no message was settled in this session: a new session would end in the same way.
        """
        self._wire.closed = True
        if unsent and not self._settled:
            raise error
        self._put_back(*unsent)

    def _settle_failure(self, item: _InFlight, error: SmtpError) -> Steps[None]:
        """Settle a message that was not delivered, or put it back if only the session has ended."""
        if self._wire.closed and _is_session_error(error):
            self._end_session(error, item.message)
        else:
            yield from self._settle(error)

    # --- with messages_per_minute

    def _send_with_pause(self, seconds: float) -> Steps[None]:
        item = self._prepare_next()
        if item is not None:
            self._due = time.monotonic() + seconds
            yield from self._send_alone(item)

    # --- without PIPELINING

    def _send_one_by_one(self) -> Steps[None]:
        while not self._wire.closed and (item := self._prepare_next()) is not None:
            yield from self._send_alone(item)

    def _send_alone(self, item: _InFlight) -> Steps[None]:
        if item.error is not None:
            yield from self._settle(item.error)
            return
        try:
            result = yield from submit(item.transaction)
        except SmtpError as error:
            yield from self._settle_failure(item, error)
        else:
            yield from self._settle(result)

    # --- with PIPELINING: the content of a message and the envelope of the next in one write

    def _send_with_data(self) -> Steps[None]:
        current: _InFlight | None = None
        while not self._wire.closed:
            if current is not None and current.transaction.remaining:
                yield from current.transaction.record_sending()  # to fewer recipients than those recorded before
                current = yield from self._send_overlapped(current, None)
                continue
            following = self._prepare_next()
            if current is None and following is None:
                return
            if following is None or (yield from self._prepare_overlapped(following)):
                current = yield from self._send_overlapped(current, following)
                continue
            self._put_back(following.message)  # first, so that a message before it can be put back before it
            current = yield from self._send_overlapped(current, None)
            if not self._wire.closed:
                self._next_message()
                yield from self._send_alone(following)

    def _prepare_overlapped(self, item: _InFlight) -> Steps[bool]:
        if item.error is not None or not item.transaction.is_small:
            return False
        try:
            item.content = yield from item.transaction.data_lines()
        except MessageError as error:
            item.error = error
            return False
        item.pipeline = item.transaction.data_pipeline()
        return True

    def _send_overlapped(self, current: _InFlight | None, following: _InFlight | None) -> Steps[_InFlight | None]:
        """Send the content of one message and the envelope of the next; return the next if it may be continued."""
        wire = self._wire
        waiting = [following.message] if following else []
        data = (current.content if current else b"") + (following.pipeline.encode() if following else b"")
        broken: SmtpError | None = None
        try:
            yield from wire.check_for_unsolicited_data(Phase.CONTENT if current else Phase.MAIL)
        except SmtpError as error:  # nothing was sent
            if current is None:
                self._end_session(error, *waiting)
            else:
                self._put_back(*waiting)
                yield from self._settle_failure(current, error)
            return None
        try:
            yield from wire.write_unchecked(data, Phase.CONTENT)
        except SmtpError as error:
            broken = error
        if current is not None:
            try:  # the server may have replied before the connection broke
                reply = yield from wire.reply(Phase.FINAL, "the content")
            except SmtpError as error:
                broken = error
                yield from self._settle(current.transaction.uncertain_error(error))
            else:
                yield from self._settle_reply(current, reply)
        if broken is not None:
            self._end_session(broken, *waiting)
            return None
        return (yield from self._read_envelope_replies(following)) if following else None

    def _read_envelope_replies(self, item: _InFlight) -> Steps[_InFlight | None]:
        """Read the replies to an envelope; return the message if its content may be sent."""
        try:
            yield from self._wire.read_replies(item.pipeline)
            yield from item.transaction.check_envelope_replies(item.pipeline)
        except SmtpError as error:
            yield from self._settle_failure(item, item.transaction.envelope_error(item.pipeline) or error)
            return None
        return item

    # --- with PIPELINING and chunking: a group of messages in one write

    def _send_in_groups(self) -> Steps[None]:
        while not self._wire.closed:
            group, large = yield from self._next_group()
            before = len(self._in_flight)
            if not group and not before and large is None:
                return
            if large is not None:
                self._put_back(large.message)  # first, so that messages before it can be put back before it
            if group:
                yield from self._write_group(group)
            # The replies to the group before are read, while the server works on this one.
            yield from self._read_replies_until(0 if large else len(group))
            if large is not None and not self._wire.closed:
                self._next_message()
                yield from self._send_alone(large)

    def _next_group(self) -> Steps[tuple[list[_InFlight], _InFlight | None]]:
        """Return the next messages to write in one group, and the large message that ended the group, if one did."""
        group: list[_InFlight] = []
        data = 0
        while len(group) < GROUP and data < GROUP_BYTES and (item := self._prepare_next()) is not None:
            if item.error is None and not item.transaction.is_small:
                return group, item
            group.append(item)
            if item.error is None:
                try:
                    item.pipeline = yield from item.transaction.bdat_pipeline()
                except MessageError as error:
                    item.error = error
                else:
                    data += len(item.pipeline.commands[-1].payload)
        return group, None

    def _write_group(self, group: list[_InFlight]) -> Steps[None]:
        data = b"".join([_RESET.encode() + item.pipeline.encode() for item in group if item.error is None])
        if data and not self._in_flight:
            try:
                yield from self._wire.check_for_unsolicited_data(Phase.MAIL)
            except SmtpError as error:  # nothing was sent
                self._end_session(error, *(item.message for item in group))
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

        If the session is over, none is left. If recipients of a message remain, the replies to all messages in flight
        are read before its further transactions.
        """
        while len(self._in_flight) > (0 if self._wire.closed else left):
            item = self._in_flight[0]
            try:
                yield from self._read_replies(item)
                if item.error is None and item.transaction.remaining:
                    for other in self._in_flight:
                        yield from self._read_replies(other)
            except SmtpError as error:
                yield from self._fail_group(error)
                return
            self._in_flight.popleft()
            yield from self._settle_answered(item)

    def _read_replies(self, item: _InFlight) -> Steps[None]:
        if item.error is not None or item.is_answered:
            return
        reset = yield from self._wire.reply(_RESET.phase, _RESET.line)
        if not reset.positive:
            raise self._wire.refused("RSET was refused", _RESET.phase, _RESET.line, reset)
        yield from self._wire.read_replies(item.pipeline)
        item.error = item.transaction.envelope_error(item.pipeline)

    def _settle_answered(self, item: _InFlight) -> Steps[None]:
        if item.error is not None:
            yield from self._settle(item.error)
        else:
            yield from self._settle_reply(item, item.pipeline.replies[-1])

    def _fail_group(self, error: SmtpError) -> Steps[None]:
        """Settle or put back all messages in flight after an error that ended the session."""
        self._wire.closed = True
        while self._in_flight and (self._in_flight[0].error is not None or self._in_flight[0].is_answered):
            yield from self._settle_answered(self._in_flight.popleft())
        # A server processes nothing after 421. In place of a final reply, it leaves that one message uncertain.
        closing = isinstance(error, Refused) and error.code == CLOSING
        pending = list(self._in_flight)
        self._in_flight.clear()
        for number, item in enumerate(pending):
            refusal = item.error or item.transaction.envelope_error(item.pipeline)
            not_processed = closing and (number > 0 or error.phase is not Phase.FINAL)
            if refusal is None and (not_processed or not item.pipeline.sent):
                self._end_session(error, *(item.message for item in pending[number:]))
                return
            yield from self._settle(refusal or item.transaction.uncertain_error(error))
        self._end_session(error)


def _is_session_error(error: SmtpError) -> bool:
    """Whether the error is one of the session, not of the message: another session may accept the message."""
    return error.transient and (error.reply is None or error.code == CLOSING)
