"""Sending many messages back to back over one session after another (RFC 2920, section 3.1).

How it works. A ``Bulk`` takes messages from an iterator and reports the outcome of each, in the same order, with a
``Settled`` effect. ``run`` sends over one session until the messages, the session, or its quota end; the client then
opens a new session and calls ``run`` again. Within a session there are three ways to send:

    without PIPELINING, with all_or_nothing, or with a rate     each message after the final reply to the one before
    PIPELINING                   content of a message and envelope of the next in one write, then the replies to both
    PIPELINING and ``chunking``  groups of messages in one write: ``bulk_groups``

A message larger than ``INLINE_LIMIT`` is sent alone, in its turn. One with more recipients than the server accepts at
once is finished alone. One that cannot be rendered is only reported. If a session ends early, ``outbox`` decides
which messages are sent again.

What an editor must keep:

- Outcomes are in the order of the messages. A message that cannot be rendered waits for the outcomes before it.
- While replies are pending, data is written with ``write_unchecked``: the check for unsolicited data would report a
  pending reply as unsolicited.
- If the caller stops reading outcomes while messages are in flight, the session is closed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.bulk_groups import Groups
from airflow_smtp_cm.smtp.errors import MessageError, Phase, SmtpError
from airflow_smtp_cm.smtp.outbox import Outbox, refuses_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.outbox import InFlight
    from airflow_smtp_cm.smtp.wire import Wire


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
        self._outbox = Outbox(messages, all_or_nothing=all_or_nothing, most=throttle.max_messages_per_connection)
        self._all_or_nothing = all_or_nothing
        self._rate = throttle.messages_per_minute
        self._due = time.monotonic()

    @classmethod
    def runs(cls, messages: Iterable[Outgoing], *, all_or_nothing: bool, throttle: Throttle) -> Iterator[Bulk]:
        """Yield the bulk until all messages are settled; the caller waits for ``pause`` and runs it in a session."""
        bulk = cls(messages, all_or_nothing=all_or_nothing, throttle=throttle)
        while not bulk._outbox.is_empty:
            yield bulk

    @property
    def pause(self) -> float:
        """Seconds until the next message may be sent."""
        return max(0.0, self._due - time.monotonic())

    @property
    def session_is_full(self) -> bool:
        """Whether no more messages may be sent over this session, though it is open."""
        return self._outbox.session_is_full

    def run(self, wire: Wire) -> Steps[None]:
        """Send messages until none is left, the session is over or full, or a pause is due.

        Raises:
            SmtpError: the session ended before any message was settled.
        """
        self._outbox.begin_session(wire)
        if self._rate is not None:
            yield from self._send_with_pause(60 / self._rate)
        elif not wire.pipelining or self._all_or_nothing:
            yield from self._send_one_by_one()
        elif wire.chunking:
            yield from Groups(self._outbox).run()
        else:
            yield from self._send_overlapped()
        if self._outbox.source_error is not None:
            raise self._outbox.source_error

    def _send_with_pause(self, seconds: float) -> Steps[None]:
        item = self._outbox.prepare_next()
        if item is not None:
            self._due = time.monotonic() + seconds
            yield from self._outbox.send_alone(item)

    def _send_one_by_one(self) -> Steps[None]:
        while not self._outbox.wire.closed and (item := self._outbox.prepare_next()) is not None:
            yield from self._outbox.send_alone(item)

    # --- with PIPELINING: the content of a message and the envelope of the next in one write

    def _send_overlapped(self) -> Steps[None]:
        outbox = self._outbox
        current: InFlight | None = None
        while not outbox.wire.closed:
            if current is not None and current.transaction.remaining:
                yield from current.transaction.record_sending()  # to fewer recipients than was recorded before
                current = yield from self._exchange(current, None)
                continue
            following = outbox.prepare_next()
            if current is None and following is None:
                return
            if following is None or (yield from _prepare(following)):
                current = yield from self._exchange(current, following)
                continue
            outbox.put_back(following.message)  # first, so that a message before it can be put back before it
            current = yield from self._exchange(current, None)
            if not outbox.wire.closed and not outbox.session_is_full:
                outbox.next_message()
                yield from outbox.send_alone(following)

    def _exchange(self, current: InFlight | None, following: InFlight | None) -> Steps[InFlight | None]:
        """Send the content of one message and the envelope of the next; return the next if it may be continued."""
        outbox, wire = self._outbox, self._outbox.wire
        waiting = [following.message] if following else []
        data = (current.content if current else b"") + (following.pipeline.encode() if following else b"")
        broken: SmtpError | None = None
        try:
            yield from wire.check_for_unsolicited_data(Phase.CONTENT if current else Phase.MAIL)
        except SmtpError as error:  # nothing was sent
            if current is None:
                outbox.end_session(error, *waiting)
            else:
                outbox.put_back(*waiting)
                yield from outbox.settle_failure(current, error)
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
                yield from outbox.settle(current.transaction.uncertain_error(error))
            else:
                refusal = None if reply.positive else current.transaction.refused(reply)
                if following and refusal and refuses_session(refusal):
                    broken = refusal  # without the content, the server does not get the next message either
                    wire.closed = True
                    outbox.put_back(*waiting)
                    waiting = []
                yield from outbox.settle_reply(current, reply)
        if broken is not None:
            outbox.end_session(broken, *waiting)
            return None
        return (yield from self._read_envelope_replies(following)) if following else None

    def _read_envelope_replies(self, item: InFlight) -> Steps[InFlight | None]:
        """Read the replies to an envelope; return the message if its content may be sent."""
        try:
            yield from self._outbox.wire.read_replies(item.pipeline)
            yield from item.transaction.check_envelope_replies(item.pipeline)
        except SmtpError as error:
            yield from self._outbox.settle_failure(item, item.transaction.envelope_error(item.pipeline) or error)
            return None
        return item


def _prepare(item: InFlight) -> Steps[bool]:
    """Return whether a message can be sent with the next envelope, after making its content and envelope."""
    if item.error is not None or not item.transaction.is_small:
        return False
    try:
        item.content = yield from item.transaction.data_lines()
    except MessageError as error:
        item.error = error
        return False
    item.pipeline = item.transaction.data_pipeline()
    return True
