"""Invisible characters, which people copy from mails, web pages and spreadsheets together with an address.

In an address they are not meant, and no program shows them: with SMTPUTF8, the message would be sent to a mailbox
that does not exist. So they are removed at the ends of an address, together with the white space, and inside an
address they are an error. Names and subjects may contain them: there, they join emoji, and letters of Persian and
Indic words.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING
from unicodedata import category

if TYPE_CHECKING:
    from collections.abc import Iterable

_WHITE_SPACE = " \t\r\n"
# Cf, format controls: zero-width characters, byte order mark, marks of direction, soft hyphen, tags.
# Zs, spaces: no reader can tell a no-break space from U+0020.
# Control characters (Cc), line separators (Zl, Zp) and surrogates (Cs) are not allowed anywhere: see ``control``.
_INVISIBLE = ("Cf", "Zs")
# Variation selectors, fillers, the grapheme joiner, and code points that are reserved for more of them. Their
# categories (Mn, Lo, Cn) have visible characters, too, so they are listed (Unicode, Default_Ignorable_Code_Point).
# RFC 8264, section 9.13, excludes them from user names.
_DISPLAYED_AS_NOTHING = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)


def is_invisible(character: str) -> bool:
    """Return whether a character is invisible; the space of ASCII is not."""
    return not character.isascii() and (
        category(character) in _INVISIBLE or _DISPLAYED_AS_NOTHING.match(character) is not None
    )


def without_margins(text: str) -> str:
    """Return text without white space (spaces, tabs, CR, LF) and invisible characters at its ends."""
    return without_end(without_start(text))


def without_start(text: str) -> str:
    """Return text without white space and invisible characters at its start."""
    return text.lstrip(_WHITE_SPACE) if text.isascii() else text[_margin(text) :]


def without_end(text: str) -> str:
    """Return text without white space and invisible characters at its end."""
    return text.rstrip(_WHITE_SPACE) if text.isascii() else text[: len(text) - _margin(reversed(text))]


def _margin(characters: Iterable[str]) -> int:
    return sum(1 for _ in takewhile(_is_margin, characters))


def _is_margin(character: str) -> bool:
    return character in _WHITE_SPACE or is_invisible(character)
