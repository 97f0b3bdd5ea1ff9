"""Reads delivered messages from a Maildir."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from email.policy import default
from functools import cache
from typing import TYPE_CHECKING

from tests.servers.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A Message-ID, or a condition.
Which = str | Callable[[EmailMessage], bool]

_HEADERS = 10_000  # bytes; they contain the whole header


@dataclass(frozen=True, slots=True)
class Maildir:
    """A Maildir that a server delivers to; it need not exist yet."""

    folder: Path

    def messages(self) -> list[EmailMessage]:
        """Return all messages so far, in order of arrival."""
        return [_parse(file.read_bytes()) for file in self._in_order()]

    def copies(self) -> Counter[str]:
        """Count the messages so far by their Message-ID."""
        return Counter(map(_message_id, self._files()))

    def wait_for(self, which: Which) -> EmailMessage:
        """Wait for the first message with this Message-ID, or one that fulfils this condition, and return it.

        Raises:
            AssertionError: it did not arrive; with the Message-IDs that did.
        """
        return _parse(self.wait_for_bytes(which))

    def wait_for_bytes(self, which: Which) -> bytes:
        """Like ``wait_for``, but return the bytes of the file, with LF line ends and trace headers."""
        found: list[Path] = []
        seen: set[Path] = set()

        def look() -> bool:
            arrived = [file for file in self._in_order() if file not in seen]
            seen.update(arrived)
            found.extend(file for file in arrived if _fits(file, which))
            return bool(found)

        if wait_until(look):
            return found[0].read_bytes()
        arrived = [message["Message-ID"] for message in self.messages()]
        raise AssertionError(f"{which} has not arrived in {self.folder}, only {arrived}")

    def _in_order(self) -> list[Path]:
        return sorted(self._files(), key=lambda file: file.stat().st_mtime_ns)

    def _files(self) -> Iterator[Path]:
        return self.folder.glob("new/*")


def _fits(file: Path, which: Which) -> bool:
    return _message_id(file) == which if isinstance(which, str) else which(_parse(file.read_bytes()))


@cache
def _message_id(file: Path) -> str:
    with file.open("rb") as opened:
        beginning = opened.read(_HEADERS)
    return str(BytesHeaderParser(EmailMessage, policy=default).parsebytes(beginning)["Message-ID"])


def _parse(data: bytes) -> EmailMessage:
    return BytesParser(EmailMessage, policy=default).parsebytes(data)
