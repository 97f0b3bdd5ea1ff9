"""The commands of the envelope: MAIL and RCPT with their parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from airflow_smtp_cm.smtp.errors import MessageError, Phase
from airflow_smtp_cm.smtp.wire import Command

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.extensions import Extensions
    from airflow_smtp_cm.smtp.interfaces import Content

__all__ = ["DeliveryNotification"]

_PATH = re.compile(
    r'(?:"(?:[^"\\\x00-\x1f\x7f-\x9f]|\\[\x20-\x7e])*"|[^\s<>"@\x00-\x1f\x7f-\x9f]+)@[^\s<>@\x00-\x1f\x7f-\x9f]+'
)
_NOT_XTEXT = re.compile(r"[^!-*,-<>-~]")

Notify = Literal["SUCCESS", "FAILURE", "DELAY", "NEVER"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryNotification:
    """The delivery reports to request from the servers (DSN, RFC 3461).

    Attributes:
        notify: the events to report; ``NEVER`` cannot be combined with others.
        full: whether a report contains the whole message instead of its headers.
        envelope_id: an identifier of the message for reports; printable ASCII.
    """

    notify: tuple[Notify, ...] = ()
    full: bool = False
    envelope_id: str | None = None

    def __post_init__(self) -> None:
        if "NEVER" in self.notify and len(self.notify) > 1:
            raise MessageError("A delivery notification of NEVER cannot be combined with other events.")
        if self.envelope_id is not None and not (self.envelope_id.isascii() and self.envelope_id.isprintable()):
            raise MessageError("A delivery notification's envelope id must be printable ASCII.")


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
    return _NOT_XTEXT.sub(lambda match: f"+{ord(match[0]):02X}", text)
