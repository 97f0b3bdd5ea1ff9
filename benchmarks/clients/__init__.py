"""The clients to compare. Each builds its message from the same fields, as its documentation shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.job import Mail, Server


class Client(ABC):
    """A Python client; its modules are imported before a measurement starts."""

    @abstractmethod
    def open(self, server: Server) -> None:
        """Connect, and log in if ``server.login`` is set."""

    @abstractmethod
    def send(self, mails: Iterable[Mail]) -> None:
        """Send the mails one after the other."""

    def send_bulk(self, mails: Iterable[Mail], connections: int) -> None:  # noqa: ARG002 - most have only one
        """Send the mails as fast as the client can, over so many connections if it can use several."""
        self.send(mails)

    @abstractmethod
    def close(self) -> None:
        """End the session."""
