"""A message that records its transmission: right before its content is transmitted (write-ahead), and in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from airflow_smtp_cm.smtp.recorded import RecordedPart
from airflow_smtp_cm.smtp.result import SendResult

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_smtp_cm.mail.message import MailMessage


class Record(Protocol):
    """The record of one message."""

    def sending(self, result: SendResult, others: Collection[str]) -> None:
        """Record that the content is about to be transmitted.

        Args:
            result: the result if there is no final reply: the recipients of this transaction are ``uncertain``.
            others: the other recipients of the message.
        """

    def accepted(self, result: SendResult) -> None:
        """Record the result so far; a transaction for other recipients follows."""


class WriteAheadMessage(RecordedPart):
    """A message, for some of its recipients.

    Attributes:
        message: the message.
        recipients: the recipients to whom it is sent.
        record: its record.
    """

    __slots__ = ("message", "recipients", "record")

    def __init__(self, message: MailMessage, recipients: tuple[str, ...], record: Record) -> None:
        self.message = message
        self.recipients = recipients
        self.record = record

    def record_sending(self, recipients: Sequence[str], size: int) -> None:
        """Record that the content is about to be transmitted to these recipients; see ``smtp.recorded``."""
        result = SendResult.without_reply(self.message_id, tuple(recipients), size)
        self.record.sending(result, set(self.recipients).difference(recipients))

    def record_accepted(self, result: SendResult) -> None:
        """Record the result so far; see ``smtp.recorded``."""
        self.record.accepted(result)
