"""Connections whose lines and replies are read one by one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    import ssl

_BLOCK = 64 * 1024
_END_OF_REPLY = re.compile(rb"^[0-9]{3}(?: .*)?\r\n", re.MULTILINE)


class Closed(ConnectionError):
    """The other side has closed the connection."""


class Incoming:
    """The bytes that arrive on a connection.

    Attributes:
        buffer: bytes that were received, and not yet consumed.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()

    def fill(self) -> None:
        """Wait for bytes, and add them to the buffer."""
        raise NotImplementedError

    def take(self, count: int) -> bytes:
        """Wait for this many bytes, and return them."""
        while len(self.buffer) < count:
            self.fill()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def line(self) -> bytes:
        """Wait for the next line, and return it with its end."""
        while (end := self.buffer.find(b"\n")) < 0:
            self.fill()
        return self.take(end + 1)

    def reply(self) -> bytes:
        """Wait for the next reply of an SMTP server, and return all its lines."""
        while (found := _END_OF_REPLY.search(self.buffer)) is None:
            self.fill()
        return self.take(found.end())


class Stream(Incoming):
    """A connection, at first without TLS.

    Attributes:
        socket: the socket; another one after ``start_tls``.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self.socket = sock

    def fill(self) -> None:
        """Wait for bytes, and add them to the buffer.

        Raises:
            Closed: there are no more.
        """
        data = self.socket.recv(_BLOCK)
        if not data:
            raise Closed
        self.buffer += data

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def start_tls(self, context: ssl.SSLContext, **side: Any) -> None:
        """Do the handshake; ``side`` is for ``SSLContext.wrap_socket``."""
        tls = self.socket = context.wrap_socket(self.socket, do_handshake_on_connect=False, **side)
        tls.do_handshake()
