"""The commands of the envelope: MAIL and RCPT with their parameters."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import MessageError, Phase
from airflow_smtp_cm.smtp.wire import Command

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.delivery_notification import DeliveryNotification
    from airflow_smtp_cm.smtp.extensions import Extensions
    from airflow_smtp_cm.smtp.interfaces import Content

_PATH = re.compile(
    r'(?:"(?:[^"\\\x00-\x1f\x7f-\x9f]|\\[\x20-\x7e])*"|[^\s<>"@\x00-\x1f\x7f-\x9f]+)@[^\s<>@\x00-\x1f\x7f-\x9f]+'
)
_NOT_XTEXT = r"[^!-*,-<>-~]"


def mail_command(
    sender: str, content: Content, extensions: Extensions, notification: DeliveryNotification | None
) -> Command:
    """Return MAIL (RFC 5321, section 4.1.1.2)."""
    parts = [f"MAIL FROM:<{_path(sender)}>"]
    if "SIZE" in extensions:
        parts.append(f"SIZE={content.size}")
    if content.body != "7BIT":
        parts.append(f"BODY={content.body}")
    if content.utf8:
        parts.append("SMTPUTF8")
    if notification is not None:
        parts.append("RET=FULL" if notification.full else "RET=HDRS")
        if notification.envelope_id is not None:
            parts.append(f"ENVID={_xtext(notification.envelope_id)}")
    return Command(Phase.MAIL, " ".join(parts))


def rcpt_command(recipient: str, notification: DeliveryNotification | None) -> Command:
    """Return RCPT (RFC 5321, section 4.1.1.3)."""
    line = f"RCPT TO:<{_path(recipient)}>"
    if notification is not None and notification.notify:
        line += f" NOTIFY={','.join(notification.notify)}"
    return Command(Phase.RCPT, line)


@lru_cache(maxsize=1024)  # messages often have the same sender and the same recipients
def _path(address: str) -> str:
    if not _PATH.fullmatch(address):
        raise MessageError(
            f"The address {address!r} cannot be sent to a server: it does not have the form local@domain."
        )
    return address


def _xtext(text: str) -> str:
    """Encode text as xtext (RFC 3461, section 4)."""
    return re.sub(_NOT_XTEXT, lambda match: f"+{ord(match[0]):02X}", text)
