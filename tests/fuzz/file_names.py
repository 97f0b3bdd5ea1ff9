"""Any file name: it is rejected, or read back the same, without another header."""

from __future__ import annotations

from airflow_smtp_cm.mail import Attachment, InvalidAttachment, MailMessage
from tests.fuzz import inputs
from tests.mail.reading import bytes_of, seen_by_python, seen_by_rust


def check(name: str, content: bytes) -> None:
    """Check an attachment with this name."""
    try:
        attachment = Attachment(content, name)
    except InvalidAttachment as error:
        assert name not in str(error) or name.isprintable()
        return
    raw = bytes_of(MailMessage(from_email="a@x", to="b@y", attachments=attachment))
    for seen in (seen_by_python(raw), seen_by_rust(raw)):
        assert seen.attachments == [(name, attachment.media_type, content)]


def one_input(data: bytes) -> None:
    name, *content = inputs.pieces(data)
    check(inputs.text(name), b"".join(content))
