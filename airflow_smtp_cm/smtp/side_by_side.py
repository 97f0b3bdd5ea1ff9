"""Many messages over several connections at the same time, each with a session in a thread of its own.

How it works. The threads only send. What belongs to the caller is done in the caller's thread, while it waits for the
next outcome: it takes the messages from their iterator, and calls the methods with which they record their
transmission. So neither needs to be thread-safe, one record is written by one at a time, and a signal interrupts the
caller as with one connection.

    thread of a connection                  caller's thread
    needs a message                   ->    the next one of those that came back, else of the iterator
    is about to transmit a content    ->    the message's ``record_sending``
    outcome of a message              ->    is yielded with the message's number
    session is open                   ->    the next connection is opened, if messages are left
    connection has ended              ->    its unsent messages come back, for the other connections

A connection ends with an error if ``run_bulk`` raises one. If it is transient, the others send the rest. Without
others, if it is not transient (a refused login), or if a message cannot be recorded, no further message is handed
out, and the error is raised when the others have the outcomes of theirs. The connections are opened one after the
other: a wrong password is tried once, and a server that does not accept a further connection is not asked for more.

What an editor must keep:

- A thread that has messages without an outcome never waits for another message: their outcomes would wait, too.
- A thread without messages does wait as long as others have some: these may come back.
- After the iteration has ended, no thread gets a message, and no record is written (``Stopped``).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.bulk import Bulk, Throttle
from airflow_smtp_cm.smtp.connection_thread import Channel, Connection, Ended, Opened, Request, Settled, Stopped
from airflow_smtp_cm.smtp.errors import RecordError, SmtpError
from airflow_smtp_cm.smtp.group_limits import GROUP

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from airflow_smtp_cm.smtp.connection_thread import Client
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.result import SendResult

logger = logging.getLogger(__name__)

# Messages for each connection that are not given to those that have some already; with DATA, that is how many a
# connection holds ready.
_LEFT_TO_OTHERS = 2

# Seconds for threads to end after their connections were broken.
_END_TIMEOUT = 5.0


def send_each(
    client: Client,
    messages: Iterable[Outgoing],
    *,
    connections: int,
    all_or_nothing: bool,
    messages_per_minute: float | None,
    max_messages_per_connection: int | None,
) -> Generator[tuple[int, SendResult | SmtpError]]:
    """Send many messages, and yield the outcome of each as soon as it is known; with one connection, in order.

    Args:
        client: the client of the first connection.
        messages: the messages.
        connections: the number of connections.
        all_or_nothing: send a message to no recipient if the server refuses one.
        messages_per_minute: a limit on the rate of all connections together.
        max_messages_per_connection: a limit on the messages of each connection.

    Yields:
        The number of the message, counted from 0, and its outcome.

    Raises:
        ValueError: a limit, or the number of connections, is not positive.
        SmtpError: see ``SmtpClient.send_all``. Messages without an outcome were not sent.
    """
    throttle = Throttle(
        messages_per_minute=messages_per_minute, max_messages_per_connection=max_messages_per_connection
    )
    if connections == 1:
        outcomes = client.send_all(
            messages,
            all_or_nothing=all_or_nothing,
            messages_per_minute=messages_per_minute,
            max_messages_per_connection=max_messages_per_connection,
        )
        with closing(outcomes):
            yield from enumerate(outcomes)
    else:
        yield from SideBySide(
            client, messages, connections=connections, all_or_nothing=all_or_nothing, throttle=throttle
        ).outcomes()


def send_in_order(
    client: Client, messages: Iterable[Outgoing], *, connections: int, all_or_nothing: bool, throttle: Throttle
) -> Generator[SendResult | SmtpError]:
    """Send many messages over several connections, and yield their outcomes in order; see ``SmtpClient.send_all``.

    If an error ends the iteration, it is also the outcome of each unsent message that comes before a sent one.
    """
    sending = SideBySide(
        client, messages, connections=connections, all_or_nothing=all_or_nothing, throttle=throttle, in_order=True
    )
    known: dict[int, SendResult | SmtpError] = {}
    following = 0
    try:
        with closing(sending.outcomes()) as outcomes:
            for number, outcome in outcomes:
                known[number] = outcome
                while following in known:
                    yield known.pop(following)
                    following += 1
    except SmtpError as error:
        for number in range(following, max(known, default=-1) + 1):
            yield known.get(number, error)
        raise


class SideBySide:
    """Messages that are sent over several connections at the same time.

    Args:
        client: the client of the first connection.
        messages: the messages.
        connections: the number of connections.
        all_or_nothing: send a message to no recipient if the server refuses one.
        throttle: the limits of the server; the rate is that of all connections together.
        in_order: whether the outcomes are needed in order, so that not too many may wait for an earlier one.

    Raises:
        ValueError: the number of connections is not a positive integer.
    """

    def __init__(
        self,
        client: Client,
        messages: Iterable[Outgoing],
        *,
        connections: int,
        all_or_nothing: bool,
        throttle: Throttle,
        in_order: bool = False,
    ) -> None:
        if not isinstance(connections, int) or connections < 1:
            raise ValueError(f"connections must be a positive integer, not {connections!r}.")
        self._client = client
        self._spare = [client, *client.further]
        self._connections = connections
        self._new_bulk = partial(
            Bulk, all_or_nothing=all_or_nothing, most=throttle.max_messages_per_connection, pace=throttle.pace()
        )
        self._messages = iter(messages)
        self._source_is_empty = False
        self._source_error: Exception | None = None
        self._most_ahead = connections * 2 * GROUP if in_order else None  # of the first message without an outcome
        self._taken = 0  # messages from the iterator
        self._unsettled: dict[int, Outgoing] = {}  # by their numbers
        self._returned: deque[int] = deque()  # of them, those that no connection has
        self._active: list[Connection] = []
        self._started = 0  # connections
        self._waiting: deque[Request] = deque()  # for a message
        self._error: BaseException | None = None
        self._channel = Channel()

    def outcomes(self) -> Generator[tuple[int, SendResult | SmtpError]]:
        """Send the messages, and yield the outcome of each as soon as it is known.

        Yields:
            The number of the message, counted from 0, and its outcome.

        Raises:
            SmtpError: see ``SmtpClient.send_all``. Messages without an outcome were not sent.
        """
        try:
            self._open_next()
            while any(connection.is_open for connection in self._active) or (self._active and not self._is_over):
                event = self._channel.receive()
                if isinstance(event, Settled):
                    del self._unsettled[event.number]
                    yield event
                else:
                    self._handle(event)
                self._hand_out()
        finally:
            self._stop()
        if self._error is not None:
            raise self._error

    @property
    def _is_over(self) -> bool:
        """Whether nothing more is sent."""
        return self._error is not None or (self._source_is_empty and not self._unsettled)

    def _handle(self, event: Request | Opened | Ended) -> None:
        if isinstance(event, Opened):
            self._client.further.append(event.client)
            event.connection.is_open = True
            self._open_next()
        elif isinstance(event, Ended):
            self._remove(event.connection, event.error)
        elif event.function is None:
            self._waiting.append(event)
        else:
            with _answering(event):
                event.answer.set_result(event.function())

    def _open_next(self) -> None:
        """Use a further connection, unless all are in use, or no message is left for it."""
        while self._started < self._connections and not (self._source_is_empty or self._is_over):
            self._started += 1
            client = self._spare.pop(0) if self._spare else None
            connection = Connection(self._client, client, self._channel, self._new_bulk)
            self._active.append(connection)
            connection.start()
            if client is None:
                return

    def _remove(self, connection: Connection, error: BaseException | None) -> None:
        """Take the messages of a connection that has ended back, and note why it has ended."""
        self._active.remove(connection)
        self._returned = deque(sorted([*self._returned, *connection.numbers]))
        of_session = error if isinstance(error, SmtpError) and error is not self._source_error else None
        if error is None or (of_session and self._is_over):
            return
        if of_session and of_session.transient and self._active and not isinstance(error, RecordError):
            self._started = self._connections  # no further one is opened
            logger.warning(
                "%s: %s of %s connections are used now, because of this error: %s",
                "A connection has ended" if connection.is_open else "No further connection can be opened",
                len(self._active),
                self._connections,
                error,
            )
        else:
            self._error = self._error or error

    def _hand_out(self) -> None:
        """Answer the requests for messages, except those that must wait until messages may have come back.

        While a further connection is being opened, it is left the messages that others would only hold ready.
        """
        is_opening = not all(connection.is_open for connection in self._active)
        for _ in range(len(self._waiting)):
            request = self._waiting.popleft()
            with _answering(request):
                number = None if is_opening and request.connection.numbers else self._next_number(request.connection)
                if number is not None:
                    request.connection.numbers.append(number)
                    request.answer.set_result(self._unsettled[number])
                elif request.connection.numbers or self._is_over:
                    request.answer.set_result(None)
                else:
                    self._waiting.append(request)

    def _next_number(self, connection: Connection) -> int | None:
        """Return the number of the next message for a connection; None if there is none now.

        One that has messages gets more ahead only if enough are left: at the end, all have about the same number.
        """
        if self._error is not None:
            return None
        left_to_others = _LEFT_TO_OTHERS * len(self._active) if connection.numbers else 0
        while len(self._returned) <= left_to_others and self._take():
            pass
        return self._returned.popleft() if len(self._returned) > left_to_others else None

    def _take(self) -> bool:
        """Take a message from the iterator, unless too many are ahead; return whether there was one."""
        first = next(iter(self._unsettled), self._taken)
        if self._source_is_empty or (self._most_ahead is not None and self._taken - first >= self._most_ahead):
            return False
        try:
            message = next(self._messages, None)
        except Exception as error:
            self._source_is_empty, self._source_error = True, error
            raise
        if message is None:
            self._source_is_empty = True
            return False
        self._unsettled[self._taken] = message
        self._returned.append(self._taken)
        self._taken += 1
        return True

    def _stop(self) -> None:
        """Break the connections that are still in use, and wait for those threads."""
        self._channel.close()
        deadline = time.monotonic() + _END_TIMEOUT
        in_use = [connection for connection in self._active if connection.client is not None]
        for connection in in_use:
            connection.break_off()
            if not connection.is_open:  # what it told was not received
                self._client.further.append(connection.client)
        for connection in in_use:
            connection.join(max(0.0, deadline - time.monotonic()))


@contextmanager
def _answering(request: Request) -> Iterator[None]:
    """Pass an exception of the block on to the thread that asked; raise one that interrupts the caller's, too."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the conversation decides what it means
        request.answer.set_exception(error)
    except BaseException:
        request.answer.set_exception(Stopped())
        raise
