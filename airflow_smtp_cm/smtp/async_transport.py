"""The blocking parts of the conversation on asyncio: a TCP connection, TLS, and the deadlines of its waits."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_smtp_cm.smtp.effects import Call, Finished, Poll, Read, Settled, StartTls, Write
from airflow_smtp_cm.smtp.errors import Phase, ProtocolError, SmtpError, TlsError
from airflow_smtp_cm.smtp.timeouts import Waits
from airflow_smtp_cm.smtp.tls import context_for, handshake_error, session_of
from airflow_smtp_cm.smtp.transport import MAX_UNREAD, acknowledge_at_once, check_names

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from airflow_smtp_cm.smtp.effects import Effect, Steps, TlsSession
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.settings import Settings

T = TypeVar("T")


class _Connection(asyncio.Protocol):
    """What asyncio tells of a TCP connection: what came, whether it ended, whether more may be written."""

    def __init__(self) -> None:
        self.unread = bytearray()
        self.ended = False
        self.error: OSError | None = None
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.unread += data
        if len(self.unread) > MAX_UNREAD:
            self.transport.abort()
        self._news.set()

    def eof_received(self) -> bool:
        self._end(None)
        return not self.transport.get_extra_info("ssl_object")  # TLS knows no half-open connection

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc if isinstance(exc, OSError) else None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def read(self) -> bytes:
        """Wait for octets; ``b""`` is the end."""
        while (data := self.poll()) is None:
            acknowledge_at_once(self.transport.get_extra_info("socket"))
            self._news.clear()
            await self._news.wait()
        return data

    def poll(self) -> bytes | None:
        """Return what ``read`` would, or None where it would wait."""
        if not self.unread and not self.ended:
            return None
        data = bytes(self.unread)
        self.unread.clear()
        if not data and self.error:
            raise self.error
        return data

    def write(self, data: bytes) -> bool:
        """Send octets, and return whether more may follow at once; if not, ``drained`` waits until they may."""
        self.transport.write(data)
        self._check()
        return self._writable.is_set()

    async def drained(self) -> None:
        """Wait until the network has taken nearly all of the octets."""
        await self._writable.wait()
        self._check()

    def _check(self) -> None:
        if self.error:
            raise self.error
        if self.transport.is_closing():
            raise ConnectionResetError("the server closed the connection")

    def _end(self, error: OSError | None) -> None:
        self.ended = True
        self.error = self.error or error
        self._news.set()
        self._writable.set()


class AsyncTransport:
    """A TCP connection on asyncio, with TLS once the conversation asks for it.

    Args:
        settings: where to connect, and how long each wait may last.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.waits = Waits(settings)

    async def connect(self) -> None:
        """Connect.

        Raises:
            SettingsError: a name in the settings can be no server's.
            ConnectError: no connection can be made.
        """
        check_names(self._settings)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.waits.seconds(Phase.CONNECT)):
                _, self._connection = await loop.create_connection(
                    _Connection, self._settings.host, self._settings.port
                )
        except OSError as error:  # TimeoutError is one
            raise self.waits.not_connected(error) from error

    async def run(self, steps: Steps[T]) -> T:
        """Carry out a piece of the conversation and return its outcome."""
        try:
            ended = await self._advance(steps)
        finally:
            steps.close()  # interrupted, it closes the files it reads at once
        assert isinstance(ended, Finished), ended  # noqa: S101 - only ``stream`` is given what settles messages
        return ended.value

    async def stream(self, steps: Steps[None]) -> AsyncGenerator[SendResult | SmtpError]:
        """Carry out a piece of the conversation, and yield what becomes of each message in it."""
        with closing(steps):
            while isinstance(settled := await self._advance(steps), Settled):
                yield settled.outcome
                self.waits.begin()

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
        with suppress(AttributeError):  # before 3.11.3, Python's TLS forgets that it has closed already
            self._connection.transport.abort()

    @property
    def local_address(self) -> str:
        """The address that the connection comes from."""
        address: str = self._connection.transport.get_extra_info("sockname")[0]
        return address

    async def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Call):
            return await asyncio.to_thread(effect.function)
        phase = Phase.TLS if isinstance(effect, StartTls) else effect.phase
        try:
            if isinstance(effect, Poll):
                return self._connection.poll()
            if not (isinstance(effect, Read) and effect.goes_on):
                self.waits.start(phase)
            left = self.waits.left(phase)
            if isinstance(effect, Write) and self._connection.write(effect.data):
                return None  # to have had an eye on the time would have cost as much again
            async with asyncio.timeout(left):
                return await self._wait_for(effect)
        except TimeoutError:
            raise self.waits.timed_out(phase) from None
        except OSError as error:
            raise self.waits.broken(phase, error) from error

    async def _wait_for(self, effect: Write | Read | StartTls) -> Any:
        if isinstance(effect, Write):
            return await self._connection.drained()
        if isinstance(effect, Read):
            return await self._connection.read()
        return await self._start_tls()

    async def _start_tls(self) -> TlsSession:
        connection = self._connection
        if connection.unread:
            # Octets from before the handshake would be taken for part of the session.
            raise ProtocolError(
                f"{self.waits.peer} spoke before TLS had begun. If it expects STARTTLS (25, 587), the TLS mode must "
                f"say so.",
                phase=Phase.TLS,
            )
        try:
            transport = await asyncio.get_running_loop().start_tls(
                connection.transport,
                connection,
                context_for(self._settings.tls),
                server_hostname=self._settings.peer_name,
            )
        except ssl.SSLError as error:
            raise handshake_error(error, self._settings, None) from error
        if transport is None:
            raise ConnectionResetError("the server closed the connection")
        connection.transport = transport
        try:
            return session_of(transport.get_extra_info("ssl_object"))
        except ValueError as error:  # what ended it, asyncio keeps to itself
            raise TlsError(
                f"The TLS session with {self.waits.peer} broke as soon as it stood.", phase=Phase.TLS
            ) from error
