"""Header fields: names, addresses and text in ASCII, folded (RFC 5322, RFC 2047, RFC 2231)."""

from __future__ import annotations

import re
from email.charset import Charset
from email.utils import format_datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_smtp_cm.mail.addresses import phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from airflow_smtp_cm.mail.addresses import Address

MAX_LINE = 998  # bytes, without CRLF (RFC 5322, section 2.1.1)
MAX_NAME = 76  # bytes of the name of a header, so that it fits on one line with its colon
# Bytes of a text in UTF-8: encoded, it is shorter than 102,400 bytes, where Postfix truncates a field.
MAX_TEXT = 32 * 1024

_LINE = 78  # the recommended line length (RFC 5322, section 2.1.1)
_LONGEST_WORD = MAX_LINE - MAX_NAME - len(": ")  # fits even on the first line

_UTF8 = Charset("utf-8")
_BYTES_PER_WORD = 39  # 64 characters with encoding, so that "Reply-To: " and a word fit into 76 (RFC 2047, section 2)
_LONGEST_PHRASE = 60  # characters; a longer name is encoded, since a phrase is not folded
_CHARACTERS_PER_PARAMETER = 75  # of a file name: each takes at most 12 bytes (RFC 2231)
# Valid in double quotes. A semicolon is valid, too, but some mail programs read it as the end of the name.
_PLAIN_FILE_NAME = r"[ !#-:<-\[\]-~]{1,255}"
_SINGLE_SPACE = r"(?<! ) (?! )"  # a break elsewhere could result in a line of white space only


def text_field(name: str, text: str) -> str:
    """Return a header field with unstructured text, such as Subject.

    ASCII text is written unchanged if it can be read back unchanged; other text is written in encoded words.
    """
    return fold(name, _words(text))


def address_field(name: str, addresses: Iterable[Address]) -> str:
    """Return From, To, Cc or Reply-To. Names are encoded in ASCII; a local part may be in UTF-8 (RFC 6532)."""
    *others, last = [_mailbox(address) for address in addresses]
    words = [word for mailbox in others for word in (*mailbox[:-1], f"{mailbox[-1]},")]
    return fold(name, [*words, *last])


def date_field(date: datetime) -> str:
    """Return Date, with the offset from UTC."""
    return _date_field(date.replace(microsecond=0))


@lru_cache(maxsize=16)  # thousands of messages may be built within one second
def _date_field(date: datetime) -> str:
    return f"Date: {format_datetime(date)}\r\n"


def content_type_field(media_type: str, *parameters: str) -> str:
    """Return Content-Type, with each parameter on its own line."""
    return ";\r\n ".join([f"Content-Type: {media_type}", *parameters]) + "\r\n"


def attachment_fields(media_type: str, file_name: str, content_id: str | None = None) -> str:
    """Return Content-Type and Content-Disposition of an attachment; with a Content-ID, it is inline (RFC 2183).

    Both contain the name: Content-Disposition as RFC 2231 requires, Content-Type in encoded words, for mail programs
    that support nothing else. A name is divided only if it does not fit on one line, since some mail programs do not
    join the parts.
    """
    if re.fullmatch(_PLAIN_FILE_NAME, file_name) and "=?" not in file_name:
        name, file_names = file_name, [f'filename="{file_name}"']
    else:
        name, file_names = "\r\n ".join(encoded_words(file_name)), _file_name_parameters(file_name)
    kind = "attachment" if content_id is None else "inline"
    disposition = ";\r\n ".join([f"Content-Disposition: {kind}", *file_names])
    identifier = "" if content_id is None else f"Content-ID: <{content_id}>\r\n"
    return content_type_field(media_type, f'name="{name}"') + f"{disposition}\r\n{identifier}"


def _file_name_parameters(file_name: str) -> list[str]:
    pieces = [
        quote(file_name[start : start + _CHARACTERS_PER_PARAMETER], safe="")
        for start in range(0, len(file_name), _CHARACTERS_PER_PARAMETER)
    ]
    if len(pieces) == 1:
        return [f"filename*=utf-8''{pieces[0]}"]
    pieces[0] = f"utf-8''{pieces[0]}"
    return [f"filename*{number}*={piece}" for number, piece in enumerate(pieces)]


def phrase_words(name: str) -> Sequence[str]:
    """Return the words of a name: a phrase in ASCII, or encoded words (RFC 2047, section 5 (3))."""
    plain = name.isascii() and len(name) <= _LONGEST_PHRASE and "=?" not in name
    return (phrase(name),) if plain else encoded_words(name)


def _mailbox(address: Address) -> list[str]:
    name = address.display_name
    return [*(phrase_words(name) if name else ()), f"<{address.addr_spec}>" if name else address.addr_spec]


def _words(text: str) -> Sequence[str]:
    if text.isascii() and text == text.strip() and "?=" not in text.partition("=?")[2]:
        words = re.split(_SINGLE_SPACE, text) if "  " in text else text.split(" ")
        if max(map(len, words)) <= _LONGEST_WORD:
            return words
    return encoded_words(text)


@lru_cache(maxsize=256)  # names of senders and recipients, and subjects, are often the same
def encoded_words(text: str) -> tuple[str, ...]:
    """Encode text in encoded words (RFC 2047); a character is never divided between two words."""
    words: list[str] = []
    data = text.encode()
    start = 0
    while start < len(data):
        # An incomplete character at the end goes into the next word.
        piece = data[start : start + _BYTES_PER_WORD].decode(errors="ignore")
        words.append(_UTF8.header_encode(piece))
        start += len(piece.encode())
    return tuple(words)


def fold(name: str, words: Iterable[str]) -> str:
    """Fold words into lines, with single spaces between them.

    The first word is always on the line of the name: mail programs differ in reading a first line without a value.
    """
    lines: list[str] = []
    line = f"{name}:"
    for count, word in enumerate(words):
        if count and len(line) + 1 + len(word) > _LINE:
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line, ""])
