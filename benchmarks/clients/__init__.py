"""The clients that are compared: each makes its message from the same fields, in the way its documentation shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.job import Mail, Server


class Client(ABC):
    """A Python client; what it imports is loaded before any clock starts."""

    @abstractmethod
    def open(self, server: Server) -> None:
        """Connect, and log in where the server says so."""

    @abstractmethod
    def send(self, mails: Iterable[Mail]) -> None:
        """Send one after the other."""

    def send_bulk(self, mails: Iterable[Mail]) -> None:
        """Send them all as fast as the client can on one connection."""
        self.send(mails)

    @abstractmethod
    def close(self) -> None:
        """End the session."""
