"""What the test server keeps: the received messages."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.mail.page import page_of

if TYPE_CHECKING:
    import os
    from email.message import EmailMessage, Message
    from typing import Self

    from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    r"""One message that the server received.

    Attributes:
        identity: the user who logged in, as ``DOMAIN\user``.
        mechanism: the mechanism of the login.
        tls_version: the TLS version, such as ``TLSv1.3``; empty without TLS.
        sender: the address of MAIL FROM.
        recipients: the addresses of RCPT TO, in order.
        content: the content as bytes.
        message: the parsed content; its line ends are those of Python, except in binary parts (BINARYMIME).
    """

    identity: str
    mechanism: str
    tls_version: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    message: EmailMessage

    @classmethod
    def from_envelope(cls, server: SMTP, session: Session, envelope: Envelope) -> Self:
        """Return the message whose content has arrived."""
        content = envelope.original_content or b""
        transport: Any = server.transport  # not None while a message is received
        tls = transport.get_extra_info("ssl_object")
        return cls(
            identity=str(session.auth_data),
            mechanism="NTLM",
            tls_version=tls.version() if tls else "",
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            content=content,
            message=_parsed(content),
        )

    def save_page(self, path: str | os.PathLike[str]) -> None:
        """Write a page that shows the message as a mail program does, with its recipients and attachments, as HTML.

        The page is self-contained: a browser opens no network connection for it.
        """
        Path(path).write_text(page_of(self.content, self.recipients), encoding="utf-8")


def _parsed(content: bytes) -> EmailMessage:
    message = message_from_bytes(content.replace(b"\r\n", b"\n"), policy=policy.default)
    if not any(map(_is_binary, message.walk())):
        return message
    original = message_from_bytes(content, policy=policy.default)
    for part, binary in zip(message.walk(), original.walk(), strict=True):
        if _is_binary(part):
            data: Any = binary.get_payload(decode=True)  # bytes
            part.set_payload(data.decode("ascii", "surrogateescape"))
    return message


def _is_binary(part: Message) -> bool:
    return not part.is_multipart() and part["Content-Transfer-Encoding"] == "binary"
