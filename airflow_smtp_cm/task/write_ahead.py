"""A message that calls back right before its content is transmitted, so that this is recorded (write-ahead)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.result import SendResult

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.mail.mime import Rendering
    from airflow_smtp_cm.smtp.interfaces import Body


@dataclass(frozen=True, slots=True)
class WriteAheadMessage:
    """A message, for some of its recipients.

    Attributes:
        message: the message.
        recipients: the recipients to whom it is sent.
        record: called right before the content is transmitted, with the result if the message is assumed to be sent.
    """

    message: MailMessage
    recipients: tuple[str, ...]
    record: Callable[[SendResult], None]

    @property
    def message_id(self) -> str:
        """The Message-ID, angle brackets included."""
        return self.message.message_id

    @property
    def sender(self) -> str:
        """The address for MAIL FROM."""
        return self.message.sender

    def content(self, *, eight_bit: bool, binary: bool, utf8: bool) -> WriteAheadContent:
        """Render the message; see ``MailMessage.content``."""
        return WriteAheadContent(self, self.message.content(eight_bit=eight_bit, binary=binary, utf8=utf8))

    def assumed(self, size: int) -> SendResult:
        """Return the result if there is no final reply and the message is assumed to be sent."""
        return SendResult(
            message_id=self.message_id, accepted=self.recipients, refused=(), reply=None, size=size, seconds=0
        )


@dataclass(frozen=True, slots=True)
class WriteAheadContent:
    """The content of a write-ahead message; see ``smtp.interfaces.Content``."""

    message: WriteAheadMessage
    rendering: Rendering

    @property
    def body(self) -> Body:
        """What the content requires of the server."""
        return self.rendering.body

    @property
    def utf8(self) -> bool:
        """Whether it requires SMTPUTF8."""
        return self.rendering.utf8

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.rendering.size

    @property
    def in_memory(self) -> bool:
        """Whether ``chunks`` never blocks; here it waits for the record to be written."""
        return False

    def chunks(self) -> Generator[bytes]:
        """Record that the message is being sent, then yield its content."""
        # The conversation calls it when the server is ready for the content, or right before the only write.
        self.message.record(self.message.assumed(self.size))
        yield from self.rendering.chunks()
