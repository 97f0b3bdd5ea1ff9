"""The TCP connection: the addresses of the server race each other (RFC 8305, "Happy Eyeballs").

asyncio has such a race, too. It does not report what became of each address, above all not when the time is over, and
it exists neither in uvloop nor for blocking sockets. Here, both clients have the same race and the same errors.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_smtp_cm.smtp.effects import AwaitConnection, Call
from airflow_smtp_cm.smtp.errors import Phase, TimedOut
from airflow_smtp_cm.smtp.host_names import ascii_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.settings import Settings
    from airflow_smtp_cm.smtp.timeouts import Deadlines

# Seconds from one attempt to the next: "Connection Attempt Delay" (RFC 8305, sections 5 and 8).
ATTEMPT_DELAY = 0.25

# A result of ``socket.getaddrinfo``: family, type, protocol, canonical name, address.
AddressInfo: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]


def connect_to_server(settings: Settings, deadlines: Deadlines) -> Steps[socket.socket]:
    """Look up the server's addresses, and connect to the one that answers first; each within ``Phase.CONNECT``.

    Raises:
        SettingsError: the host is not valid.
        ConnectError: the name was not resolved, or no address answered.
    """
    host = ascii_name(settings.host)
    look_up = partial(_look_up, host, settings.port)
    try:
        # Only a name may have to wait for the DNS, which has no time limit of its own.
        found = look_up() if _is_address(host) else (yield Call(look_up, Phase.CONNECT))
    except TimedOut as error:
        raise deadlines.not_resolved("its name was not resolved in time") from error
    if isinstance(found, OSError):
        raise deadlines.not_resolved(found.strerror or str(found)) from found
    return (yield from connect(found, deadlines))


def _look_up(host: str, port: int) -> Sequence[AddressInfo] | OSError:
    """Return the addresses, or the error: a transport takes an error that is raised for one of the connection."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return error


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def connect(found: Sequence[AddressInfo], deadlines: Deadlines) -> Steps[socket.socket]:
    """Connect to the address that answers first; the others are given up.

    The next address is tried when the one before has failed, or ``ATTEMPT_DELAY`` after it. All of them share the
    timeout of ``Phase.CONNECT``.

    Args:
        found: the addresses of the server, in the order of the resolver (RFC 6724).
        deadlines: the deadlines of the connection.

    Returns:
        The connected socket, which does not block.

    Raises:
        ConnectError: no address answered; the error names each of them and what became of it.
    """
    attempts = [_Attempt(*info) for info in _interleaved(found)]
    winner = None
    try:
        winner = yield from _race(attempts, deadlines)
    finally:
        for attempt in attempts:
            if attempt.sock is not winner:
                attempt.close()
    if winner is None:
        raise deadlines.connect_failed(", ".join(f"{attempt.outcome} ({attempt.host})" for attempt in attempts))
    return winner


def _race(attempts: list[_Attempt], deadlines: Deadlines) -> Steps[socket.socket | None]:
    """Return the first socket that is connected, or None if all attempts failed or the time is over."""
    deadlines.start_wait(Phase.CONNECT)
    untried = deque(attempts)
    latest: _Attempt | None = None
    due = 0.0
    with suppress(TimedOut):  # what became of each address says more
        while untried or any(attempt.sock for attempt in attempts):
            seconds = deadlines.remaining(Phase.CONNECT)
            if untried and (latest is None or latest.sock is None or time.monotonic() >= due):
                latest = untried.popleft()
                latest.start()
                due = time.monotonic() + ATTEMPT_DELAY
                continue
            if untried:
                seconds = min(seconds, max(due - time.monotonic(), 0))
            pending = {attempt.sock: attempt for attempt in attempts if attempt.sock}
            sock: socket.socket | None = yield AwaitConnection(tuple(pending), seconds)
            if sock and pending[sock].succeeded():
                return sock
    return None


class _Attempt:
    """The attempt to connect to one address.

    Attributes:
        host: the address, for people.
        outcome: what became of it, for people.
        sock: the socket, unless the attempt has not begun or has failed.
    """

    def __init__(self, family: int, _type: int, _protocol: int, _name: str, address: tuple[Any, ...]) -> None:
        self._family = family
        self._address = address
        self.host = address[0]
        self.outcome = "not tried"
        self.sock: socket.socket | None = None

    def start(self) -> None:
        self.outcome = "no answer in time"
        try:
            self.sock = socket.socket(self._family, socket.SOCK_STREAM)
            self.sock.setblocking(False)  # noqa: FBT003 - the socket API's own signature
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock.connect(self._address)
        except BlockingIOError:
            pass
        except OSError as error:
            self._fail(error)

    def succeeded(self) -> bool:
        """Return whether the attempt, which has ended, has succeeded."""
        assert self.sock  # noqa: S101 - it is this socket that is ready
        if code := self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._fail(OSError(code, os.strerror(code)))
            return False
        return True

    def _fail(self, error: OSError) -> None:
        self.outcome = error.strerror or str(error)
        self.close()

    def close(self) -> None:
        if self.sock:
            self.sock.close()
            self.sock = None


def _interleaved(found: Sequence[AddressInfo]) -> list[AddressInfo]:
    """Return the addresses with their families in turns, the first one's first (RFC 8305, section 4)."""
    families: dict[int, list[AddressInfo]] = {}
    for info in found:
        families.setdefault(info[0], []).append(info)
    return [info for info in chain(*zip_longest(*families.values())) if info]
