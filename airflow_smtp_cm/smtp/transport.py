"""The blocking transport: a socket that carries out the conversation's effects, each wait within its time."""

from __future__ import annotations

import select
import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_smtp_cm.smtp.effects import Call, Read, StartTls, Write
from airflow_smtp_cm.smtp.errors import ConnectError, Disconnected, Phase, ProtocolError, TimedOut, TlsError
from airflow_smtp_cm.smtp.settings import TlsMode
from airflow_smtp_cm.smtp.tls import context_for, handshake_error, presented_certificate, session_of

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.effects import Effect, Steps, TlsSession
    from airflow_smtp_cm.smtp.settings import Settings, Timeouts

T = TypeVar("T")

_RECEIVE = 64 * 1024
# What a server may say while we are still writing: the replies to thousands of recipients fit.
_MAX_UNREAD = 1024 * 1024
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class SocketTransport:
    """A TCP connection, with TLS once the conversation asks for it.

    Args:
        settings: where to connect, and how long each wait may last.

    Raises:
        ConnectError: no connection can be made.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._deadline: float | None = None
        self._unread = bytearray()
        self._ended = False
        self.begin()
        self._sock = self._connect()
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.setblocking(False)  # noqa: FBT003 - the socket API's own signature
        self._poll = select.poll()

    def begin(self) -> None:
        """Start the clock of an operation's total time."""
        total = self._settings.timeouts.total
        self._deadline = None if total is None else time.monotonic() + total

    def run(self, steps: Steps[T]) -> T:
        """Carry out a piece of the conversation and return its outcome."""
        try:
            effect = next(steps)
            while True:
                try:
                    outcome = self._perform(effect)
                except Exception as error:  # noqa: BLE001 - the conversation decides what an error means
                    effect = steps.throw(error)
                else:
                    effect = steps.send(outcome)
        except StopIteration as stop:
            result: T = stop.value
            return result

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
            return self._read(effect.phase)
        if isinstance(effect, Call):
            return effect.function()
        if isinstance(effect, StartTls):
            return self._start_tls()
        raise AssertionError(effect)

    def _connect(self) -> socket.socket:
        settings = self._settings
        try:
            return socket.create_connection((settings.host, settings.port), timeout=self._allowance(Phase.CONNECT))
        except OSError as error:
            advice = (
                "Check the server's name."
                if isinstance(error, socket.gaierror)
                else "Check the server's name and port, and whether a firewall lets this machine through."
            )
            raise ConnectError(
                f"Cannot connect to {settings.host}:{settings.port}: {error}. {advice}", phase=Phase.CONNECT
            ) from error

    def _start_tls(self) -> TlsSession:
        sock = context_for(self._settings.tls).wrap_socket(
            self._sock, server_hostname=self._settings.peer_name, do_handshake_on_connect=False
        )
        self._sock = sock
        sock.settimeout(self._allowance(Phase.TLS))
        try:
            sock.do_handshake()
        except TimeoutError:
            raise self._timed_out(Phase.TLS) from None
        except ssl.SSLError as error:
            raise handshake_error(error, self._settings, presented_certificate(sock)) from error
        except OSError as error:
            raise self._disconnected(Phase.TLS, error) from error
        sock.setblocking(False)  # noqa: FBT003 - as above
        return session_of(sock)

    def _read(self, phase: Phase) -> bytes:
        if not self._unread and not self._ended:
            if _QUICKACK is not None:
                # A server that answers in two writes waits for our acknowledgement between them.
                with suppress(OSError):
                    self._sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            limit = time.monotonic() + self._allowance(phase)
            while not self._receive(phase):
                self._wait(select.POLLIN, limit, phase)
        data = bytes(self._unread)
        self._unread.clear()
        return data

    def _write(self, data: bytes, phase: Phase) -> None:
        limit = time.monotonic() + self._allowance(phase)
        rest = memoryview(data)
        while rest:
            try:
                sent = self._sock.send(rest)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                # A server that does not get rid of its replies stops reading: take them while we write.
                events = select.POLLOUT if self._ended else select.POLLOUT | select.POLLIN
                self._wait(events, limit, phase)
                self._receive(phase)
            except OSError as error:
                raise self._disconnected(phase, error) from error
            else:
                rest = rest[sent:]

    def _receive(self, phase: Phase) -> bool:
        """Take what has arrived; return whether anything has, the end included."""
        try:
            data = self._sock.recv(_RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as error:
            raise self._disconnected(phase, error) from error
        if not data:
            self._ended = True
        self._unread += data
        if len(self._unread) > _MAX_UNREAD:
            raise ProtocolError(f"{self._peer} talks without listening.", phase=phase)
        return True

    def _wait(self, events: int, limit: float, phase: Phase) -> None:
        self._poll.register(self._sock, events)
        if not self._poll.poll(max(0.0, limit - time.monotonic()) * 1000):
            raise self._timed_out(phase)

    @property
    def _peer(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    def _allowance(self, phase: Phase) -> float:
        """How long a wait may last, in seconds."""
        seconds = _phase_seconds(self._settings.timeouts, phase)
        if self._deadline is None:
            return seconds
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._timed_out(phase)
        return min(seconds, left)

    def _timed_out(self, phase: Phase) -> TimedOut:
        advice = (
            "Perhaps this port expects TLS from the first octet."
            if phase is Phase.GREETING and self._settings.tls.mode is not TlsMode.IMPLICIT
            else "Raise the connection's timeout if the server is just slow."
        )
        return TimedOut(f"{self._peer} did not answer in time ({phase}). {advice}", phase=phase)

    def _disconnected(self, phase: Phase, error: OSError) -> Disconnected | TlsError:
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            return TlsError(
                f"The TLS session with {self._peer} broke ({phase}): {error.reason or error}.", phase=phase
            )
        return Disconnected(f"The connection to {self._peer} was lost ({phase}): {error}.", phase=phase)


def _phase_seconds(timeouts: Timeouts, phase: Phase) -> float:
    match phase:
        case Phase.CONNECT:
            return timeouts.connect
        case Phase.TLS:
            return timeouts.tls
        case Phase.CONTENT:
            return timeouts.data_block
        case Phase.FINAL:
            return timeouts.final
        case _:
            return timeouts.command
