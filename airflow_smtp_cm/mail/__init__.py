"""Messages: addresses, attachments, headers and MIME; independent of SMTP and Airflow."""

from airflow_smtp_cm.mail.addresses import Address
from airflow_smtp_cm.mail.attachments import Attachment
from airflow_smtp_cm.mail.errors import (
    InvalidAddress,
    InvalidAttachment,
    InvalidMessage,
    Smtputf8Needed,
    SourceChanged,
)
from airflow_smtp_cm.mail.message import MailMessage, Priority

__all__ = [
    "Address",
    "Attachment",
    "InvalidAddress",
    "InvalidAttachment",
    "InvalidMessage",
    "MailMessage",
    "Priority",
    "Smtputf8Needed",
    "SourceChanged",
]
