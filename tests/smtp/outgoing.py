"""The simplest message that the conversation can send: an envelope and bytes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.recorded import Recorded

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_smtp_cm.smtp.interfaces import Body


@dataclass(frozen=True)
class RawContent:
    raw: bytes
    body: Body = "7BIT"
    utf8: bool = False
    in_memory: bool = False
    chunk: int = 1000

    @property
    def size(self) -> int:
        return len(self.raw)

    def chunks(self) -> Generator[bytes]:
        for start in range(0, len(self.raw), self.chunk):
            yield self.raw[start : start + self.chunk]


@dataclass(frozen=True)
class Note:
    """A short text message; ``raw`` replaces its content."""

    recipients: tuple[str, ...] = ("bob@corp.test",)
    sender: str = "alice@corp.test"
    text: str = "Hello.\r\n"
    raw: bytes | None = None
    message_id: str = field(default_factory=lambda: f"<{uuid.uuid4()}@corp.test>")

    def content(self, *, eight_bit: bool, binary: bool, utf8: bool) -> RawContent:
        del eight_bit, binary, utf8
        head = f"From: {self.sender}\r\nSubject: note\r\nMessage-ID: {self.message_id}\r\n\r\n"
        return RawContent(self.raw if self.raw is not None else (head + self.text).encode())


@dataclass(frozen=True)
class RecordedNote(Note, Recorded):
    """A note that logs what it is told to record."""

    log: list = field(default_factory=list)

    def record_sending(self, recipients, size):
        self.log.append(("sending", tuple(recipients), size))

    def record_accepted(self, result):
        self.log.append(("accepted", result.accepted))


SHORT = Note(raw=b"Hi\r\n.\r\n", recipients=("bob@b.test",), sender="a@b.test")
