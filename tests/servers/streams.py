"""A connection as a faulty proxy needs it: TLS whose bytes it can hold back, double and cut."""

from __future__ import annotations

import re
import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from tests.servers.people import MAIL_HOST
from tests.servers.processes import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

DRIP_SECONDS = 0.1
BLOCK = 64 * 1024

_END_OF_REPLY = re.compile(rb"^[0-9]{3}(?: .*)?\r\n", re.MULTILINE)


class Left(Exception):
    """The other side has closed the connection."""


class Stream:
    """A connection to somebody who speaks in lines.

    Args:
        sock: the connection.
        left: what to raise when the other side has closed it.

    Attributes:
        buffer: what has come and was not yet taken.
        reads: how many bytes are read at once.
        tls: the TLS session, once there is one.
    """

    def __init__(self, sock: socket.socket, left: type[Exception] = Left) -> None:
        self.socket = sock
        self.socket.settimeout(PATIENCE_SECONDS)
        self.buffer = bytearray()
        self.reads = BLOCK
        self.tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._left = left

    def send(self, data: bytes, piece: int = BLOCK) -> None:
        """Send bytes in pieces, each a TLS record if there is TLS."""
        for start in range(0, len(data), piece):
            part = data[start : start + piece]
            if self.tls is not None:
                self.tls.write(part)
                part = self._outgoing.read()
            self.put(part)

    def fill(self) -> None:
        """Wait for bytes; they are added to the buffer."""
        while self.tls is not None:
            try:
                data = self.tls.read(BLOCK)
            except ssl.SSLWantReadError:
                self._incoming.write(self._get())
            except ssl.SSLError:  # an alert: it does not like our bytes, and leaves
                self.read_to_end()
            else:
                break
        else:
            data = self._get()
        if not data:
            raise self._left
        self.buffer += data

    def take(self, count: int) -> bytes:
        """Return so many bytes when they have come."""
        while len(self.buffer) < count:
            self.fill()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def line(self) -> bytes:
        """Return the next line, its end included, when it has come."""
        while (end := self.buffer.find(b"\n")) < 0:
            self.fill()
        return self.take(end + 1)

    def reply(self) -> bytes:
        """Return the next reply, all its lines, when it has come."""
        while (found := _END_OF_REPLY.search(self.buffer)) is None:
            self.fill()
        return self.take(found.end())

    def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        early: bytes = b"",
        put: Callable[[bytes], None] | None = None,
    ) -> None:
        """Do the handshake, its bytes sent by ``put``; ``early`` goes along with the last of them."""
        name = None if server_side else MAIL_HOST
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side, server_hostname=name)
        done = False
        while not done:
            try:
                tls.do_handshake()
                tls.write(early)
                done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                self.read_to_end()
            (put or self.put)(self._outgoing.read())
            if not done:
                self._incoming.write(self._get())
        self.tls = tls

    def drip(self, data: bytes) -> None:
        """Send bytes, one now and then; under TLS they are one record, which takes its time."""
        if self.tls is not None:
            self.tls.write(data)
            data = self._outgoing.read()
        self.put_slowly(data, DRIP_SECONDS)

    def half_close(self) -> None:
        """Say that nothing more comes, and go on listening."""
        if self.tls is not None:
            with suppress(ssl.SSLError):  # the other side has its part in that, and has not played it
                self.tls.unwrap()
            self.put(self._outgoing.read())
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:  # it has reset the connection
            raise self._left from error

    def read_to_end(self) -> NoReturn:
        """Read, and look at nothing, until the other side closes the connection."""
        while True:
            self._get()

    def put_slowly(self, data: bytes, pause: float = 0) -> None:
        """Send bytes as they are, one by one."""
        for byte in data:
            self.put(bytes([byte]))
            time.sleep(pause)

    def put(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self.socket.sendall(data)
        except ConnectionError as error:
            raise self._left from error

    def _get(self) -> bytes:
        try:
            data = self.socket.recv(self.reads)
        except ConnectionError as error:
            raise self._left from error
        if not data:
            raise self._left
        return data
