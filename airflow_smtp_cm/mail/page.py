"""A page that shows a message: its recipients, its body as a mail program shows it, its attachments and its header.

The page is one file. A browser that shows it opens no network connection, and runs no script: the content security
policy of the page also applies to the HTML of the message, which is in a frame of its own, with a sandbox.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from email import message_from_bytes, policy
from html import escape, unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import EmailMessage, MIMEPart

# RFC 2392; a comma at the end divides the URLs of ``srcset``.
_CONTENT_ID_URL = re.compile(r"""\bcid:([^"'\s<>)]*[^"'\s<>),])""", re.IGNORECASE)
# Browsers may connect to the server of such an element ("preconnect"), whatever the content security policy is.
_LINK = re.compile(r"<link(?=[\s/>])[^>]*>?", re.IGNORECASE)
_MIME_FIELD = re.compile(r"content-.*|mime-version", re.IGNORECASE)
_QUOTES = str.maketrans("", "", '"\\')


@dataclass(frozen=True, slots=True)
class _File:
    """A part of the message that is not its text.

    Attributes:
        name: its file name.
        media_type: its media type.
        size: its size in bytes, decoded.
        is_shown: whether it is an image that the HTML shows.
    """

    name: str
    media_type: str
    size: int
    is_shown: bool


def page_of(content: bytes, recipients: Sequence[str], settings: Sequence[str] = ()) -> str:
    """Return the page of a message, as HTML.

    Args:
        content: the message in the form in which it is sent.
        recipients: the addresses of its envelope; those that are not in the header are shown as hidden.
        settings: what settings have changed in the message, in sentences.
    """
    import jinja2  # noqa: PLC0415 - only pages need it

    message = message_from_bytes(content, policy=policy.default)
    html_part, text_part = (message.get_body((kind,)) for kind in ("html", "plain"))
    others = [part for part in _leaves(message) if part not in {html_part, text_part}]
    html, shown = _html_of(html_part, others)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("airflow_smtp_cm.mail", ""), autoescape=True, trim_blocks=True
    )
    page = environment.get_template("page.html").render(
        subject=str(message["Subject"] or ""),
        settings=settings,
        recipients=list(_with_fields(recipients, message)),
        html=html,
        text=None if text_part is None else _text_of(text_part),
        files=[_File(_name_of(part), part.get_content_type(), len(_data(part)), part in shown) for part in others],
        fields=[(name, str(value)) for name, value in message.items() if not _MIME_FIELD.fullmatch(name)],
        size=len(content),
    )
    return page.encode(errors="replace").decode()  # a header may contain bytes that are not text


def _leaves(part: MIMEPart) -> Iterator[MIMEPart]:
    if part.get_content_maintype() != "multipart":
        yield part
        return
    for item in part.iter_parts():
        yield from _leaves(item)


def _html_of(part: MIMEPart | None, others: Sequence[MIMEPart]) -> tuple[str | None, set[MIMEPart]]:
    """Return the HTML with the images that it names in it, and the parts of these images."""
    if part is None:
        return None, set()
    pictures = {
        str(other["Content-ID"]).strip().strip("<>"): other
        for other in others
        if other["Content-ID"] and other.get_content_maintype() == "image"
    }
    shown = set()

    def as_data(reference: re.Match[str]) -> str:
        picture = pictures.get(unquote(unescape(reference[1])))
        if picture is None:
            return reference[0]
        shown.add(picture)
        return f"data:{escape(picture.get_content_type())};base64,{b64encode(_data(picture)).decode()}"

    return _CONTENT_ID_URL.sub(as_data, _LINK.sub(" ", _text_of(part))), shown


def _with_fields(recipients: Sequence[str], message: EmailMessage) -> Iterator[tuple[str, str | None]]:
    """Yield each recipient with the header field that contains it; None if no field does."""
    fields = {
        _mailbox(address.addr_spec): name
        for name in ("Cc", "To")
        for value in message.get_all(name, ())
        for address in value.addresses
    }
    for recipient in recipients:
        yield recipient, fields.get(_mailbox(recipient))


def _mailbox(address: str) -> str:
    local_part, _, domain = address.rpartition("@")
    return f"{local_part.translate(_QUOTES)}@{domain.lower()}"


def _text_of(part: MIMEPart) -> str:
    try:
        text: str = part.get_content()
    except LookupError:  # Python does not know its charset
        return _data(part).decode(errors="replace")
    return text


def _name_of(part: MIMEPart) -> str:
    return part.get_filename() or "(no name)"


def _data(part: MIMEPart) -> bytes:
    if part.is_multipart():  # a message in the message
        return b"".join(bytes(item) for item in part.iter_parts())
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""
