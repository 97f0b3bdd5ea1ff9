"""A proxy that delays loopback like a network, and counts round trips: not every kernel has netem.

For each direction, one thread receives data, and another delivers it half a round-trip time later, in order. The
bandwidth is not limited.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_BLOCK = 1 << 16
_END_SECONDS = 1.0


class DelayingProxy:
    """A proxy between the clients and a server.

    Args:
        server: the server's port.
        rtt: round-trip time in seconds.

    Attributes:
        port: its own port.
    """

    def __init__(self, server: int, rtt: float) -> None:
        self._server = server
        self._delay = rtt / 2
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._newest: _Connection | None = None

    @property
    def round_trips(self) -> int:
        """The number of round trips of the newest connection so far, without QUIT.

        It is the length of the longest chain of requests and replies: data from the client counts one more than the
        last reply that was delivered to it before. Data that is in transit at the same time shares a round trip.
        """
        return self._newest.round_trips if self._newest else 0

    @property
    def bytes_sent(self) -> int:
        """The number of bytes that the client of the newest connection has sent so far."""
        return self._newest.bytes_sent if self._newest else 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the thread in accept(); close() alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._newest:
            self._newest.wait(_END_SECONDS)

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((LOOPBACK, self._server))
                self._newest = newest = _Connection(client, server, self._delay)
                newest.start()


class _Connection:
    """Both directions of a connection; each has the number of the latest round trip that it has delivered."""

    def __init__(self, client: socket.socket, server: socket.socket, delay: float) -> None:
        self.round_trips = 0
        self.bytes_sent = 0
        self._closed = threading.Event()
        self._sockets = (client, server)
        self._to_server = _Direction(client, server, delay, self._from_client)
        self._to_client = _Direction(server, client, delay, self._from_server)

    def start(self) -> None:
        """Pass data on until both sides have closed the connection."""
        passing = [*self._to_server.start(), *self._to_client.start()]
        threading.Thread(target=self._close_after, args=(passing,), daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait until both sides have closed the connection, at most this long."""
        self._closed.wait(seconds)

    def _close_after(self, passing: list[threading.Thread]) -> None:
        for thread in passing:
            thread.join()
        for each in self._sockets:
            each.close()
        self._closed.set()

    def _from_client(self, data: bytes) -> int:
        self.bytes_sent += len(data)
        number = self._to_client.delivered + 1
        if data and not data.startswith(b"QUIT"):
            self.round_trips = max(self.round_trips, number)
        return number

    def _from_server(self, _: bytes) -> int:
        return self._to_server.delivered


class _Direction:
    """One direction of a connection: passes the bytes from one side to the other.

    Args:
        source: the socket to read from.
        target: the socket to write to.
        delay: seconds between receipt and delivery.
        number: returns the number of the round trip to which the received data belongs.

    Attributes:
        delivered: the latest round trip of which data has been delivered.
    """

    def __init__(
        self, source: socket.socket, target: socket.socket, delay: float, number: Callable[[bytes], int]
    ) -> None:
        self._source, self._target = source, target
        self._delay, self._number = delay, number
        self._in_transit: SimpleQueue[tuple[float, int, bytes]] = SimpleQueue()
        self.delivered = 0

    def start(self) -> list[threading.Thread]:
        """Pass data on until the source closes the connection; return the threads that do so."""
        self._target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threads = [threading.Thread(target=work, daemon=True) for work in (self._receive, self._deliver)]
        for thread in threads:
            thread.start()
        return threads

    def _receive(self) -> None:
        ended = False
        while not ended:
            try:
                # Otherwise the second of two writes waits 40 ms for the delayed ACK. The kernel resets the option.
                self._source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                data = self._source.recv(_BLOCK)
            except OSError:
                data = b""
            self._in_transit.put((time.monotonic() + self._delay, self._number(data), data))
            ended = not data

    def _deliver(self) -> None:
        while True:
            due, number, data = self._in_transit.get()
            time.sleep(max(0, due - time.monotonic()))
            self.delivered = number  # the target may reply before sendall() returns
            try:
                if not data:
                    self._target.shutdown(socket.SHUT_WR)
                    return
                self._target.sendall(data)
            except OSError:  # the target has closed the connection
                return
