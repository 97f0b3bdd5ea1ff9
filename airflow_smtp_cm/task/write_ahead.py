"""A message that tells when it is about to leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.mail.mime import Rendering
    from airflow_smtp_cm.smtp.interfaces import Body


@dataclass(frozen=True, slots=True)
class Leaving:
    """A message for some of its recipients.

    Attributes:
        message: what is sent.
        recipients: whom it is sent to.
        leaves: called with the number of octets right before they leave.
    """

    message: MailMessage
    recipients: tuple[str, ...]
    leaves: Callable[[int], None]

    @property
    def message_id(self) -> str:
        """The Message-ID, angle brackets included."""
        return self.message.message_id

    @property
    def sender(self) -> str:
        """The address for MAIL FROM."""
        return self.message.sender

    def content(self, *, eight_bit: bool, binary: bool, utf8: bool) -> LeavingContent:
        """Render the message; see ``MailMessage.content``."""
        return LeavingContent(self.message.content(eight_bit=eight_bit, binary=binary, utf8=utf8), self.leaves)


@dataclass(frozen=True, slots=True)
class LeavingContent:
    """The octets of such a message; see ``smtp.outgoing.Content``."""

    rendering: Rendering
    leaves: Callable[[int], None]

    @property
    def body(self) -> Body:
        """What the octets need."""
        return self.rendering.body

    @property
    def utf8(self) -> bool:
        """Whether they need SMTPUTF8."""
        return self.rendering.utf8

    @property
    def size(self) -> int:
        """Their number."""
        return self.rendering.size

    @property
    def in_memory(self) -> bool:
        """Whether to yield them waits for nothing; the record that is told is elsewhere."""
        return False

    def chunks(self) -> Generator[bytes]:
        """Tell that they leave, and yield them."""
        # The conversation asks for them when the server is ready for the content, or right before its only flight.
        self.leaves(self.size)
        yield from self.rendering.chunks()
