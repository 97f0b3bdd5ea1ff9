"""How long each wait for the server may last, and in words what it means when one was in vain."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import ConnectError, Disconnected, Phase, TimedOut, TlsError
from airflow_smtp_cm.smtp.settings import TlsMode

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.settings import Settings

# The ways in which ssl says that the other side has gone.
TLS_ENDED = (ssl.SSLEOFError, ssl.SSLZeroReturnError)


class Waits:
    """The waits of one connection.

    Args:
        settings: where it goes, and its timeouts.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.peer = f"{settings.host}:{settings.port}"
        self.begin()

    def begin(self) -> None:
        """Start the clock of an operation's total time."""
        total = self._settings.timeouts.total
        self._deadline = None if total is None else time.monotonic() + total

    def start(self, phase: Phase) -> None:
        """Let a wait begin."""
        until = time.monotonic() + self._settings.timeouts.of(phase)
        self._until = until if self._deadline is None else min(until, self._deadline)

    def left(self, phase: Phase) -> float:
        """How many seconds the wait that began last may still take.

        Raises:
            TimedOut: none.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise self.timed_out(phase)
        return left

    def seconds(self, phase: Phase) -> float:
        """How many seconds a wait that begins now may take.

        Raises:
            TimedOut: none, since the operation's total time is used up.
        """
        self.start(phase)
        return self.left(phase)

    def timed_out(self, phase: Phase) -> TimedOut:
        """Word a wait that lasted too long."""
        advice = (
            "Perhaps this port expects TLS from the first octet."
            if phase is Phase.GREETING and self._settings.tls.mode is not TlsMode.IMPLICIT
            else "Raise the connection's timeout if the server is just slow."
        )
        return TimedOut(f"{self.peer} did not answer in time ({phase}). {advice}", phase=phase)

    def broken(self, phase: Phase, error: OSError) -> Disconnected | TlsError:
        """Word a connection that broke."""
        if isinstance(error, ssl.SSLError) and not isinstance(error, TLS_ENDED):
            reason = error.reason or error
            return TlsError(f"The TLS session with {self.peer} broke ({phase}): {reason}.", phase=phase)
        return Disconnected(f"The connection to {self.peer} was lost ({phase}): {error}.", phase=phase)

    def not_connected(self, error: OSError) -> ConnectError:
        """Word a connection that could not be made."""
        advice = (
            "Check the server's name."
            if isinstance(error, socket.gaierror)
            else "Check the server's name and port, and whether a firewall lets this machine through."
        )
        return ConnectError(f"Cannot connect to {self.peer}: {error}. {advice}", phase=Phase.CONNECT)
