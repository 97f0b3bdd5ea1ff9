"""The blocking transport: a socket that performs the effects of the conversation, within their timeouts."""

from __future__ import annotations

import select
import socket
import ssl
from concurrent.futures import wait
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_smtp_cm.smtp.background import start_call
from airflow_smtp_cm.smtp.connecting import connect_to_server
from airflow_smtp_cm.smtp.effects import AwaitConnection, Call, Finished, Poll, Read, Settled, StartTls, Write
from airflow_smtp_cm.smtp.errors import Disconnected, Phase, ProtocolError
from airflow_smtp_cm.smtp.host_names import peer_name
from airflow_smtp_cm.smtp.timeouts import TLS_ENDED, Deadlines
from airflow_smtp_cm.smtp.tls import context_for, handshake_error, tls_session

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket
    from collections.abc import Generator

    from airflow_smtp_cm.smtp.effects import Effect, Steps, TlsSession
    from airflow_smtp_cm.smtp.errors import SmtpError
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.settings import Settings

T = TypeVar("T")

_RECEIVE = 64 * 1024
# The maximum of unread data: long replies to ten thousand recipients fit.
MAX_UNREAD = 16 * 1024 * 1024
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class SocketTransport:
    """A TCP connection, with TLS after the ``StartTls`` effect.

    Args:
        settings: the server, TLS and the timeouts.

    Attributes:
        deadlines: the deadlines of the waits.

    Raises:
        SettingsError: a server name in the settings is not valid.
        ConnectError: the connection could not be made.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._peer_name = peer_name(settings)
        self.deadlines = Deadlines(settings)
        self._unread = bytearray()
        self._eof = False
        self._sock = self.run(connect_to_server(settings, self.deadlines))
        self._poller = select.poll()

    def run(self, steps: Steps[T]) -> T:
        """Perform the effects of ``steps`` and return their result."""
        try:
            ended = self._advance(steps)
        finally:
            steps.close()  # closes open files if it was interrupted
        assert not isinstance(ended, Settled), ended  # noqa: S101 - ``Settled`` occurs only in ``stream``
        return ended.value

    def stream(self, steps: Steps[None]) -> Generator[SendResult | SmtpError]:
        """Perform the effects of ``steps``, and yield the outcome of each message."""
        with closing(steps):
            while isinstance(settled := self._advance(steps), Settled):
                yield settled.outcome
                self.deadlines.start_operation()

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

    def abort(self) -> None:
        """Break the connection at once, from another thread than the one that waits for it, which is woken up."""
        with suppress(OSError):  # it is closed already
            # Not the method of a TLS socket, after which the other thread could write without TLS.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    @property
    def local_address(self) -> str:
        """The local address of the connection."""
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
            return effect.function() if effect.phase is None else self._call_within(effect, effect.phase)
        if isinstance(effect, StartTls):
            return self._start_tls()
        if isinstance(effect, AwaitConnection):
            return _await_connection(effect)
        raise AssertionError(effect)

    def _call_within(self, call: Call, phase: Phase) -> Any:
        """Call a function, and wait for its result until the timeout of the phase."""
        if not call.continued:
            self.deadlines.start_wait(phase)
        left = self.deadlines.remaining(phase)
        result = start_call(call.function)
        wait([result], left)
        if not result.done():
            raise self.deadlines.timed_out(phase)
        return result.result()

    def _start_tls(self) -> TlsSession:
        settings = self._settings
        context = context_for(settings.tls)
        try:
            sock = self._sock = context.wrap_socket(
                self._sock, server_hostname=self._peer_name, do_handshake_on_connect=False
            )
            sock.settimeout(self.deadlines.new_wait(Phase.TLS))
            sock.do_handshake()
        except TLS_ENDED as error:
            raise self.deadlines.network_error(Phase.TLS, error) from error
        except ssl.SSLError as error:
            raise handshake_error(error, settings) from error
        except OSError as error:
            raise self.deadlines.network_error(Phase.TLS, error) from error
        sock.setblocking(False)  # noqa: FBT003 - the socket API's own signature
        return tls_session(sock)

    def _read(self, effect: Read) -> bytes:
        if not effect.continued:
            self.deadlines.start_wait(effect.phase)
        if not self._unread and not self._eof:
            while events := self._receive(effect.phase):
                acknowledge_at_once(self._sock)
                self._wait(events, effect.phase)
        return self._take_unread()

    def _poll(self, phase: Phase) -> bytes | None:
        return self._take_unread() if self._unread or self._eof or not self._receive(phase) else None

    def _take_unread(self) -> bytes:
        data = bytes(self._unread)
        self._unread.clear()
        return data

    def _write(self, data: bytes, phase: Phase) -> None:
        self.deadlines.new_wait(phase)  # one wait for all of the data; raises if the total time is over
        rest = memoryview(data)
        while rest:
            # A server that has closed its side will not reply, so the rest is not sent.
            if self._eof:
                raise Disconnected(f"{self.deadlines.peer} closed the connection ({phase}).", phase=phase)
            try:
                rest = rest[self._sock.send(rest) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                # A server whose replies are not read stops reading, so they are read during the write.
                if events := self._receive(phase):
                    self._wait(events | select.POLLOUT, phase)
            except ssl.SSLWantReadError:
                if events := self._receive(phase):
                    self._wait(events, phase)
            except OSError as error:
                raise self.deadlines.network_error(phase, error) from error

    def _receive(self, phase: Phase) -> int:
        """Receive data without waiting.

        Returns:
            0 if data or the end of the connection arrived, else the events to wait for.
        """
        try:
            data = self._sock.recv(_RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return select.POLLIN
        except ssl.SSLWantWriteError:  # TLS must first answer the server's key update (RFC 8446, section 4.6.3)
            return select.POLLOUT
        except OSError as error:
            raise self.deadlines.network_error(phase, error) from error
        if not data:
            self._eof = True
        self._unread += data
        if len(self._unread) > MAX_UNREAD:
            raise ProtocolError(
                f"{self.deadlines.peer} sent more than {MAX_UNREAD // 2**20} MiB without reading our commands.",
                phase=phase,
            )
        return 0

    def _wait(self, events: int, phase: Phase) -> None:
        self._poller.register(self._sock, events)
        if not self._poller.poll(self.deadlines.remaining(phase) * 1000):
            raise self.deadlines.timed_out(phase)


def _await_connection(effect: AwaitConnection) -> socket.socket | None:
    by_descriptor = {sock.fileno(): sock for sock in effect.sockets}
    poller = select.poll()
    for descriptor in by_descriptor:
        poller.register(descriptor, select.POLLOUT)
    ready = poller.poll(effect.seconds * 1000)
    return by_descriptor[ready[0][0]] if ready else None


def acknowledge_at_once(sock: socket.socket | TransportSocket) -> None:
    """Acknowledge the next segments without delay.

    A server that sends a reply in two writes may wait for the acknowledgement between them. With TLS 1.3 this is so
    for its first reply, which follows its session tickets. The kernel resets the option with every write.
    """
    if _QUICKACK is not None:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
