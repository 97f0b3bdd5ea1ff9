"""Reads ``SendMailTaskData``: the properties of a Send Mail task. The XML is the same in all formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.model import MessageSourceType, SendMail
from airflow_smtp_cm.ssis.reading.properties import Properties, guid

if TYPE_CHECKING:
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
    numbers = Properties(
        {
            "refId": ref_id,
            "Priority": _PRIORITIES.get(stored.get("Priority", ""), stored.get("Priority", "")),
            "MessageSourceType": _MESSAGE_SOURCE_TYPES.get(
                stored.get("MessageSourceType", ""), stored.get("MessageSourceType", "")
            ),
        }
    )
    source_type = numbers.enum("MessageSourceType", MessageSourceType.DIRECT_INPUT)
    source = stored.get("MessageSource", "")
    return SendMail(
        smtp_connection=guid(stored.get("SMTPServer", "")),
        from_line=stored.get("From", ""),
        to_line=stored.get("To", ""),
        cc_line=stored.get("CC", ""),
        bcc_line=stored.get("BCC", ""),
        subject=stored.get("Subject", ""),
        priority=numbers.number("Priority", 3),
        message_source_type=source_type,
        message_source=guid(source) if source_type is MessageSourceType.FILE_CONNECTION else source,
        attachments=tuple(
            secrets.text(attachment.attributes.get("FileName", ""), ref_id) for attachment in data.all("Attachments")
        ),
    )
