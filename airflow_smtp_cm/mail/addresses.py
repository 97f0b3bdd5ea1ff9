"""Addresses, and the parsing of lines of addresses as people write them (RFC 5322, section 3.4; RFC 5321)."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import idna

from airflow_smtp_cm.characters.control import code_point, forbidden, visible
from airflow_smtp_cm.characters.invisible import is_invisible, without_end, without_margins, without_start
from airflow_smtp_cm.mail.errors import InvalidAddress
from airflow_smtp_cm.problems import Problems, read_each

__all__ = ["Address", "parse_line", "parse_lines", "parse_sender"]

MAX_LOCAL_PART = 64  # bytes (RFC 5321, section 4.5.3.1.1)
MAX_ADDRESS = 254  # bytes: a path of 256 (section 4.5.3.1.3) without its angle brackets
MAX_DOMAIN = 255  # bytes (section 4.5.3.1.2)
MAX_LINE = 1024 * 1024  # characters: ten thousand recipients with long names, more than servers accept
_SHORT_LINE = 256  # characters: lines up to this length are cached
MAX_DISPLAY_NAME = 256  # characters, the limit of Active Directory

# RFC 5322, section 3.2.3, and what RFC 6531, section 3.3, adds to it.
_ATEXT = r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]|[^\x00-\x9f\s])"
# Before Python 3.11.5 (gh-106052), re matches some possessive groups that contain repetitions wrongly; Debian 12 has
# 3.11.2. Such a group is not possessive, here and in the other modules of mail.
_DOT_ATOM = re.compile(rf"{_ATEXT}++(?:\.{_ATEXT}++)*")
# People type dots in a row and at the end without quotes, and some old mailboxes have them.
_UNQUOTED = re.compile(rf"{_ATEXT}(?:{_ATEXT}|\.)*+")
# Words with one space between them.
_PLAIN_NAME = r"(?! |.*  )[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]++(?<! )"
# RFC 5321 allows letters, digits and hyphens; the underscore is allowed because Windows host names may contain it.
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
# RFC 5321, section 4.1.3; ipaddress alone accepts a zone, which may contain any character.
_LITERAL = r"\[(?:(?i:ipv6):(?P<ipv6>[0-9A-Fa-f:.]+)|(?P<ipv4>[0-9.]+))\]"

# RFC 2047, section 5, forbids them in addresses; but some servers and mail programs decode them even there, and would
# deliver to another mailbox.
_ENCODED_WORD = re.compile(r"=\?.*\?=")

QUOTED = r'"(?:[^"\\]|\\.)*+"'
COMMENT = r"\((?:[^()\\]|\\.|\((?:[^()\\]|\\.)*+\))*+\)"  # at most one nested comment
_COMMENT_IN_WORD = re.compile(r"[^@\s]\n+[^@\s]")  # with a line end, which no address contains, for each comment
_ADDR_SPEC = re.compile(rf"(?:(?P<quoted>{QUOTED})|(?P<plain>[^@\"]*))@(?P<domain>[^@]*)")
_QUOTED_PAIR = r"\\(.)"
_TOKEN = re.compile(
    rf"""
      (?P<text>[^"<>\[\]();,]++)
    | (?P<open><)
    | (?P<close>>)
    | (?P<separator>[;,])
    | (?P<quoted>{QUOTED})
    | (?P<literal>\[[^\[\]]*+\])
    | (?P<comment>{COMMENT})
    | (?P<unpaired>.)
    """,
    re.VERBOSE,
)
_WHITE_SPACE = " \t\r\n"
_Token = tuple[str, str]
_LINE_ENDS = ("U+000A", "U+000D")
# The name and address of a sender; separators before it are ignored.
_NAME_WITHOUT_QUOTES = r'(?s)[ \t\r\n;,]*+([^"<>@]++)(<.*+)'

_TOO_LONG = f'The part before the "@" is longer than {MAX_LOCAL_PART} bytes.'
_MALFORMED = 'The address "{}" is malformed. It is either missing the "@" symbol or is not valid. {}'
_QUOTE_NAME = 'A name with a comma or a semicolon must be in double quotes: "Doe, John" <john@example.com>.'


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox, validated when it is built.

    Attributes:
        display_name: the name shown to people, empty if there is none.
        local_part: the part before the "@", without quotes, in composed form (NFC; RFC 6532, section 3.1).
        domain: the part after it: a domain name in ASCII (a Unicode name is converted with IDNA 2008), or an
            address literal such as ``[192.0.2.1]``.
        addr_spec: the address in the form for MAIL, RCPT and headers: ``local-part@domain``, quoted if necessary.

    Raises:
        InvalidAddress: the domain is not valid, a part is too long (RFC 5321, section 4.5.3.1), a part contains
            control characters, or the address contains invisible characters or an encoded word.
    """

    display_name: str
    local_part: str
    domain: str
    addr_spec: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if character := forbidden(f"{self.display_name}{self.local_part}{self.domain}"):
            raise InvalidAddress(f"It holds the control character {character}.")
        object.__setattr__(self, "display_name", self.display_name.strip())
        if len(self.display_name) > MAX_DISPLAY_NAME:
            raise InvalidAddress(f"The name is longer than {MAX_DISPLAY_NAME} characters.")
        object.__setattr__(self, "domain", _ascii_domain(self.domain))
        if not self.local_part:
            raise InvalidAddress('The part before the "@" is empty.')
        if not self.local_part.isascii():
            object.__setattr__(self, "local_part", _composed(self.local_part))
        object.__setattr__(self, "addr_spec", f"{_quoted_if_needed(self.local_part)}@{self.domain}")
        encoded = self.addr_spec.encode()
        if encoded.rindex(b"@") > MAX_LOCAL_PART:
            raise InvalidAddress(_TOO_LONG)
        if len(encoded) > MAX_ADDRESS:
            raise InvalidAddress(f"It is longer than {MAX_ADDRESS} bytes.")
        if _ENCODED_WORD.search(self.local_part):
            raise InvalidAddress('The part before the "@" contains an encoded word (=?...?=): it might be decoded.')

    @property
    def mailbox(self) -> tuple[str, str]:
        """The identity of the mailbox: only the domain is case-insensitive (RFC 5321, section 2.4)."""
        return self.local_part, self.domain.lower()

    def __str__(self) -> str:
        """Return the address in a form that ``parse_line`` accepts."""
        if not self.display_name:
            return self.addr_spec
        return f"{phrase(self.display_name)} <{self.addr_spec}>"


Addresses = str | Address | Iterable[str | Address] | None


def parse_line(text: str) -> tuple[Address, ...]:
    """Parse a line of addresses, separated by semicolons or commas: ``A <a@x>; b@y, "Doe, John" <j@z>``.

    Empty items are skipped, as are white space and invisible characters around an address. Comments are ignored,
    except in a name, where people mean them as part of it (``Doe John (IT) <j@x>``); in the middle of an address they
    are an error. A name must be quoted only if it contains a separator. A part before the "@" need not be quoted for
    dots in a row or at its end.

    Raises:
        InvalidAddress: lists all invalid items, up to a hundred.
    """
    return _parse_cached(text) if len(text) <= _SHORT_LINE else _parse(text)


def _parse(text: str) -> tuple[Address, ...]:
    if len(text) > MAX_LINE:
        raise InvalidAddress(f'The address line "{visible(text)}" is longer than {MAX_LINE:,} characters.')
    addresses: list[Address] = []
    problems = Problems()
    for item in _items(text):
        try:
            addresses.append(_parse_item(item))
        except InvalidAddress as error:
            problems.append(_MALFORMED.format(visible(_source_text(item)), error))
            if problems.full:
                break
    problems.raise_as(InvalidAddress)
    return tuple(addresses)


# Messages often have the same senders and recipients.
_parse_cached = lru_cache(maxsize=1024)(_parse)


def parse_lines(lines: Addresses) -> tuple[Address, ...]:
    """Parse one or several lines of addresses, or return ``Address`` objects unchanged; None means no address.

    Raises:
        InvalidAddress: lists all invalid items, up to about a hundred.
    """
    if lines is None:
        return ()
    if isinstance(lines, str | Address):
        return _one_line(lines)
    return read_each(_one_line, lines, InvalidAddress)


def parse_sender(text: str) -> Address:
    """Parse a line with one address, in whose name separators need no quotes: ``Doe, John <j@x>``.

    This is the form of names in Active Directory, and System.Net.Mail reads it so, too.

    Raises:
        InvalidAddress: the line has no address, an invalid one, or several.
    """
    if "<" in text and (match := re.fullmatch(_NAME_WITHOUT_QUOTES, text)):
        name, address = match.groups()
        text = f"{phrase(without_start(name).rstrip(_WHITE_SPACE))} {address}"
    addresses = parse_line(text)
    if not addresses:
        raise InvalidAddress("No sender is specified.")
    if len(addresses) > 1:
        raise InvalidAddress(f"{len(addresses)} senders are specified; a message has one.")
    return addresses[0]


def _one_line(line: str | Address) -> tuple[Address, ...]:
    return (line,) if isinstance(line, Address) else parse_line(line)


def phrase(name: str) -> str:
    """Return a display name as a phrase of RFC 5322: in double quotes unless it consists of plain words."""
    return name if re.fullmatch(_PLAIN_NAME, name) else _quote(name)


def _items(line: str) -> Iterator[list[_Token]]:
    """Split a line at separators outside quotes, comments, literals and angle brackets."""
    item: list[_Token] = []
    in_angle = False
    for match in _TOKEN.finditer(line):
        kind = str(match.lastgroup)
        if kind == "unpaired":  # the rest cannot be split: it is one invalid item
            yield _trimmed([*item, (kind, line[match.start() :])])
            return
        in_angle = kind == "open" or (in_angle and kind != "close")
        if kind != "separator" or in_angle:
            item.append((kind, match[0]))
            continue
        if _source_text(item := _trimmed(item)):
            yield item
        item = []
    if _source_text(item := _trimmed(item)):
        yield item


def _trimmed(item: list[_Token]) -> list[_Token]:
    """Remove white space and invisible characters at the ends; they are not divided between tokens."""
    if item:
        kind, text = item[0]
        item[0] = kind, without_start(text)
        kind, text = item[-1]
        item[-1] = kind, without_end(text)
    return item


def _parse_item(item: list[_Token]) -> Address:
    name, spec, rest = _divided(item)
    if character := forbidden(_source_text([*name, *spec, *rest])):
        advice = " Separate addresses by semicolons, not by line ends." if character in _LINE_ENDS else ""
        raise InvalidAddress(f"It holds the control character {character}.{advice}")
    kind, text = item[-1]
    if kind == "unpaired":
        raise InvalidAddress(f"The {text[0]} is not closed or not opened.")
    if spec and spec[0][0] == "open":
        raise InvalidAddress("The < is not closed.")
    if _without_comments(rest):
        raise InvalidAddress("There is text after the >; separate addresses by semicolons.")
    return _mailbox(_display_name(name), spec)


def _divided(item: list[_Token]) -> tuple[list[_Token], list[_Token], list[_Token]]:
    """Return the name, the address without its angle brackets (if both are there), and what follows them."""
    kinds = [kind for kind, _ in item]
    if "open" not in kinds:
        return [], item, []
    start = kinds.index("open")
    name = _trimmed(item[:start])
    if "close" not in kinds[start:]:
        return name, item[start:], []
    end = kinds.index("close", start)
    return name, _trimmed(item[start + 1 : end]), _trimmed(item[end + 1 :])


def _display_name(tokens: list[_Token]) -> str:
    return "".join(unquote(text) if kind == "quoted" else text for kind, text in tokens)


def _source_text(tokens: list[_Token]) -> str:
    return "".join([text for _, text in tokens])


def _without_comments(tokens: list[_Token]) -> str:
    return without_margins("".join([text for kind, text in tokens if kind != "comment"]))


def _with_comments_marked(tokens: list[_Token]) -> str:
    return without_margins("".join(["\n" if kind == "comment" else text for kind, text in tokens]))


def _mailbox(display_name: str, tokens: list[_Token]) -> Address:
    spec = _without_comments(tokens)
    if "@" not in spec:
        raise InvalidAddress(_QUOTE_NAME)
    match = _ADDR_SPEC.fullmatch(spec)
    if match is None:
        raise InvalidAddress("It is not of the form name@domain; separate addresses by semicolons.")
    plain = match["plain"]
    address = Address(display_name, unquote(match["quoted"]) if plain is None else plain, match["domain"])
    if len(tokens) > 1 and _COMMENT_IN_WORD.search(_with_comments_marked(tokens)):
        raise InvalidAddress("A comment, in brackets, can only be before it, after it or next to the @.")
    if plain and not _UNQUOTED.fullmatch(plain):  # last: quotes are of no use for an invisible character
        raise InvalidAddress(f'"{visible(plain)}" must be in double quotes before the "@".')
    return address


def _composed(local_part: str) -> str:
    if len(local_part) > 2 * MAX_LOCAL_PART:  # composition makes no text so much shorter
        raise InvalidAddress(_TOO_LONG)
    _reject_invisible(local_part)
    return unicodedata.normalize("NFC", local_part)


def _reject_invisible(text: str) -> None:
    for position, character in enumerate(text):
        if is_invisible(character) and not _joins_letters(text, position):
            name = f"{code_point(character)} {unicodedata.name(character, '')}".rstrip()
            raise InvalidAddress(f"It holds the invisible character {name}. Remove it, or type the address again.")


def _joins_letters(text: str, position: int) -> bool:
    """Return whether a zero-width joiner or non-joiner is where its script needs it (RFC 5892, appendix A)."""
    try:
        return idna.valid_contextj(text, position)
    except ValueError:  # the character before it is not assigned
        return False


@lru_cache(maxsize=1024)  # converting a Unicode name takes 50 microseconds, and most recipients share a few domains
def _ascii_domain(domain: str) -> str:
    if domain.startswith("[") and (literal := re.fullmatch(_LITERAL, domain)):
        return _valid_literal(literal)
    if len(domain) > MAX_DOMAIN:
        raise InvalidAddress(f"The domain is longer than {MAX_DOMAIN} bytes.")
    name = domain if domain.isascii() else _idna_domain(domain)
    if not all(map(_LABEL.fullmatch, name.split("."))):
        raise InvalidAddress(f'The domain "{visible(domain)}" is not valid.')
    return name


def _idna_domain(domain: str) -> str:
    _reject_invisible(domain)  # the conversion would remove most of these characters
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise InvalidAddress(f'The domain "{visible(domain)}" cannot be converted (IDNA 2008): {error}.') from error


def _valid_literal(literal: re.Match[str]) -> str:
    try:
        if literal["ipv6"]:
            ipaddress.IPv6Address(literal["ipv6"])
        else:
            ipaddress.IPv4Address(literal["ipv4"])
    except ValueError as error:
        raise InvalidAddress(f'"{visible(literal[0])}" is not an address literal: {error}.') from error
    return literal[0]


def _quoted_if_needed(local_part: str) -> str:
    return local_part if _DOT_ATOM.fullmatch(local_part) else _quote(local_part)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'


def unquote(quoted: str) -> str:
    """Return the text between the quotes of a quoted string, or the brackets of a comment."""
    return re.sub(_QUOTED_PAIR, r"\1", quoted[1:-1])
