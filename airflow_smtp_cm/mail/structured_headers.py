"""Additional header fields; those with a structure are written by its rules (RFC 5322, RFC 2369, RFC 2919).

In a structured field, encoded words may replace the words of a name or comment, and nothing else: no address, no URL,
no identifier, and no token (RFC 2047, section 5). All other fields are text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_smtp_cm.characters.control import visible
from airflow_smtp_cm.mail.addresses import COMMENT, QUOTED, parse_line, unquote
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.mail.headers import MAX_LINE, address_field, encoded_words, fold, phrase_words, text_field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_smtp_cm.mail.addresses import Address

# Requests for receipts (RFC 8098 and its predecessors), other senders and recipients (RFC 5322, section 3.6.6;
# RFC 9057; RFC 5703), addresses for errors and replies.
_ADDRESSES = (
    "author",
    "disposition-notification-to",
    "errors-to",
    "mail-followup-to",
    "mail-reply-to",
    "original-from",
    "resent-bcc",
    "resent-cc",
    "resent-from",
    "resent-reply-to",
    "resent-sender",
    "resent-to",
    "return-receipt-to",
    "x-confirm-reading-to",
)
# RFC 2369; RFC 5064.
_URLS = (
    "archived-at",
    "list-archive",
    "list-help",
    "list-owner",
    "list-post",
    "list-subscribe",
    "list-unsubscribe",
)
# Identifiers of messages (RFC 5322, section 3.6.4), dates and tokens.
_ASCII = (
    "accept-language",
    "auto-submitted",  # RFC 3834
    "deferred-delivery",
    "disposition-notification-options",  # RFC 8098
    "expires",
    "expiry-date",
    "in-reply-to",
    "list-unsubscribe-post",  # RFC 8058
    "message-context",  # RFC 3458
    "mt-priority",  # RFC 6710
    "original-message-id",
    "original-recipient",  # RFC 8098
    "precedence",
    "references",
    "reply-by",
    "require-recipient-valid-since",  # RFC 7293
    "resent-date",
    "resent-message-id",
    "return-path",
    "sensitivity",
    "supersedes",
    "thread-index",  # of Outlook and Exchange, in base64
    "tls-required",  # RFC 8689
    "x-auto-response-suppress",
)

# Few messages have such headers, so ``re`` compiles the patterns when they are used.
_URL = r"<[A-Za-z][A-Za-z0-9+.-]*:[!-;=?-~]+>"
_NO_POSTING = "NO"  # RFC 2369, section 3.4
_TOKEN = rf"(?P<url><[^<>]*+>)|(?P<comment>{COMMENT})|(?P<separator>,)|\s++|(?P<text>[^<(,\s]++|.)"
_URL_LIST = r"c*uc*(?:sc*uc*)*"  # the first letters of the kinds of tokens
_LIST_ID = rf"\s*(?P<name>{QUOTED}|[^\"<>]*+)\s*<(?P<id>[!-;=?-~]+)>\s*"
_PHRASE = rf"(?:{QUOTED}|[^,\"])+|\""


def own_field(name: str, value: str) -> str:
    """Return an additional header field.

    Raises:
        InvalidMessage: the value does not have the structure of a field of this name, or it cannot be folded into
            lines of 998 bytes.
    """
    write = _WRITERS.get(name.lower())
    if write is None:
        return text_field(name, value)
    if not value.strip():
        raise InvalidMessage("It is empty.")
    written = write(name, value)
    if longest := next((line for line in written.split("\r\n") if len(line.encode()) > MAX_LINE), None):
        raise InvalidMessage(f'"{visible(longest)}" is longer than {MAX_LINE} bytes, and cannot be folded.')
    return written


def is_structured(name: str) -> bool:
    """Return whether a header field of this name has a structure."""
    return name.lower() in _WRITERS


def addresses_in(name: str, value: str) -> Sequence[Address]:
    """Return the addresses in a header field."""
    return parse_line(value) if name.lower() in _ADDRESSES else ()


def _address_field(name: str, value: str) -> str:
    addresses = parse_line(value)
    if not addresses:
        raise InvalidMessage("It contains no address.")
    return address_field(name, addresses)


def _url_field(name: str, value: str) -> str:
    tokens = [(str(match.lastgroup), match[0]) for match in re.finditer(_TOKEN, value) if match.lastgroup]
    significant = [text for kind, text in tokens if kind != "comment"]
    may_be_no = name.lower() == "list-post" and significant == [_NO_POSTING]
    if not may_be_no and not re.fullmatch(_URL_LIST, "".join(kind[0] for kind, _ in tokens)):
        raise InvalidMessage(
            f'"{visible(value)}" is not a list of URLs in angle brackets, separated by commas, such as '
            "<https://example.com/leave>, <mailto:leave@example.com>."
        )
    words: list[str] = []
    for kind, text in tokens:
        if kind == "separator":
            words[-1] += text
        elif kind == "comment":
            words += _comment_words(text)
        elif kind == "url" and not re.fullmatch(_URL, text):
            raise InvalidMessage(
                f'"{visible(text)}" is not a URL. It needs a scheme, such as https: or mailto:, and its characters '
                "must be visible ASCII: others are percent-encoded."
            )
        else:
            words.append(text)  # not divided: white space in a URL would change it (RFC 2369, section 2)
    return fold(name, words)


def _comment_words(comment: str) -> Sequence[str]:
    """Return the words of a comment, which may be encoded words (RFC 2047, section 5 (2))."""
    if comment.isascii():
        return comment.split()
    first, *others = encoded_words(unquote(comment))
    *others, last = (f"({first}", *others)
    return [*others, f"{last})"]


def _list_id_field(name: str, value: str) -> str:
    match = re.fullmatch(_LIST_ID, value)
    if match is None:
        raise InvalidMessage(f'"{visible(value)}" is not of the form Name <list.example.com>.')
    title = _unquoted(match["name"].strip())
    return fold(name, [*(phrase_words(title) if title else ()), f"<{match['id']}>"])


def _phrases_field(name: str, value: str) -> str:
    phrases = [phrase for phrase in map(str.strip, re.findall(_PHRASE, value)) if phrase]
    if '"' in phrases:
        raise InvalidMessage('The " is not closed.')
    if not phrases:
        raise InvalidMessage("It contains no phrase.")
    words: list[str] = []
    for phrase in phrases:
        if words:
            words.append(",")  # a word of its own: an encoded word must be followed by a space
        words += phrase.split() if phrase.isascii() else encoded_words(_unquoted(phrase))
    return fold(name, words)


def _unquoted(phrase: str) -> str:
    return unquote(phrase) if phrase.startswith('"') else phrase


def _ascii_field(name: str, value: str) -> str:
    if not value.isascii():
        raise InvalidMessage(f'"{visible(value)}" has characters that are not ASCII. This header is not a text.')
    return fold(name, value.split())


_WRITERS: dict[str, Callable[[str, str], str]] = {
    **dict.fromkeys(_ADDRESSES, _address_field),
    **dict.fromkeys(_URLS, _url_field),
    **dict.fromkeys(_ASCII, _ascii_field),
    "keywords": _phrases_field,  # RFC 5322, section 3.6.5
    "list-id": _list_id_field,  # RFC 2919
}
