"""A connection in a thread of its own, for ``side_by_side``, and what it tells the caller's thread."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from contextlib import closing, suppress
from functools import partial
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from airflow_smtp_cm.smtp.recorded import Recorded, RecordedPart

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from typing import Self

    from airflow_smtp_cm.smtp.bulk import Bulk
    from airflow_smtp_cm.smtp.errors import SmtpError
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.result import SendResult


class Client(Protocol):
    """What is needed of ``SmtpClient``."""

    further: list[Any]

    def send_all(
        self,
        messages: Iterable[Outgoing],
        *,
        all_or_nothing: bool = False,
        messages_per_minute: float | None = None,
        max_messages_per_connection: int | None = None,
    ) -> Generator[SendResult | SmtpError]:
        """Send many messages over this connection."""

    def open_another(self) -> Self:
        """Open another session with the same settings."""

    def run_bulk(self, runs: Iterable[Bulk], sleep: Callable[[float], object]) -> Generator[SendResult | SmtpError]:
        """Send the messages of a bulk over one session after another."""

    def abort(self) -> None:
        """Break the connection, from another thread."""

    def close(self) -> None:
        """End the session."""


class Stopped(BaseException):
    """The iteration has ended. It is no Exception: the conversation would take that for an error of a message."""


class Request(NamedTuple):
    """A call that the caller's thread is to make, or, without a function, a request for a message."""

    connection: Connection
    answer: Future[Any]
    function: Callable[[], None] | None = None


class Settled(NamedTuple):
    """The outcome of a message, by the message's number."""

    number: int
    outcome: SendResult | SmtpError


class Opened(NamedTuple):
    """The connection is open."""

    connection: Connection
    client: Client


class Ended(NamedTuple):
    """The connection has no message left, or has ended with an error."""

    connection: Connection
    error: BaseException | None


class Channel:
    """What the threads of the connections tell the caller's thread."""

    def __init__(self) -> None:
        self._events: SimpleQueue[Request | Settled | Opened | Ended] = SimpleQueue()
        self._lock = Lock()
        self._closed = Event()

    def send(self, event: Request | Settled | Opened | Ended) -> None:
        """Pass an event to the caller's thread.

        Raises:
            Stopped: the channel is closed.
        """
        with self._lock:
            self.check()
            self._events.put(event)

    def receive(self) -> Request | Settled | Opened | Ended:
        """Wait for the next event."""
        return self._events.get()

    def check(self) -> None:
        """Raise ``Stopped`` if the channel is closed."""
        if self._closed.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds, or until the channel is closed; then raise ``Stopped``."""
        self._closed.wait(seconds)
        self.check()

    def close(self) -> None:
        """Accept no more events."""
        with self._lock:
            self._closed.set()


class Connection(Thread):
    """A connection and its thread.

    Args:
        first: the client of the first connection.
        client: the client of this connection; None: another one is opened.
        channel: leads to the caller's thread.
        new_bulk: makes a bulk of an iterator of messages.

    Attributes:
        client: the client; None if the connection is not open.
        is_open: whether the caller's thread knows that it is open.
        numbers: the numbers of the messages that it has, and that have no outcome.
    """

    def __init__(
        self, first: Client, client: Client | None, channel: Channel, new_bulk: Callable[[Iterable[Outgoing]], Bulk]
    ) -> None:
        # As a daemon, a thread that is connecting does not hold up the end of the process.
        super().__init__(name="airflow_smtp_cm connection", daemon=True)
        self.client = client
        self.is_open = client is not None
        self.numbers: deque[int] = deque()
        self._first = first
        self._channel = channel
        self._new_bulk = new_bulk
        self._answer: Future[Any] = Future()  # the latest, for which the thread may wait

    def run(self) -> None:
        """Open the connection if it is not open, and send messages until none is left."""
        error: BaseException | None = None
        try:
            self._send(self.client or self._opened())
        except BaseException as caught:  # noqa: BLE001 - the caller's thread decides what it means
            error = caught
        with suppress(Stopped):
            self._channel.send(Ended(self, error))

    def ask(self, function: Callable[[], None] | None = None) -> Any:
        """Let the caller's thread call a function; or without one, return the next message, or None if there is none.

        Raises:
            Stopped: the iteration has ended.
        """
        self._answer = Future()
        self._channel.send(Request(self, self._answer, function))
        return self._answer.result()

    def break_off(self) -> None:
        """Break the connection, and wake up the thread if it waits for an answer; called in the caller's thread."""
        if self.client is not None:
            self.client.abort()
        if not self._answer.done():
            self._answer.set_exception(Stopped())

    def _opened(self) -> Client:
        client = self.client = self._first.open_another()
        try:
            self._channel.send(Opened(self, client))
        except Stopped:
            client.close()
            raise
        return client

    def _send(self, client: Client) -> None:
        runs = self._new_bulk(_Messages(self)).runs()
        with closing(client.run_bulk(self._until_closed(runs), self._channel.sleep)) as outcomes:
            for outcome in outcomes:
                self._channel.send(Settled(self.numbers.popleft(), outcome))

    def _until_closed(self, runs: Iterable[Bulk]) -> Iterator[Bulk]:
        for bulk in runs:
            self._channel.check()
            yield bulk


class _Messages:
    """The messages for a connection. Unlike a generator, it may have further ones after it had none."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Outgoing:
        message: Outgoing | None = self._connection.ask()
        if message is None:
            raise StopIteration
        return _Relayed(message, self._connection) if isinstance(message, Recorded) else message


class _Relayed(RecordedPart):
    """A message whose methods that record its transmission are called in the caller's thread."""

    __slots__ = ("_connection", "_recorded", "message", "recipients")

    def __init__(self, message: Outgoing, connection: Connection) -> None:
        assert isinstance(message, Recorded)  # noqa: S101 - see _Messages
        self.message = message
        self.recipients = message.recipients
        self._recorded: Recorded = message
        self._connection = connection

    def record_sending(self, recipients: Sequence[str], size: int) -> None:
        """Record that the content is about to be transmitted."""
        self._connection.ask(partial(self._recorded.record_sending, recipients, size))

    def record_accepted(self, result: SendResult) -> None:
        """Record the result so far."""
        self._connection.ask(partial(self._recorded.record_accepted, result))
