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

MAX_LINE = 998  # octets, without CRLF (RFC 5322, section 2.1.1)
MAX_NAME = 76  # octets of a header's name: what goes on one line with its colon
# Octets of a text in UTF-8: encoded, it stays below the 102,400 octets after which Postfix cuts a field off.
MAX_TEXT = 32 * 1024

_LINE = 78  # what lines should keep to (RFC 5322, section 2.1.1)
_LONGEST_WORD = MAX_LINE - MAX_NAME - len(": ")  # what surely fits, unbroken, even on the first line

_UTF8 = Charset("utf-8")
_OCTETS_A_WORD = 39  # makes 64 characters in base64, so that "Reply-To: " and a word keep to 76 (RFC 2047, section 2)
_LONGEST_PHRASE = 60  # characters of a name that are worth leaving as they are; a phrase is one word when folding
_CHARACTERS_A_PARAMETER = 75  # of a file name: they take 12 octets each at the most (RFC 2231)
# Can stand between double quotes as it is; a semicolon could too, but is taken for the end by careless readers.
_PLAIN_FILE_NAME = re.compile(r"[ !#-:<-\[\]-~]{1,255}")
_SINGLE_SPACE = re.compile(r"(?<! ) (?! )")  # to break a line elsewhere would make one of white space only


def text_field(name: str, text: str) -> str:
    """Write a header field whose value is text for people, or somebody's own, such as Subject.

    ASCII stays as it is, unless it would not come back the same: then, and for all other text, encoded words.
    """
    return _fold(name, _words(text))


def address_field(name: str, addresses: Iterable[Address]) -> str:
    """Write From, To, Cc or Reply-To. Names are in ASCII; a local part is in UTF-8 if it must be (RFC 6532)."""
    *others, last = [_mailbox(address) for address in addresses]
    words = [word for mailbox in others for word in (*mailbox[:-1], f"{mailbox[-1]},")]
    return _fold(name, [*words, *last])


def date_field(date: datetime) -> str:
    """Write Date, with the offset from UTC."""
    return _date_field(date.replace(microsecond=0))


@lru_cache(maxsize=16)  # thousands of messages may be written within the same second
def _date_field(date: datetime) -> str:
    return f"Date: {format_datetime(date)}\r\n"


def content_type_field(media_type: str, *parameters: str) -> str:
    """Write Content-Type, with each parameter on a line of its own."""
    return ";\r\n ".join([f"Content-Type: {media_type}", *parameters]) + "\r\n"


def attachment_fields(media_type: str, file_name: str) -> str:
    """Write Content-Type and Content-Disposition of an attachment.

    The name stands in both: as RFC 2231 wants it in Content-Disposition, and with encoded words in Content-Type, for
    clients that know nothing else. Long names are divided only where one line cannot hold them, as not every client
    puts them together again.
    """
    if _PLAIN_FILE_NAME.fullmatch(file_name) and "=?" not in file_name:
        name, file_names = file_name, [f'filename="{file_name}"']
    else:
        name, file_names = "\r\n ".join(_encoded_words(file_name)), _file_name_parameters(file_name)
    disposition = ";\r\n ".join(["Content-Disposition: attachment", *file_names])
    return content_type_field(media_type, f'name="{name}"') + f"{disposition}\r\n"


def _file_name_parameters(file_name: str) -> list[str]:
    pieces = [
        quote(file_name[start : start + _CHARACTERS_A_PARAMETER], safe="")
        for start in range(0, len(file_name), _CHARACTERS_A_PARAMETER)
    ]
    if len(pieces) == 1:
        return [f"filename*=utf-8''{pieces[0]}"]
    pieces[0] = f"utf-8''{pieces[0]}"
    return [f"filename*{number}*={piece}" for number, piece in enumerate(pieces)]


def _mailbox(address: Address) -> list[str]:
    name = address.display_name
    if not name:
        return [address.addr_spec]
    plain = name.isascii() and len(name) <= _LONGEST_PHRASE and "=?" not in name
    return [*((phrase(name),) if plain else _encoded_words(name)), f"<{address.addr_spec}>"]


def _words(text: str) -> Sequence[str]:
    if text.isascii() and text == text.strip() and "?=" not in text.partition("=?")[2]:
        words = _SINGLE_SPACE.split(text)
        if max(map(len, words)) <= _LONGEST_WORD:
            return words
    return _encoded_words(text)


@lru_cache(maxsize=256)  # names of senders and readers, and the subject of a message to many
def _encoded_words(text: str) -> tuple[str, ...]:
    """Encode the whole text (RFC 2047), never dividing a character between two words."""
    words: list[str] = []
    octets = text.encode()
    start = 0
    while start < len(octets):
        piece = octets[start : start + _OCTETS_A_WORD].decode(errors="ignore")  # leaves half a character for the next
        words.append(_UTF8.header_encode(piece))
        start += len(piece.encode())
    return tuple(words)


def _fold(name: str, words: Iterable[str]) -> str:
    """Put words on lines, with single spaces between them.

    The first word always stays beside the name: readers disagree about a first line that holds nothing else.
    """
    lines: list[str] = []
    line = f"{name}:"
    for count, word in enumerate(words):
        if count and len(line) + 1 + len(word) > _LINE:
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line, ""])
