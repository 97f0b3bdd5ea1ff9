"""SmtpClient: the conversation on a blocking socket."""

from __future__ import annotations

import logging
import socket
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from airflow_smtp_cm.smtp.bulk import Bulk, Throttle
from airflow_smtp_cm.smtp.errors import SmtpError
from airflow_smtp_cm.smtp.session import Session
from airflow_smtp_cm.smtp.trace import Trace
from airflow_smtp_cm.smtp.transport import SocketTransport

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from types import TracebackType
    from typing import Self

    from airflow_smtp_cm.smtp.async_transport import AsyncTransport
    from airflow_smtp_cm.smtp.commands import DeliveryNotification
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

# A connection that rested longer is probed before it is trusted with a message; servers drop idle ones silently.
PROBE_AFTER = 30.0


class ClientState:
    """What a client knows of its session and when to trust it, blocking or not."""

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
        """What the server offers."""
        return self._session.wire.extensions

    def __repr__(self) -> str:
        if not hasattr(self, "_session"):
            return f"<{type(self).__name__} {self.settings.host}:{self.settings.port} not open yet>"
        state = "closed" if self._session.wire.closed else "open"
        return f"<{type(self).__name__} {self._session.wire.peer} {state}>"

    def _probe(self) -> Steps[None]:
        """Find out whether a session that was open when it was last used still is."""
        rested = time.monotonic() - self._last_used
        return self._session.noop() if rested > PROBE_AFTER else self._session.check()

    def _is_gone(self, error: SmtpError) -> None:
        """Note that the probe failed: a new session is needed."""
        self._session.wire.closed = True
        logger.info("Opening a new session with %s: %s", self._session.wire.peer, error)

    def _broke_off(self, error: BaseException, transport: SocketTransport | AsyncTransport) -> None:
        """Close the connection after an error that leaves nothing to say on it."""
        if not isinstance(error, SmtpError):
            # Interrupted in mid-conversation: nothing that is said now would be understood.
            self._session.wire.closed = True
        if self._session.wire.closed:
            transport.close()


class SmtpClient(ClientState):
    """An open, logged-in session with a server, for any number of messages one after the other.

    Use it as a context manager: it ends with QUIT. If the server has closed the session between two messages, the
    next one opens a new session. Not for use by several threads at once.
    """

    def __init__(self, settings: Settings, *, trace: TraceSink | None = None) -> None:
        self.settings = settings
        self._trace = trace
        self._session, self._transport = self._open()
        self._last_used = time.monotonic()

    @classmethod
    def open(cls, settings: Settings, *, trace: TraceSink | None = None) -> Self:
        """Connect, start TLS and log in, as far as the settings ask for it.

        Args:
            settings: how to reach the server and who to be there.
            trace: gets every line of the dialogue, secrets replaced; None logs it at DEBUG.

        Raises:
            SmtpError: whatever kept the session from being opened; nothing stays open.
        """
        return cls(settings, trace=trace)

    def send(
        self,
        message: Outgoing,
        *,
        all_or_nothing: bool = False,
        notification: DeliveryNotification | None = None,
    ) -> SendResult:
        """Send one message.

        Args:
            message: what to send.
            all_or_nothing: send to nobody if the server refuses anybody.
            notification: what to ask for in delivery reports (DSN).

        Returns:
            What became of it: the server has taken responsibility for every recipient.

        Raises:
            RecipientsRefused: the server refused recipients; the error tells who has the message nevertheless.
            DeliveryUncertain: the message left, and no confirmation came back.
            SmtpError: it was not delivered to anybody.
        """
        self._make_ready()
        return self._run(self._session.send(message, all_or_nothing=all_or_nothing, notification=notification))

    def send_all(
        self,
        messages: Iterable[Outgoing],
        *,
        all_or_nothing: bool = False,
        messages_per_minute: float | None = None,
        max_messages_per_connection: int | None = None,
    ) -> Generator[SendResult | SmtpError]:
        """Send any number of messages, each on the heels of the one before.

        Where the server offers PIPELINING, messages leave before the replies to those before them are there. If the
        server ends the session, or the network does, the rest goes over a new one. To take no more of the results
        ends the session, and what has left until then stays without a result.

        Args:
            messages: what to send; taken as they are needed, some dozens ahead of the results.
            all_or_nothing: send a message to nobody if the server refuses anybody; each message then waits for the
                one before.
            messages_per_minute: send no more than so many, evenly spaced, for a server that counts; each message
                then waits for the one before. If the server has closed the connection meanwhile, it is opened anew.
            max_messages_per_connection: open a new connection after so many.

        Yields:
            For each message, in order, its result, or the error that ``send`` would raise for it.

        Raises:
            ValueError: a limit lets nothing through.
            SmtpError: no session can be opened any more, or the server ended one before it took a single message.
                Messages without a result have not been sent.
        """
        throttle = Throttle(
            messages_per_minute=messages_per_minute, max_messages_per_connection=max_messages_per_connection
        )
        for bulk in Bulk.runs(messages, all_or_nothing=all_or_nothing, throttle=throttle):
            if pause := bulk.pause:
                time.sleep(pause)
            self._make_ready()
            try:
                yield from self._transport.stream(self._session.send_all(bulk))
            except BaseException as error:
                self._broke_off(error, self._transport)
                raise
            finally:
                self._last_used = time.monotonic()

    def noop(self) -> None:
        """Ask the server whether it is still there."""
        self._run(self._session.noop())

    def close(self) -> None:
        """End the session with QUIT and close the connection."""
        try:
            if not self._session.wire.closed:
                with suppress(SmtpError):
                    self._run(self._session.quit())
        finally:
            self._transport.close()

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
            transport.run(session.open(self.settings.ehlo_name or ehlo_name(transport.local_address)))
        except BaseException:
            transport.close()
            raise
        return session, transport

    def _make_ready(self) -> None:
        if not self._session.wire.closed:
            try:
                self._run(self._probe())
            except SmtpError as error:
                self._is_gone(error)
        if self._session.wire.closed:
            self._transport.close()
            self._session, self._transport = self._open()

    def _run(self, steps: Steps[T]) -> T:
        self._transport.waits.begin()
        try:
            return self._transport.run(steps)
        except BaseException as error:
            self._broke_off(error, self._transport)
            raise
        finally:
            self._last_used = time.monotonic()


@cache
def _host_name() -> str:
    name = socket.gethostname()
    return name if "." in name else socket.getfqdn(name)  # the latter asks the DNS, which may take its time


def ehlo_name(local_address: str) -> str:
    """Return the machine's full name, else its address (RFC 5321, section 4.1.4)."""
    name = _host_name()
    if "." in name and name.isascii() and all(part.replace("-", "").isalnum() for part in name.split(".")):
        return name
    address, _, _ = local_address.partition("%")  # an IPv6 scope is this machine's own affair
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
