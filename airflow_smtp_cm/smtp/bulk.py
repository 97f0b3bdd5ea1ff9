"""Sending many messages back to back over one session after another (RFC 2920, section 3.1).

How it works. A ``Bulk`` takes messages from an iterator and reports the outcome of each, in the same order, with a
``Settled`` effect. ``run`` sends over one session until the messages, the session, or its quota end; the client then
opens a new session and calls ``run`` again. Within a session there are three ways to send:

    without PIPELINING, with all_or_nothing, or with a rate     each message after the final reply to the one before
    PIPELINING                   content of a message and envelope of the next in one write: ``bulk_data``
    PIPELINING and ``chunking``  groups of messages in one write: ``bulk_groups``

With a rate, a ``Pace`` decides when the next message may be sent; all connections to the server share it.

A message larger than ``INLINE_LIMIT`` is sent alone, in its turn. One with more recipients than the server accepts at
once is finished alone. One that cannot be rendered is only reported. If a session ends early, ``outbox`` decides
which messages are sent again.

What an editor must keep:

- Outcomes are in the order of the messages. A message that cannot be rendered waits for the outcomes before it.
- If the caller stops reading outcomes while messages are in flight, the session is closed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.bulk_data import Overlapped
from airflow_smtp_cm.smtp.bulk_groups import Groups
from airflow_smtp_cm.smtp.effects import Settled
from airflow_smtp_cm.smtp.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.errors import SmtpError
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.wire import Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """The limits of a server on the number of messages.

    Attributes:
        messages_per_minute: messages per minute, evenly spaced; one in several transactions counts as so many. None
            for no limit.
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

    def pace(self) -> Pace | None:
        """Return a new pace for messages at this rate; None if there is no limit."""
        return None if self.messages_per_minute is None else Pace(self.messages_per_minute)


class Pace:
    """The times at which messages may be sent, evenly spaced; threads with a connection each may share it.

    Args:
        messages_per_minute: the highest rate.
    """

    def __init__(self, messages_per_minute: float) -> None:
        self._seconds = 60 / messages_per_minute
        self._due = time.monotonic()
        self._lock = Lock()

    @property
    def pause(self) -> float:
        """Seconds until the next message may be sent."""
        return max(0.0, self._due - time.monotonic())

    def take(self) -> bool:
        """Take the right to send the next message; return False if it is not due, as when another has taken it."""
        with self._lock:
            if self.pause:
                return False
            self._due = time.monotonic() + self._seconds
            return True

    def add(self, messages: int) -> None:
        """Count further messages that were sent with the right to send one."""
        with self._lock:
            self._due += self._seconds * messages


class Bulk:
    """Many messages, sent over one session after another.

    Args:
        messages: the messages.
        all_or_nothing: send a message to no recipient if the server refuses one.
        most: messages per session; None for no limit.
        pace: when they may be sent; None for no limit.
    """

    def __init__(
        self, messages: Iterable[Outgoing], *, all_or_nothing: bool, most: int | None = None, pace: Pace | None = None
    ) -> None:
        self._outbox = Outbox(messages, all_or_nothing=all_or_nothing, most=most)
        self._all_or_nothing = all_or_nothing
        self._pace = pace

    def runs(self) -> Iterator[Bulk]:
        """Yield the bulk until all messages are settled; the caller waits for ``pause`` and runs it in a session."""
        while not self._outbox.is_empty:
            yield self

    @property
    def pause(self) -> float:
        """Seconds until the next message may be sent."""
        return self._pace.pause if self._pace is not None else 0.0

    @property
    def session_is_full(self) -> bool:
        """Whether no more messages may be sent over this session, though it is open."""
        return self._outbox.session_is_full

    def unfinished(self, error: SmtpError) -> Iterator[SendResult | SmtpError]:
        """Yield the outcome of a message that only some recipients have, if an error follows instead of a session."""
        if (outcome := self._outbox.unfinished(error)) is not None:
            yield outcome

    def run(self, wire: Wire) -> Steps[None]:
        """Send messages until none is left, the session is over or full, or a pause is due.

        Raises:
            SmtpError: this session and the one before ended at their first message.
            RecordError: a message could not be recorded; those without an outcome were not sent.
        """
        self._outbox.begin_session(wire)
        if self._pace is not None:
            yield from self._send_at_pace(self._pace)
        elif not wire.pipelining or self._all_or_nothing:
            yield from self._send_one_by_one()
        elif wire.chunking:
            yield from Groups(self._outbox).run()
        else:
            yield from Overlapped(self._outbox).run()
        if (error := self._outbox.record_error) is not None:
            for outcome in self.unfinished(error):
                yield Settled(outcome)
            raise error
        if self._outbox.source_error is not None and self._outbox.is_empty:
            raise self._outbox.source_error

    def _send_at_pace(self, pace: Pace) -> Steps[None]:
        if pace.take() and (item := self._outbox.prepare_next()) is not None:
            yield from self._outbox.send_alone(item)
            # Servers count transactions: to them, each is a message.
            pace.add(item.transaction.envelope.count - 1)

    def _send_one_by_one(self) -> Steps[None]:
        while not self._outbox.wire.closed and (item := self._outbox.prepare_next()) is not None:
            yield from self._outbox.send_alone(item)
