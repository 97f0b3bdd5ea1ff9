"""The deadlines of a connection's waits, and the errors of the network."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import ConnectError, Disconnected, Phase, TimedOut
from airflow_smtp_cm.smtp.settings import TlsMode
from airflow_smtp_cm.smtp.tls import session_error

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.errors import SmtpError
    from airflow_smtp_cm.smtp.settings import Settings

# The errors of ssl that mean that the server has closed the connection.
TLS_ENDED = (ssl.SSLEOFError, ssl.SSLZeroReturnError)


class Deadlines:
    """The deadlines of one connection's waits.

    Args:
        settings: the server and its timeouts.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.peer = f"{settings.host}:{settings.port}"
        self.start_operation()

    def start_operation(self) -> None:
        """Start the total time of an operation (opening a session, sending one message)."""
        total = self._settings.timeouts.total
        self._deadline = None if total is None else time.monotonic() + total

    def start_wait(self, phase: Phase) -> None:
        """Start a wait."""
        until = time.monotonic() + self._settings.timeouts.of(phase)
        self._until = until if self._deadline is None else min(until, self._deadline)

    def remaining(self, phase: Phase) -> float:
        """Return the seconds that are left of the current wait.

        Raises:
            TimedOut: no time is left.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise self.timed_out(phase)
        return left

    def new_wait(self, phase: Phase) -> float:
        """Start a wait and return how many seconds it may last.

        Raises:
            TimedOut: the operation's total time is over.
        """
        self.start_wait(phase)
        return self.remaining(phase)

    def timed_out(self, phase: Phase) -> TimedOut:
        """Return the error for a wait that lasted too long."""
        advice = (
            "The port may expect implicit TLS."
            if phase is Phase.GREETING and self._settings.tls.mode is not TlsMode.IMPLICIT
            else "If the server is slow, increase the timeout of the connection."
        )
        error = TimedOut(f"{self.peer} did not answer in time ({phase}). {advice}", phase=phase)
        error.explanation = advice
        return error

    def network_error(self, phase: Phase, error: OSError) -> SmtpError:
        """Return the error for a connection that was lost, or for a wait that lasted too long."""
        if isinstance(error, TimeoutError) and error.errno is None:  # with ETIMEDOUT, the kernel has given up
            return self.timed_out(phase)
        if isinstance(error, ssl.SSLError) and not isinstance(error, TLS_ENDED):
            return session_error(error, self.peer, phase)
        return Disconnected(f"The connection to {self.peer} was lost ({phase}): {error}.", phase=phase)

    def not_resolved(self, reason: str) -> ConnectError:
        """Return the error for a server whose addresses could not be found."""
        return ConnectError(
            f"Cannot connect to {self.peer}: {reason}. Check the server's name. If it is right, check the DNS of "
            f"this machine.",
            phase=Phase.CONNECT,
        )

    def connect_failed(self, reason: str) -> ConnectError:
        """Return the error for a connection that could not be made."""
        return ConnectError(
            f"Cannot connect to {self.peer}: {reason}. Check the server's name and port, and whether a firewall "
            f"blocks this machine.",
            phase=Phase.CONNECT,
        )
