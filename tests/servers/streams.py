"""A connection of the faulty proxy, with TLS whose bytes the proxy can hold back, duplicate and cut."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from airflow_smtp_cm.testing.streams import Incoming
from tests.servers.people import MAIL_HOST
from tests.servers.processes import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

DRIP_SECONDS = 0.1
BLOCK = 64 * 1024


class Closed(Exception):
    """The other side has closed the connection."""


class Stream(Incoming):
    """A connection with a line-based protocol.

    Args:
        sock: the connection.
        closed: the exception to raise when the other side has closed it.

    Attributes:
        reads: maximum number of bytes in one read.
        tls: the TLS session, if there is one.
    """

    def __init__(self, sock: socket.socket, closed: type[Exception] = Closed) -> None:
        super().__init__()
        self.socket = sock
        self.socket.settimeout(PATIENCE_SECONDS)
        self.reads = BLOCK
        self.tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._closed = closed

    def send(self, data: bytes, piece: int = BLOCK) -> None:
        """Send bytes in pieces; under TLS, each is a record."""
        for start in range(0, len(data), piece):
            part = data[start : start + piece]
            if self.tls is not None:
                self.tls.write(part)
                part = self._outgoing.read()
            self.put(part)

    def fill(self) -> None:
        """Wait for bytes, and add them to the buffer."""
        while self.tls is not None:
            try:
                data = self.tls.read(BLOCK)
            except ssl.SSLWantReadError:
                self._incoming.write(self._get())
            except ssl.SSLError:  # an alert: the other side ends TLS because of our bytes
                self.read_to_end()
            else:
                break
        else:
            data = self._get()
        if not data:
            raise self._closed
        self.buffer += data

    def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        early: bytes = b"",
        put: Callable[[bytes], None] | None = None,
    ) -> None:
        """Do the handshake; ``put`` sends its bytes, and ``early`` is sent with the last of them."""
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
        """Send bytes one by one, with pauses; under TLS they are one record, which is never complete in time."""
        if self.tls is not None:
            self.tls.write(data)
            data = self._outgoing.read()
        self.put_slowly(data, DRIP_SECONDS)

    def half_close(self) -> None:
        """Close our side of the connection, and continue to read."""
        if self.tls is not None:
            with suppress(ssl.SSLError):  # the other side has not sent its close_notify
                self.tls.unwrap()
            self.put(self._outgoing.read())
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:  # the other side has reset the connection
            raise self._closed from error

    def read_to_end(self) -> NoReturn:
        """Read and discard everything until the other side closes the connection."""
        while True:
            self._get()

    def put_slowly(self, data: bytes, pause: float = 0) -> None:
        """Send bytes one by one, without TLS."""
        for byte in data:
            self.put(bytes([byte]))
            time.sleep(pause)

    def put(self, data: bytes) -> None:
        """Send bytes without TLS."""
        try:
            self.socket.sendall(data)
        except ConnectionError as error:
            raise self._closed from error

    def _get(self) -> bytes:
        try:
            data = self.socket.recv(self.reads)
        except ConnectionError as error:
            raise self._closed from error
        if not data:
            raise self._closed
        return data
