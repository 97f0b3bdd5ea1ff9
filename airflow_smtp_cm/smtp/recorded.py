"""A message that records its transmission, so that nobody gets it twice if the process ends in between."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.smtp.interfaces import Content, Outgoing
    from airflow_smtp_cm.smtp.result import SendResult


class Recorded(ABC):
    """Base of messages (``interfaces.Outgoing``) that record their transmission; both methods may block.

    A message with more recipients than the server accepts at once is sent in several transactions. Each of them
    calls ``record_sending``, and ``record_accepted`` if another one follows.
    """

    __slots__ = ()

    @abstractmethod
    def record_sending(self, recipients: Sequence[str], size: int) -> None:
        """Record that the content is about to be transmitted; called right before its first byte is.

        Args:
            recipients: those to whom this transaction transmits it, as far as is known.
            size: the size of the content in bytes.

        Raises:
            RecordError: it cannot be recorded. The content is not transmitted; in bulk, neither is any later message.
        """

    @abstractmethod
    def record_accepted(self, result: SendResult) -> None:
        """Record that the server has accepted the message for some recipients, and others follow.

        Args:
            result: the result of all transactions so far.
        """


class RecordedPart(Recorded):
    """Base of messages that send another one to some of its recipients.

    Attributes:
        message: the other message.
    """

    __slots__ = ()

    message: Outgoing

    @property
    def message_id(self) -> str:
        """The Message-ID, angle brackets included."""
        return self.message.message_id

    @property
    def sender(self) -> str:
        """The address for MAIL FROM."""
        return self.message.sender

    def content(self, *, eight_bit: bool, binary: bool, utf8: bool) -> Content:
        """Render the message; see ``Outgoing.content``."""
        return self.message.content(eight_bit=eight_bit, binary=binary, utf8=utf8)
