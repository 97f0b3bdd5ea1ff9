"""A server that plays a script, for faults that no real server produces on demand.

::

    with scripted_peer([say("220 hi"), expect("EHLO"), say("250 hi"), expect("MAIL"), reset()]) as peer:
        ...  # the client under test connects to 127.0.0.1 and peer.port
    assert peer.commands == ["EHLO me", "MAIL FROM:<a@b.test>"]
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.processes import LOOPBACK, PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.servers.certificates import Certificate

_BLOCK = 64 * 1024
_END_OF_LINE = re.compile(rb"\n")
_END_OF_CONTENT = re.compile(rb"(?:\A|\r\n)\.\r\n")


class ScriptError(AssertionError):
    """The client deviated from the script."""


class Step(NamedTuple):
    """One step of a script: its name in errors, and its action."""

    name: str
    play: Callable[[Connection], object]


def say(*parts: str | bytes) -> Step:
    """Send lines (``str``, CRLF is added) and raw ``bytes``, all in one write."""
    data = b"".join(part if isinstance(part, bytes) else f"{part}\r\n".encode() for part in parts)
    return Step(f"say {data[:60]!r}", lambda connection: connection.socket.sendall(data))


def expect(pattern: str) -> Step:
    """Read a line whose beginning matches the regular expression, and add it to ``peer.commands``."""
    return Step(f"expect {pattern!r}", lambda connection: connection.expect(pattern))


def expect_content() -> Step:
    """Read the content after DATA, up to CRLF.CRLF."""
    return Step("expect_content", lambda connection: connection.skip_to(_END_OF_CONTENT))


def expect_bytes(count: int) -> Step:
    """Read that many bytes, as after BDAT."""
    return Step(f"expect_bytes {count}", lambda connection: connection.skip(count))


def start_tls(certificate: Certificate) -> Step:
    """Do the server's part of the TLS handshake."""
    return Step("start_tls", lambda connection: connection.start_tls(certificate))


def stop_reading() -> Step:
    """Read nothing until the block ends, so that the client's data fills the network buffers."""
    return Step("stop_reading", lambda connection: connection.peer.wait_for_end_of_block())


def wait_for_close() -> Step:
    """Send nothing until the client closes the connection; accept everything that it sends."""
    return Step("wait_for_close", lambda connection: connection.wait_for_close())


def close() -> Step:
    """Close the connection without a reset, as at the end of a script; further bytes from the client are ignored."""
    return Step("close", lambda connection: connection.close())


def reset() -> Step:
    """Reset the TCP connection."""
    return Step("reset", lambda connection: connection.reset())


class Peer:
    """The server.

    Attributes:
        port: its port.
        received: all received bytes, decrypted, of all connections.
        commands: the lines that ``expect`` read, without CRLF.
    """

    def __init__(self, scripts: Sequence[Sequence[Step]], *, at_once: bool, interface: str) -> None:
        self.received = bytearray()
        self.commands: list[str] = []
        self._scripts = scripts
        self._at_once = at_once
        self._listener = socket.create_server((interface, 0))
        self.port: int = self._listener.getsockname()[1]
        self._end_of_block, self._signal = socket.socketpair()
        self._deviation: str | None = None
        self._broken_off: str | None = None
        self._thread = threading.Thread(target=self._serve, name="scripted peer")
        self._thread.start()

    def finish(self, *, to_the_end: bool) -> str | None:
        """Accept no more connections, wait until the script has ended, and return the client's error, if any."""
        self._signal.close()
        self._thread.join()
        problem = self._deviation or (self._broken_off if to_the_end else None)
        return problem and f"{problem}; received {bytes(self.received)!r}"

    def wait_for_end_of_block(self) -> None:
        """Wait until the test has left the block."""
        if not select.select([self._end_of_block], [], [], PATIENCE_SECONDS)[0]:
            raise TimeoutError("the block did not end in time")

    def _serve(self) -> None:
        with self._listener, self._end_of_block, ThreadPoolExecutor(len(self._scripts) or 1) as threads:
            for number, script in enumerate(self._scripts, 1):
                accepted = self._accept()
                if accepted is None:
                    self._broken_off = f"the client made {number - 1} of {len(self._scripts)} connections"
                    return
                if number == len(self._scripts):
                    self._listener.close()
                connection = Connection(self, accepted)
                if self._at_once:
                    threads.submit(self._play, script, connection)
                elif not self._play(script, connection):
                    return

    def _accept(self) -> socket.socket | None:
        ready, _, _ = select.select([self._listener, self._end_of_block], [], [])
        return self._listener.accept()[0] if self._listener in ready else None

    def _play(self, script: Sequence[Step], connection: Connection) -> bool:
        try:
            for step in [*script, close()]:
                step.play(connection)
        except ScriptError as error:
            self._deviation = f"at {step.name}: {error}"
        except OSError as error:
            self._broken_off = f"at {step.name}: {error}"
        else:
            return True
        finally:
            connection.socket.close()
        return False


class Connection:
    """One accepted connection; if it ends or the client is silent, ``OSError`` is raised."""

    def __init__(self, peer: Peer, accepted: socket.socket) -> None:
        self.peer = peer
        self.socket = accepted
        self.socket.settimeout(PATIENCE_SECONDS)
        self.buffer = bytearray()

    def fill(self) -> None:
        data = self.socket.recv(_BLOCK)
        if not data:
            raise ConnectionAbortedError("the client closed the connection")
        self.peer.received += data
        self.buffer += data

    def skip(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self.fill()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def skip_to(self, end: re.Pattern[bytes]) -> bytes:
        while (found := end.search(self.buffer)) is None:
            self.fill()
        return self.skip(found.end())

    def expect(self, pattern: str) -> None:
        line = self.skip_to(_END_OF_LINE).decode(errors="backslashreplace").rstrip("\r\n")
        if not re.match(pattern, line):
            raise ScriptError(f"the client sent {line!r}")
        self.peer.commands.append(line)

    def start_tls(self, certificate: Certificate) -> None:
        if self.buffer:
            raise ScriptError(f"the client sent {bytes(self.buffer)!r} before TLS")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain, certificate.key)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def wait_for_close(self) -> None:
        with suppress(ConnectionError):
            while data := self.socket.recv(_BLOCK):
                self.peer.received += data
        self.socket.close()

    def close(self) -> None:
        if self.socket.fileno() < 0:
            return
        # close() with unread bytes would reset the connection.
        with suppress(ConnectionError), self.socket:
            with suppress(OSError):  # the client may have reset it
                self.socket.shutdown(socket.SHUT_WR)
            while self.socket.recv(_BLOCK):
                pass

    def reset(self) -> None:
        # SO_LINGER with 0 seconds: close() resets the connection.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@contextmanager
def scripted_peer(
    *scripts: Sequence[Step], to_the_end: bool = True, at_once: bool = False, interface: str = LOOPBACK
) -> Iterator[Peer]:
    """Listen during the block, and play one script for each connection, one after the other, or at the same time.

    Args:
        scripts: usually one; further connections are refused.
        at_once: accept the next connection while earlier scripts are played.
        to_the_end: False allows the client to close a connection before the script has ended, or not to connect.
        interface: the address at which it listens.

    Raises:
        ScriptError: the client deviated from a script.
    """
    peer = Peer(scripts, at_once=at_once, interface=interface)
    try:
        yield peer
    except BaseException as error:
        if problem := peer.finish(to_the_end=to_the_end):
            error.add_note(f"scripted peer, {problem}")
        raise
    if problem := peer.finish(to_the_end=to_the_end):
        raise ScriptError(problem)
