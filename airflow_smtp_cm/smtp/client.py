"""SmtpClient: an SMTP client on a blocking socket."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from airflow_smtp_cm.smtp.ehlo_name import ehlo_name
from airflow_smtp_cm.smtp.errors import SmtpError
from airflow_smtp_cm.smtp.session import Session
from airflow_smtp_cm.smtp.trace import Trace
from airflow_smtp_cm.smtp.transport import SocketTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from types import TracebackType
    from typing import Self

    from airflow_smtp_cm.smtp.async_transport import AsyncTransport
    from airflow_smtp_cm.smtp.bulk import Bulk
    from airflow_smtp_cm.smtp.delivery_notification import DeliveryNotification
    from airflow_smtp_cm.smtp.effects import Steps, TlsSession
    from airflow_smtp_cm.smtp.extensions import Extensions
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.sasl import Attempt
    from airflow_smtp_cm.smtp.settings import Settings
    from airflow_smtp_cm.smtp.trace import TraceSink

__all__ = ["SmtpClient"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

# Seconds of idle time after which a session is checked with NOOP before the next message: servers and firewalls drop
# idle connections silently.
PROBE_AFTER = 30.0


class ClientState:
    """The session of a client, blocking or asyncio, and the check whether it is still open."""

    settings: Settings
    _session: Session
    _last_used: float

    @property
    def login(self) -> Attempt | None:
        """How the client logged in; None if anonymous."""
        return self._session.login

    @property
    def tls(self) -> TlsSession | None:
        """The TLS session, if there is one."""
        return self._session.wire.tls

    @property
    def extensions(self) -> Extensions:
        """The extensions that the server offers."""
        return self._session.wire.extensions

    def __repr__(self) -> str:
        if not hasattr(self, "_session"):
            return f"<{type(self).__name__} {self.settings.host}:{self.settings.port} not open yet>"
        state = "closed" if self._session.wire.closed else "open"
        return f"<{type(self).__name__} {self._session.wire.peer} {state}>"

    def _probe(self) -> Steps[None]:
        """Check whether the session is still open."""
        rested = time.monotonic() - self._last_used
        return self._session.noop() if rested > PROBE_AFTER else self._session.check()

    def _discard_session(self, error: SmtpError) -> None:
        """Mark the session as closed after a failed check, so that a new one is opened."""
        self._session.wire.closed = True
        logger.info("Opening a new session with %s: %s", self._session.wire.peer, error)

    def _close_after_error(self, error: BaseException, transport: SocketTransport | AsyncTransport) -> None:
        """Close the connection after an error that ended the session."""
        if not isinstance(error, SmtpError):
            # Interrupted between a command and its reply: the session cannot be continued.
            self._session.wire.closed = True
        if self._session.wire.closed:
            transport.close()


class SmtpClient(ClientState):
    """An SMTP client with an open session, after login; it sends any number of messages.

    Use it as a context manager, which ends the session with QUIT. If the server has closed the session between two
    messages, the client opens a new one. It is not thread-safe.

    Attributes:
        further: the clients of the further connections that ``send_all`` has opened; they are closed with this one.
    """

    def __init__(self, settings: Settings, *, trace: TraceSink | None = None) -> None:
        self.settings = settings
        self._trace = trace
        self._session, self._transport = self._open()
        self._last_used = time.monotonic()
        self.further: list[SmtpClient] = []

    @classmethod
    def open(cls, settings: Settings, *, trace: TraceSink | None = None) -> Self:
        """Connect, start TLS and log in, as the settings require.

        Args:
            settings: the server, TLS, the identity, the timeouts.
            trace: called with every line of the dialogue, without secrets; None logs the lines at DEBUG.

        Raises:
            SmtpError: the session could not be opened; the connection is closed.
        """
        return cls(settings, trace=trace)

    def send(
        self,
        message: Outgoing,
        *,
        all_or_nothing: bool = False,
        notification: DeliveryNotification | None = None,
    ) -> SendResult:
        """Send one message, in several transactions if the server does not accept all recipients at once.

        Args:
            message: the message.
            all_or_nothing: send to no recipient if the server refuses one.
            notification: the delivery reports to request (DSN).

        Returns:
            The result: the server accepted the message for all recipients.

        Raises:
            RecipientsRefused: the server refused recipients; ``result`` of the error shows who has the message.
            DeliveryIncomplete: the server accepted the message for some recipients, and an error ended a further
                transaction for the others; ``result`` shows who has the message.
            DeliveryUncertain: the whole message was sent, and no final reply arrived.
            SmtpError: the message was not delivered to any recipient.
        """
        self._ensure_session()
        return self._run(self._session.send(message, all_or_nothing=all_or_nothing, notification=notification))

    def send_all(
        self,
        messages: Iterable[Outgoing],
        *,
        all_or_nothing: bool = False,
        messages_per_minute: float | None = None,
        max_messages_per_connection: int | None = None,
        connections: int = 1,
    ) -> Generator[SendResult | SmtpError]:
        """Send many messages back to back (pipelined).

        If the server offers PIPELINING, messages are sent before the replies to earlier messages arrive. If the
        session ends, the remaining messages, and the remaining recipients of a message, are sent over a new one. If a
        session ends at its first message, the outcome of this message is the error, and the new session begins after
        it. If the caller stops the iteration, the session is closed, and the outcome of the messages that were sent
        until then is not reported.

        With several connections, a server that delays its replies delays fewer messages. The further ones are opened
        when they are needed, and stay open until the client is closed. If the server does not accept so many, or one
        ends with a transient error and no new one can be opened, this is logged, and the others send the rest.

        Args:
            messages: the messages; taken when they are needed, some dozens for each connection ahead of the results.
            all_or_nothing: send a message to no recipient if the server refuses one; each message then waits for the
                final reply to the one before on its connection.
            messages_per_minute: a limit on the rate of all connections together; messages are evenly spaced, and each
                waits for the final reply to the one before on its connection. A message in several transactions
                counts as so many messages. If the server closes the connection in a pause, a new one is opened.
            max_messages_per_connection: open a new connection after this number of messages.
            connections: how many connections send at the same time.

        Yields:
            For each message, in order, its result, or the error that ``send`` would raise for it.

        Raises:
            ValueError: a limit, or the number of connections, is not positive.
            SmtpError: no session can be opened, or the server ended two sessions in succession before it replied to
                any message. Messages without a result were not sent.
        """
        from airflow_smtp_cm.smtp.bulk import Bulk, Throttle  # noqa: PLC0415 - only for many messages

        throttle = Throttle(
            messages_per_minute=messages_per_minute, max_messages_per_connection=max_messages_per_connection
        )
        if connections == 1:
            bulk = Bulk(
                messages, all_or_nothing=all_or_nothing, most=max_messages_per_connection, pace=throttle.pace()
            )
            yield from self.run_bulk(bulk.runs(), time.sleep)
        else:
            from airflow_smtp_cm.smtp.side_by_side import send_in_order  # noqa: PLC0415 - only for several

            yield from send_in_order(
                self, messages, connections=connections, all_or_nothing=all_or_nothing, throttle=throttle
            )

    def run_bulk(self, runs: Iterable[Bulk], sleep: Callable[[float], object]) -> Generator[SendResult | SmtpError]:
        """Send the messages of a bulk over one session after another; see ``send_all``, which calls it.

        Args:
            runs: the bulk, once for each session or message.
            sleep: waits for a number of seconds.
        """
        for bulk in runs:
            if pause := bulk.pause:
                sleep(pause)
            try:
                self._ensure_session()
            except SmtpError as error:
                yield from bulk.unfinished(error)
                raise
            try:
                yield from self._transport.stream(self._session.send_all(bulk))
            except BaseException as error:
                self._close_after_error(error, self._transport)
                raise
            finally:
                self._last_used = time.monotonic()

    def open_another(self) -> Self:
        """Open another session with the same settings; see ``open``."""
        return self.open(self.settings, trace=self._trace)

    def noop(self) -> None:
        """Send NOOP to check that the session is still open."""
        self._run(self._session.noop())

    def abort(self) -> None:
        """Break the connection, from another thread than the one that uses it, which gets ``Disconnected``."""
        self._transport.abort()

    def close(self) -> None:
        """End the session, and those of further connections, with QUIT, and close the connections."""
        try:
            if not self._session.wire.closed:
                with suppress(SmtpError):
                    self._run(self._session.quit())
        finally:
            self._transport.close()
            for client in self.further:
                client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> tuple[Session, SocketTransport]:
        session = Session(self.settings, Trace(self._trace))
        transport = SocketTransport(self.settings)
        try:
            name = self.settings.ehlo_name or transport.run(ehlo_name(transport.local_address))
            transport.run(session.open(name))
        except BaseException:
            transport.close()
            raise
        return session, transport

    def _ensure_session(self) -> None:
        if not self._session.wire.closed:
            try:
                self._run(self._probe())
            except SmtpError as error:
                self._discard_session(error)
        if self._session.wire.closed:
            self._transport.close()
            self._session, self._transport = self._open()

    def _run(self, steps: Steps[T]) -> T:
        self._transport.deadlines.start_operation()
        try:
            return self._transport.run(steps)
        except BaseException as error:
            self._close_after_error(error, self._transport)
            raise
        finally:
            self._last_used = time.monotonic()
