"""Any message: it is rejected, or its bytes follow the rules of SMTP, and are read back the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_smtp_cm.mail import Address, Attachment, InvalidMessage, MailMessage
from airflow_smtp_cm.smtp.data_encoding import DataLines, LineEnds
from tests.fuzz import content, inputs
from tests.mail.reading import seen_by_python, seen_by_rust

if TYPE_CHECKING:
    from collections.abc import Iterable

HIDDEN = "only-in-bcc@nowhere.example"


def check(message: MailMessage, *, eight_bit: bool) -> None:
    """Check a message; the parser in Rust supports its recipients, except ``HIDDEN`` in Bcc."""
    rendered = message.content(eight_bit=eight_bit, binary=False, utf8=False)
    chunks = list(rendered.chunks())
    raw = b"".join(chunks)
    assert len(raw) == rendered.size
    assert raw.isascii() or rendered.body == "8BITMIME"
    _check_wire(message, chunks)
    _check_reading(message, raw)


def header_names(raw: bytes) -> list[str]:
    """Return the names of the headers, in lower case and in order."""
    head = raw.partition(b"\r\n\r\n")[0].decode()
    return [line.partition(":")[0].lower() for line in head.split("\r\n") if not line.startswith((" ", "\t"))]


def _check_wire(message: MailMessage, chunks: list[bytes]) -> None:
    raw = b"".join(chunks)
    assert raw.endswith(b"\r\n")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    head = raw.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert not [line for line in head.split(b"\r\n") if not line.strip()]
    assert HIDDEN.encode() not in raw
    own = {"x-own": 1, "subject": bool(message.subject), "cc": bool(message.cc), "bcc": 0, "to": bool(message.to)}
    names = header_names(raw)
    assert {name: names.count(name) for name in own} == own
    assert content.encode(LineEnds(), chunks) == raw
    assert content.decode(content.encode(DataLines(), chunks)) == raw


def _check_reading(message: MailMessage, raw: bytes) -> None:
    for seen in (seen_by_python(raw), seen_by_rust(raw)):
        for pairs, known in [
            (seen.senders, [message.from_email]),
            (seen.to, message.to),
            (seen.cc, message.cc),
            (seen.reply_to, message.reply_to),
        ]:
            assert _without_spaces(pairs) == _without_spaces(_meant(known))
        assert seen.subject == message.subject
        assert seen.own_header == message.headers["X-Own"]
        assert _with_lf(seen.texts) == _texts_meant(message)
        assert seen.attachments == [(file.name, file.media_type, file.source) for file in message.attachments]
    assert seen_by_rust(raw).to == _meant(message.to)


def _meant(known: Iterable[Address]) -> list[tuple[str, str]]:
    return [(address.display_name, address.addr_spec) for address in known]


def _without_spaces(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Remove spaces: Python 3.11's ``email`` changes the spaces between the encoded words of a name."""
    return [("".join(name.split()), address) for name, address in pairs]


def _with_lf(texts: dict[str, str]) -> dict[str, str]:
    return {subtype: text.replace("\r\n", "\n").replace("\r", "\n") for subtype, text in texts.items()}


def _texts_meant(message: MailMessage) -> dict[str, str]:
    texts = {"plain": message.text, "html": message.html}
    texts = _with_lf({subtype: text for subtype, text in texts.items() if text}) or {"plain": ""}
    if len(texts) == 1 and not message.attachments:  # the last line gets a line end, because nothing follows
        texts = {subtype: text if not text or text.endswith("\n") else f"{text}\n" for subtype, text in texts.items()}
    return texts


def one_input(data: bytes) -> None:
    fields = inputs.pieces(data)
    fields += [b""] * (7 - len(fields))
    name, subject, own, text, html, file_name, raw = map(inputs.text, fields[:7])
    try:
        message = MailMessage(
            from_email=Address(name, "a", "x"),
            to=[Address(name, "b", "y"), Address("", "c", "z")],
            bcc=HIDDEN,
            subject=subject,
            text=text,
            html=html,
            attachments=[Attachment(raw.encode(errors="surrogateescape"), file_name)] if file_name else None,
            headers={"X-Own": own},
        )
    except InvalidMessage:
        return
    for eight_bit in (False, True):
        check(message, eight_bit=eight_bit)
