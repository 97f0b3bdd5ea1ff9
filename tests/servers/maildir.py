"""Delivered messages, read back from a Maildir."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from email.policy import default
from typing import TYPE_CHECKING

from tests.servers.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A Message-ID, or a condition.
Which = str | Callable[[EmailMessage], bool]

_DELIVERY_SECONDS = 15.0
_HEADERS = 10_000  # octets that hold them


@dataclass(frozen=True, slots=True)
class Maildir:
    """A Maildir that somebody else delivers to; it need not exist yet."""

    folder: Path

    def messages(self) -> list[EmailMessage]:
        """Return all messages so far, in order of arrival."""
        return [_parse(octets) for octets in self._contents()]

    def copies(self) -> Counter[str]:
        """Count the messages so far by their Message-ID."""
        return Counter(_message_id(file) for file in self._files())

    def wait_for(self, which: Which) -> EmailMessage:
        """Return the first message with this Message-ID, or that fulfils this condition, when it has arrived.

        Raises:
            AssertionError: it does not arrive; with what did.
        """
        return _parse(self.wait_for_octets(which))

    def wait_for_octets(self, which: Which) -> bytes:
        """Like ``wait_for``, but as the octets of the file: line ends are LF, trace headers stand on top."""
        found: list[bytes] = []

        def look() -> bool:
            found.extend(octets for octets in self._contents() if _fits(_parse(octets), which))
            return bool(found)

        if wait_until(look, _DELIVERY_SECONDS):
            return found[0]
        arrived = [message["Message-ID"] for message in self.messages()]
        raise AssertionError(f"{which} has not arrived in {self.folder}, only {arrived}")

    def _contents(self) -> list[bytes]:
        return [file.read_bytes() for file in sorted(self._files(), key=lambda file: file.stat().st_mtime_ns)]

    def _files(self) -> Iterator[Path]:
        return self.folder.glob("new/*")


def _fits(message: EmailMessage, which: Which) -> bool:
    return message["Message-ID"] == which if isinstance(which, str) else which(message)


def _message_id(file: Path) -> str:
    with file.open("rb") as octets:
        headers = BytesHeaderParser(EmailMessage, policy=default).parsebytes(octets.read(_HEADERS))
    return str(headers["Message-ID"])


def _parse(octets: bytes) -> EmailMessage:
    return BytesParser(EmailMessage, policy=default).parsebytes(octets)
