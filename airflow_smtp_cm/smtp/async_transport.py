"""The asyncio transport: performs the effects of the conversation, within their timeouts."""

from __future__ import annotations

import asyncio
import select
import ssl
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_smtp_cm.smtp.background import start_call
from airflow_smtp_cm.smtp.connecting import connect_to_server
from airflow_smtp_cm.smtp.effects import AwaitConnection, Call, Finished, Poll, Read, Settled, StartTls, Write
from airflow_smtp_cm.smtp.errors import Phase, ProtocolError, SmtpError, TlsError
from airflow_smtp_cm.smtp.host_names import peer_name
from airflow_smtp_cm.smtp.timeouts import TLS_ENDED, Deadlines
from airflow_smtp_cm.smtp.tls import context_for, handshake_error, tls_session
from airflow_smtp_cm.smtp.transport import MAX_UNREAD, acknowledge_at_once

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator

    from airflow_smtp_cm.smtp.effects import Effect, Steps, TlsSession
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.settings import Settings

T = TypeVar("T")


class _Connection(asyncio.Protocol):
    """The state of a TCP connection: unread data, whether it has ended, whether more data may be written."""

    def __init__(self) -> None:
        self.unread = bytearray()
        self.ended = False
        self.error: OSError | None = None
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.unread += data
        if len(self.unread) > MAX_UNREAD:
            self.transport.abort()
        self._readable.set()

    def eof_received(self) -> bool:
        self._set_ended(None)
        return not self.transport.get_extra_info("ssl_object")  # TLS has no half-open connections

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_ended(exc if isinstance(exc, OSError) else None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def read(self) -> bytes:
        """Wait for data; ``b""`` is the end of the connection."""
        while (data := self._take_unread()) is None:
            # asyncio's TLS forgets its socket a moment before it reports that the connection is lost.
            if (sock := self.transport.get_extra_info("socket")) is not None:
                acknowledge_at_once(sock)
            self._readable.clear()
            await self._readable.wait()
        return data

    async def poll(self) -> bytes | None:
        """Return what ``read`` returns, or None if no data has arrived, also none that asyncio has not read yet."""
        while not self.unread and not self.ended and self._has_input():  # noqa: ASYNC110 - no event announces it
            await asyncio.sleep(0)  # the event loop reads it
        return self._take_unread()

    def _has_input(self) -> bool:
        if self.transport.is_closing():  # soon it is reported that the connection is lost
            return True
        poller = select.poll()
        poller.register(self.transport.get_extra_info("socket"), select.POLLIN)
        return bool(poller.poll(0))

    def _take_unread(self) -> bytes | None:
        if not self.unread and not self.ended:
            return None
        data = bytes(self.unread)
        self.unread.clear()
        if not data and self.error:
            raise self.error
        return data

    def write(self, data: bytes) -> bool:
        """Send data, and return whether more may be written at once; if not, ``drained`` waits until it may."""
        self.transport.write(data)
        self._check()
        return self._writable.is_set()

    async def drained(self) -> None:
        """Wait until nearly all of the data is passed to the network."""
        await self._writable.wait()
        self._check()

    def _check(self) -> None:
        if self.error:
            raise self.error
        if self.transport.is_closing():
            raise ConnectionResetError("the server closed the connection")

    def _set_ended(self, error: OSError | None) -> None:
        self.ended = True
        self.error = self.error or error
        self._readable.set()
        self._writable.set()


class AsyncTransport:
    """A TCP connection on asyncio, with TLS after the ``StartTls`` effect.

    Args:
        settings: the server, TLS and the timeouts.

    Raises:
        SettingsError: the server's name in its certificate is not valid.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._peer_name = peer_name(settings)
        self.deadlines = Deadlines(settings)

    async def connect(self) -> None:
        """Connect.

        Raises:
            SettingsError: the host is not valid.
            ConnectError: the connection could not be made.
        """
        sock = await self.run(connect_to_server(self._settings, self.deadlines))
        _, self._connection = await asyncio.get_running_loop().create_connection(_Connection, sock=sock)

    async def run(self, steps: Steps[T]) -> T:
        """Perform the effects of ``steps`` and return their result."""
        try:
            ended = await self._advance(steps)
        finally:
            steps.close()  # closes open files if it was interrupted
        assert not isinstance(ended, Settled), ended  # noqa: S101 - ``Settled`` occurs only in ``stream``
        return ended.value

    async def stream(self, steps: Steps[None]) -> AsyncGenerator[SendResult | SmtpError]:
        """Perform the effects of ``steps``, and yield the outcome of each message."""
        with closing(steps):
            while isinstance(settled := await self._advance(steps), Settled):
                yield settled.outcome
                self.deadlines.start_operation()

    async def _advance(self, steps: Steps[T]) -> Settled | Finished[T]:
        try:
            effect = next(steps)
            while not isinstance(effect, Settled):
                try:
                    outcome = await self._perform(effect)
                except Exception as error:  # noqa: BLE001 - the conversation decides what an error means
                    effect = steps.throw(error)
                else:
                    effect = steps.send(outcome)
        except StopIteration as stop:
            return Finished(stop.value)
        return effect

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        transport = self._connection.transport
        with suppress(AttributeError):  # before Python 3.11.3, a second close of TLS fails
            transport.abort()

    @property
    def local_address(self) -> str:
        """The local address of the connection."""
        address: str = self._connection.transport.get_extra_info("sockname")[0]
        return address

    async def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Call):
            if effect.phase is None:
                return await asyncio.to_thread(effect.function)
            phase = effect.phase
        elif isinstance(effect, AwaitConnection):
            return await _await_connection(effect)
        else:
            phase = Phase.TLS if isinstance(effect, StartTls) else effect.phase
        try:
            if isinstance(effect, Poll):
                return await self._connection.poll()
            if not (isinstance(effect, Read | Call) and effect.continued):
                self.deadlines.start_wait(phase)
            left = self.deadlines.remaining(phase)
            if isinstance(effect, Write) and self._connection.write(effect.data):
                return None  # a timeout would double the cost of a write
            async with asyncio.timeout(left):
                return await self._wait_for(effect)
        except OSError as error:
            raise self.deadlines.network_error(phase, error) from error

    async def _wait_for(self, effect: Write | Read | Call | StartTls) -> Any:
        if isinstance(effect, Write):
            return await self._connection.drained()
        if isinstance(effect, Read):
            return await self._connection.read()
        if isinstance(effect, Call):
            return await asyncio.wrap_future(start_call(effect.function))
        return await self._start_tls()

    async def _start_tls(self) -> TlsSession:
        connection = self._connection
        if connection.unread:
            # Data from before the handshake would be read as part of the TLS session.
            raise ProtocolError(
                f"{self.deadlines.peer} sent data before the TLS handshake. If the port expects STARTTLS (25, 587), "
                f"set the TLS mode to starttls.",
                phase=Phase.TLS,
            )
        try:
            transport = await asyncio.get_running_loop().start_tls(
                connection.transport,
                connection,
                context_for(self._settings.tls),
                server_hostname=self._peer_name,
            )
        except TLS_ENDED:
            raise
        except ssl.SSLError as error:
            raise handshake_error(error, self._settings) from error
        if transport is None:
            raise ConnectionResetError("the server closed the connection")
        connection.transport = transport
        try:
            return tls_session(transport.get_extra_info("ssl_object"))
        except ValueError as error:  # asyncio does not report the reason
            raise TlsError(
                f"The TLS session with {self.deadlines.peer} was closed right after the handshake.", phase=Phase.TLS
            ) from error


async def _await_connection(effect: AwaitConnection) -> socket.socket | None:
    loop = asyncio.get_running_loop()
    first: asyncio.Future[socket.socket] = loop.create_future()

    def ready(sock: socket.socket) -> None:
        if not first.done():
            first.set_result(sock)

    for sock in effect.sockets:
        loop.add_writer(sock, ready, sock)
    try:
        await asyncio.wait([first], timeout=effect.seconds)
    finally:
        for sock in effect.sockets:
            loop.remove_writer(sock)
    return first.result() if first.done() else None
