"""MIME: a message as a stream of bytes; it is never in memory as a whole (RFC 2045, RFC 2046, RFC 5322)."""

from __future__ import annotations

import base64
import binascii
import secrets
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Literal, NamedTuple

from airflow_smtp_cm.mail.headers import MAX_LINE, attachment_fields, content_type_field

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from airflow_smtp_cm.mail.attachments import Attachment
    from airflow_smtp_cm.mail.related import Related

Body = Literal["7BIT", "8BITMIME", "BINARYMIME"]

_CHUNK = 80 * 1024  # the maximum of bytes that are yielded at once

# Lines encoded at once: 128 to 512 fit into the processor's cache, which makes encoding a quarter faster. A chunk is
# two such blocks.
_BLOCK_LINES = 512
_LINE_BYTES = 57  # encoded, a line of 76 characters (RFC 2045, section 6.8)
_LINE_CHARACTERS = 76
_BLOCK = _BLOCK_LINES * _LINE_BYTES
_divide = struct.Struct(f"{_LINE_CHARACTERS}s" * _BLOCK_LINES).unpack  # 1.5 times as fast as slicing

_WIDTHS: tuple[Body, ...] = ("7BIT", "8BITMIME", "BINARYMIME")
# RFC 2045, section 6.4: a multipart has the widest encoding of its parts; 7bit is the default.
_MULTIPART_ENCODINGS: dict[Body, str] = {
    "7BIT": "",
    "8BITMIME": "Content-Transfer-Encoding: 8bit\r\n",
    "BINARYMIME": "Content-Transfer-Encoding: binary\r\n",
}


class EncodedFile(NamedTuple):
    """The encoded content of an attachment, read only when it is sent."""

    attachment: Attachment
    binary: bool

    @property
    def size(self) -> int:
        """The size in bytes, computed without reading the file."""
        return self.attachment.size if self.binary else _base64_size(self.attachment.size)

    def blocks(self) -> Generator[bytes]:
        """Yield the encoded content, in blocks of at most half a chunk."""
        with closing(self.attachment.blocks(_BLOCK)) as blocks:
            yield from blocks if self.binary else map(_base64_lines, blocks)


class Part(NamedTuple):
    """A MIME entity.

    Attributes:
        fields: its Content-* header fields.
        pieces: its body, without the CRLF before a boundary.
        body: the body type that it needs (RFC 6152, RFC 3030).
    """

    fields: str
    pieces: tuple[bytes | EncodedFile, ...]
    body: Body

    def __repr__(self) -> str:
        return f"Part(body={self.body!r})"  # the content is private


class Rendering(NamedTuple):
    """A message in the form in which it is sent.

    Attributes:
        body: the body type: 7 bits (RFC 5321), 8BITMIME (RFC 6152) or BINARYMIME (RFC 3030).
        utf8: whether an address is in raw UTF-8, so that SMTPUTF8 is needed (RFC 6531).
        size: the exact number of bytes that ``chunks`` yields.
        pieces: the content; files are read when they are sent.
    """

    body: Body
    utf8: bool
    size: int
    pieces: tuple[bytes | EncodedFile, ...]

    def __repr__(self) -> str:
        return f"Rendering(body={self.body!r}, utf8={self.utf8}, size={self.size})"  # the content is private

    @property
    def in_memory(self) -> bool:
        """Whether ``chunks`` reads no file."""
        return not any(isinstance(piece, EncodedFile) for piece in self.pieces)

    def chunks(self) -> Generator[bytes]:
        """Yield the content in chunks of at most 80 KiB; small pieces are joined.

        Closing the generator early closes the file it reads.

        Raises:
            SourceChanged: an attachment is shorter than when the message was built.
            OSError: an attachment can no longer be read.
        """
        waiting: list[bytes] = []
        length = 0
        with closing(self._blocks()) as blocks:
            for block in blocks:
                if length + len(block) > _CHUNK:
                    yield b"".join(waiting)
                    waiting, length = [], 0
                waiting.append(block)
                length += len(block)
        yield b"".join(waiting)

    def _blocks(self) -> Generator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, EncodedFile):
                yield from piece.blocks()
            else:
                yield from (piece[start : start + _CHUNK] for start in range(0, len(piece), _CHUNK))


def render(
    head: str,
    *,
    text: str | None,
    related: Related,
    eight_bit: bool,
    binary: bool,
    utf8: bool,
) -> Rendering:
    """Render a message.

    Text is not encoded if no line is longer than 998 bytes, and it is ASCII or ``eight_bit`` is set; otherwise it is
    in quoted-printable or base64, whichever is shorter. Attachments are in base64, or not encoded with ``binary``.

    Args:
        head: the header fields of the message, without the Content-* fields.
        text: the body as plain text.
        related: the body as HTML, the attachments that it names, and the others.
        eight_bit: whether 8BITMIME may be used.
        binary: whether BINARYMIME may be used.
        utf8: whether an address is in raw UTF-8.
    """
    root = _structure(text, related, eight_bit=eight_bit, binary=binary)
    pieces = (f"{head}{root.fields}\r\n".encode(), *root.pieces)
    return Rendering(
        body="8BITMIME" if utf8 and eight_bit and root.body == "7BIT" else root.body,
        utf8=utf8,
        size=sum(piece.size if isinstance(piece, EncodedFile) else len(piece) for piece in pieces),
        pieces=pieces,
    )


def _structure(text: str | None, related: Related, *, eight_bit: bool, binary: bool) -> Part:
    """Return the root of the message: mixed(related(alternative(text, HTML), inline parts), attachments).

    Each multipart is there only if it is needed. It is the nesting that Exchange writes, and an attachment that the
    HTML does not name is outside of related there, too ([MS-OXCMAIL], section 2.1.3.3.6).
    """
    texts = [(subtype, body) for subtype, body in (("plain", text), ("html", related.html)) if body]
    if not texts:
        texts = [("plain", "")]
    if len(texts) == 1 and not related.inline and not related.attached:
        ((subtype, body),) = texts
        return _text_part(subtype, _ended(body), eight_bit=eight_bit)
    parts = [_text_part(subtype, body, eight_bit=eight_bit) for subtype, body in texts]
    content = parts[0] if len(parts) == 1 else _multipart("alternative", parts)
    if related.inline:
        files = [_file_part(file, content_id, binary=binary) for content_id, file in related.inline.items()]
        root = "text/html" if len(parts) == 1 else "multipart/alternative"  # RFC 2387, section 3.1
        content = _multipart("related", [content, *files], f'type="{root}"')
    if not related.attached:
        return content
    return _multipart("mixed", [content, *(_file_part(file, binary=binary) for file in related.attached)])


def _ended(text: str) -> str:
    """Return text with an end of the last line, which SMTP requires if no boundary follows."""
    return text if not text or text.endswith(("\r", "\n")) else f"{text}\r\n"


def _text_part(subtype: str, text: str, *, eight_bit: bool) -> Part:
    data = text.encode().replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    ascii_only = data.isascii()
    encoding, body = "7bit" if ascii_only else "8bit", data
    if max(map(len, data.split(b"\r\n"))) > MAX_LINE or not (ascii_only or eight_bit):
        encoding, body = min(
            ("quoted-printable", _quoted_printable(data)),
            ("base64", base64.encodebytes(data).replace(b"\n", b"\r\n")),
            key=lambda encoded: len(encoded[1]),
        )
    charset = "us-ascii" if ascii_only else "utf-8"
    return Part(
        fields=content_type_field(f"text/{subtype}; charset={charset}")
        + f"Content-Transfer-Encoding: {encoding}\r\n",
        pieces=(body,),
        body="8BITMIME" if encoding == "8bit" else "7BIT",
    )


def _file_part(attachment: Attachment, content_id: str | None = None, *, binary: bool) -> Part:
    encoding = "binary" if binary else "base64"
    return Part(
        fields=attachment_fields(attachment.media_type, attachment.name, content_id)
        + f"Content-Transfer-Encoding: {encoding}\r\n",
        pieces=(EncodedFile(attachment, binary),),
        body="BINARYMIME" if binary else "7BIT",
    )


def _multipart(subtype: str, parts: Sequence[Part], *parameters: str) -> Part:
    # "=_" cannot occur in base64 or quoted-printable; in other parts, 128 random bits do not occur.
    boundary = f"=_{secrets.token_hex(16)}"
    body = max((part.body for part in parts), key=_WIDTHS.index)
    return Part(
        fields=content_type_field(f"multipart/{subtype}", *parameters, f'boundary="{boundary}"')
        + _MULTIPART_ENCODINGS[body],
        pieces=(*_with_boundaries(parts, boundary), f"--{boundary}--\r\n".encode()),
        body=body,
    )


def _with_boundaries(parts: Iterable[Part], boundary: str) -> Generator[bytes | EncodedFile]:
    for part in parts:
        yield f"--{boundary}\r\n{part.fields}\r\n".encode()
        yield from part.pieces
        yield b"\r\n"


def _quoted_printable(data: bytes) -> bytes:
    # If the text contains no line end, the library writes soft line breaks with LF only.
    return binascii.b2a_qp(data).replace(b"=\n", b"=\r\n")


def _base64_lines(block: bytes) -> bytes:
    encoded = binascii.b2a_base64(block, newline=False)
    if len(block) == _BLOCK:
        return b"\r\n".join((*_divide(encoded), b""))
    lines = [encoded[start : start + _LINE_CHARACTERS] for start in range(0, len(encoded), _LINE_CHARACTERS)]
    return b"\r\n".join((*lines, b""))


def _base64_size(size: int) -> int:
    lines, rest = divmod(size, _LINE_BYTES)
    encoded = lines * (_LINE_CHARACTERS + len("\r\n"))
    return encoded + 4 * -(-rest // 3) + len("\r\n") if rest else encoded
