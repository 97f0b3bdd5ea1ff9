"""Any header: it is rejected, or read back the same unless it has a structure, without another header."""

from __future__ import annotations

from airflow_smtp_cm.mail import InvalidMessage, MailMessage
from airflow_smtp_cm.mail.structured_headers import is_structured
from tests.fuzz import inputs
from tests.fuzz.messages import header_names
from tests.mail.reading import bytes_of, seen_by_python, seen_by_rust

_OTHERS = ["date", "from", "to", "message-id", "mime-version", "content-type", "content-transfer-encoding"]


def check(name: str, value: str) -> None:
    """Check a message with this header, and with this value as its subject."""
    try:
        message = MailMessage(from_email="a@x", to="b@y", subject=value, headers={name: value})
    except InvalidMessage:
        return
    raw = bytes_of(message, utf8=True)
    assert sorted(header_names(raw)) == sorted([*_OTHERS, *(["subject"] if value else []), name.lower()])
    for seen in (seen_by_python(raw, name), seen_by_rust(raw, name)):
        assert is_structured(name) or seen.own_header == value
        assert seen.subject == value


def one_input(data: bytes) -> None:
    name, *value = inputs.pieces(data)
    check(inputs.text(name), inputs.text(b"".join(value)))
