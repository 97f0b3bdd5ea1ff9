"""The blocking transport: a socket that carries out the conversation's effects, each wait within its time."""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_smtp_cm.smtp.effects import Call, Finished, Poll, Read, Settled, StartTls, Write
from airflow_smtp_cm.smtp.errors import Disconnected, Phase, ProtocolError, SettingsError
from airflow_smtp_cm.smtp.timeouts import TLS_ENDED, Waits
from airflow_smtp_cm.smtp.tls import context_for, handshake_error, presented_certificate, session_of

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket
    from collections.abc import Generator

    from airflow_smtp_cm.smtp.effects import Effect, Steps, TlsSession
    from airflow_smtp_cm.smtp.errors import SmtpError
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.settings import Settings

T = TypeVar("T")

_RECEIVE = 64 * 1024
# What a server may say while we are still writing: long replies to ten thousand recipients fit.
MAX_UNREAD = 16 * 1024 * 1024
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class SocketTransport:
    """A TCP connection, with TLS once the conversation asks for it.

    Args:
        settings: where to connect, and how long each wait may last.

    Attributes:
        waits: how long each wait may last, as of now.

    Raises:
        SettingsError: a name in the settings can be no server's.
        ConnectError: no connection can be made.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.waits = Waits(settings)
        self._unread = bytearray()
        self._ended = False
        self._sock = self._connect()
        self._poller = select.poll()

    def run(self, steps: Steps[T]) -> T:
        """Carry out a piece of the conversation and return its outcome."""
        try:
            ended = self._advance(steps)
        finally:
            steps.close()  # interrupted, it closes the files it reads at once
        assert isinstance(ended, Finished), ended  # noqa: S101 - only ``stream`` is given what settles messages
        return ended.value

    def stream(self, steps: Steps[None]) -> Generator[SendResult | SmtpError]:
        """Carry out a piece of the conversation, and yield what becomes of each message in it."""
        with closing(steps):
            while isinstance(settled := self._advance(steps), Settled):
                yield settled.outcome
                self.waits.begin()

    def _advance(self, steps: Steps[T]) -> Settled | Finished[T]:
        try:
            effect = next(steps)
            while not isinstance(effect, Settled):
                try:
                    outcome = self._perform(effect)
                except Exception as error:  # noqa: BLE001 - the conversation decides what an error means
                    effect = steps.throw(error)
                else:
                    effect = steps.send(outcome)
        except StopIteration as stop:
            return Finished(stop.value)
        return effect

    def close(self) -> None:
        """Close the socket, whatever state it is in."""
        self._sock.close()

    @property
    def local_address(self) -> str:
        """The address that the connection comes from."""
        address: str = self._sock.getsockname()[0]
        return address

    def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Write):
            return self._write(effect.data, effect.phase)
        if isinstance(effect, Read):
            return self._read(effect)
        if isinstance(effect, Poll):
            return self._poll(effect.phase)
        if isinstance(effect, Call):
            return effect.function()
        if isinstance(effect, StartTls):
            return self._start_tls()
        raise AssertionError(effect)

    def _connect(self) -> socket.socket:
        settings = self._settings
        check_names(settings)
        try:
            *others, last = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
            for family, _, _, _, address in others:
                with suppress(OSError):
                    return self._connect_to(family, address)
            return self._connect_to(last[0], last[4])
        except OSError as error:
            raise self.waits.not_connected(error) from error

    def _connect_to(self, family: socket.AddressFamily, address: Any) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.waits.seconds(Phase.CONNECT))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)  # noqa: FBT003 - the socket API's own signature
        except BaseException:
            sock.close()
            raise
        return sock

    def _start_tls(self) -> TlsSession:
        settings = self._settings
        context = context_for(settings.tls)
        try:
            sock = self._sock = context.wrap_socket(
                self._sock, server_hostname=settings.peer_name, do_handshake_on_connect=False
            )
            sock.settimeout(self.waits.seconds(Phase.TLS))
            sock.do_handshake()
        except TimeoutError:
            raise self.waits.timed_out(Phase.TLS) from None
        except ssl.SSLCertVerificationError as error:
            raise handshake_error(error, settings, presented_certificate(sock)) from error
        except TLS_ENDED as error:
            raise self.waits.broken(Phase.TLS, error) from error
        except ssl.SSLError as error:
            raise handshake_error(error, settings, None) from error
        except OSError as error:
            raise self.waits.broken(Phase.TLS, error) from error
        sock.setblocking(False)  # noqa: FBT003 - as above
        return session_of(sock)

    def _read(self, effect: Read) -> bytes:
        if not effect.goes_on:
            self.waits.start(effect.phase)
        if not self._unread and not self._ended:
            while not self._receive(effect.phase):
                acknowledge_at_once(self._sock)
                self._wait(select.POLLIN, effect.phase)
        return self._take()

    def _poll(self, phase: Phase) -> bytes | None:
        return self._take() if self._unread or self._ended or self._receive(phase) else None

    def _take(self) -> bytes:
        data = bytes(self._unread)
        self._unread.clear()
        return data

    def _write(self, data: bytes, phase: Phase) -> None:
        self.waits.seconds(phase)  # for all of the octets; the total time may be up although no wait is
        rest = memoryview(data)
        while rest:
            # One that has closed its side will never reply, so nothing more needs to leave.
            if self._ended:
                raise Disconnected(f"{self.waits.peer} closed the connection ({phase}).", phase=phase)
            try:
                rest = rest[self._sock.send(rest) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(select.POLLIN | select.POLLOUT, phase)
                # A server that does not get rid of its replies stops reading, so they are taken while we write.
                self._receive(phase)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, phase)
                self._receive(phase)
            except OSError as error:
                raise self.waits.broken(phase, error) from error

    def _receive(self, phase: Phase) -> bool:
        """Take what has arrived; return whether anything has, the end included."""
        try:
            data = self._sock.recv(_RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as error:
            raise self.waits.broken(phase, error) from error
        if not data:
            self._ended = True
        self._unread += data
        if len(self._unread) > MAX_UNREAD:
            raise ProtocolError(f"{self.waits.peer} talks without listening.", phase=phase)
        return True

    def _wait(self, events: int, phase: Phase) -> None:
        self._poller.register(self._sock, events)
        if not self._poller.poll(self.waits.left(phase) * 1000):
            raise self.waits.timed_out(phase)


def acknowledge_at_once(sock: socket.socket | TransportSocket) -> None:
    """Acknowledge the next segments as they come.

    A server that answers in two writes waits for that between them; since TLS 1.3, so does its first answer, which
    comes after its session tickets. The kernel forgets it with every write.
    """
    if _QUICKACK is not None:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def check_names(settings: Settings) -> None:
    """Make sure that the server's names are names.

    Raises:
        SettingsError: one of them is not.
    """
    for name in (settings.host, settings.peer_name):
        try:
            name.encode("idna")  # as socket and ssl do
        except UnicodeError as error:
            raise SettingsError(f"No server can have the name {name!r}: {error}.") from error
