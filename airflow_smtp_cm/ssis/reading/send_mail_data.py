"""Reads ``SendMailTaskData``: the properties of a Send Mail task. The XML is the same in all formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from airflow_smtp_cm.ssis.model import MessageSourceType, SendMail
from airflow_smtp_cm.ssis.reading.properties import Properties, guid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_smtp_cm.ssis.reading.redaction import Secrets
    from airflow_smtp_cm.ssis.reading.safe_xml import Element

# Stored by name; any other number (a Priority expression can set one) is stored as the number.
_PRIORITIES = {"High": "1", "Normal": "3", "Low": "5"}
_MESSAGE_SOURCE_TYPES = {"DirectInput": "0", "FileConnection": "1", "Variable": "2"}


def read_send_mail(data: Element, ref_id: str, secrets: Secrets) -> SendMail:
    """Read the properties of a Send Mail task.

    Args:
        data: its ``SendMailTaskData``.
        ref_id: its place.
        secrets: removes secrets.

    Raises:
        NotReadableError: Priority or MessageSourceType has an invalid value.
    """
    stored = {name: secrets.text(value, ref_id) for name, value in data.attributes.items()}
    priority, source_type = read_numbers(stored | {"refId": ref_id})
    source = stored.get("MessageSource", "")
    return SendMail(
        smtp_connection=guid(stored.get("SMTPServer", "")),
        from_line=stored.get("From", ""),
        to_line=stored.get("To", ""),
        cc_line=stored.get("CC", ""),
        bcc_line=stored.get("BCC", ""),
        subject=stored.get("Subject", ""),
        priority=priority,
        message_source_type=source_type,
        message_source=guid(source) if source_type is MessageSourceType.FILE_CONNECTION else source,
        attachments=tuple(
            secrets.text(attachment.attributes.get("FileName", ""), ref_id) for attachment in data.all("Attachments")
        ),
    )


class Numbers(NamedTuple):
    """The properties of a Send Mail task that are numbers."""

    priority: int
    message_source_type: MessageSourceType


def read_numbers(stored: Mapping[str, str]) -> Numbers:
    """Read the properties that are numbers, stored by name or as a number.

    Args:
        stored: the task's properties, by name.

    Raises:
        NotReadableError: one of them has an invalid value.
    """
    priority, source_type = stored.get("Priority", ""), stored.get("MessageSourceType", "")
    numbers = Properties(
        {
            "refId": stored.get("refId", ""),
            "Priority": _PRIORITIES.get(priority, priority),
            "MessageSourceType": _MESSAGE_SOURCE_TYPES.get(source_type, source_type),
        }
    )
    return Numbers(numbers.number("Priority", 3), numbers.enum("MessageSourceType", MessageSourceType.DIRECT_INPUT))
