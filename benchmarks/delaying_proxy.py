"""A proxy that makes loopback as slow as a network, and counts round trips: the kernel's netem is not everywhere.

A thread waits for what comes from each side, and another one passes it on when its time has come: half a round-trip
time later, in the order in which it came, as much at once as anybody likes to send.
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
    """A proxy before a server.

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
        """How many the newest connection has had so far, QUIT left out.

        It is the length of the longest chain of question and answer: what the client sends counts one more than the
        last answer that it may have waited for. All that is under way together is one round trip.
        """
        return self._newest.round_trips if self._newest else 0

    @property
    def octets(self) -> int:
        """How many octets the client of the newest connection has sent so far."""
        return self._newest.octets if self._newest else 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the thread that waits for connections, which close() alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._newest:
            self._newest.wait(_END_SECONDS)

    def _accept(self) -> None:
        with suppress(OSError):  # it has been closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((LOOPBACK, self._server))
                self._newest = _Connection(client, server, self._delay)


class _Connection:
    """Both directions of a connection; each knows how many round trips led to what it has delivered so far."""

    def __init__(self, client: socket.socket, server: socket.socket, delay: float) -> None:
        self.round_trips = 0
        self.octets = 0
        self._closed = threading.Event()
        self._to_server = _Direction(client, server, delay, self._asked)
        self._to_client = _Direction(server, client, delay, self._answered)
        self._passing = [*self._to_server.start(), *self._to_client.start()]
        threading.Thread(target=self._close, args=(client, server), daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait until both sides have ended it, at most so long."""
        self._closed.wait(seconds)

    def _close(self, *sockets: socket.socket) -> None:
        for thread in self._passing:
            thread.join()
        for each in sockets:
            each.close()
        self._closed.set()

    def _asked(self, data: bytes) -> int:
        self.octets += len(data)
        number = self._to_client.delivered + 1
        if data and not data.startswith(b"QUIT"):
            self.round_trips = max(self.round_trips, number)
        return number

    def _answered(self, _: bytes) -> int:
        return self._to_server.delivered


class _Direction:
    """What passes on the octets from one side to the other.

    Args:
        source: where they come from.
        target: where they go.
        delay: seconds that they are under way.
        number: tells the round trip to which belongs what has just come.

    Attributes:
        delivered: the latest round trip of which something has been passed on.
    """

    def __init__(
        self, source: socket.socket, target: socket.socket, delay: float, number: Callable[[bytes], int]
    ) -> None:
        self._source, self._target = source, target
        self._delay, self._number = delay, number
        self._under_way: SimpleQueue[tuple[float, int, bytes]] = SimpleQueue()
        self.delivered = 0

    def start(self) -> list[threading.Thread]:
        """Pass on what comes, until the source ends it; return the threads that do."""
        self._target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threads = [threading.Thread(target=work, daemon=True) for work in (self._receive, self._deliver)]
        for thread in threads:
            thread.start()
        return threads

    def _receive(self) -> None:
        ended = False
        while not ended:
            try:
                # Else whoever writes twice waits for 40 ms, which no network has; the kernel forgets it again.
                self._source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                data = self._source.recv(_BLOCK)
            except OSError:
                data = b""
            self._under_way.put((time.monotonic() + self._delay, self._number(data), data))
            ended = not data

    def _deliver(self) -> None:
        while True:
            due, number, data = self._under_way.get()
            time.sleep(max(0, due - time.monotonic()))
            self.delivered = number  # whoever gets it may answer before sendall() returns
            try:
                if not data:
                    self._target.shutdown(socket.SHUT_WR)
                    return
                self._target.sendall(data)
            except OSError:  # gone; so nothing more comes of it
                return
