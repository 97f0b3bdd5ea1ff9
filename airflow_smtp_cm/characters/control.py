"""Control characters, which addresses, headers and file names must not contain."""

from __future__ import annotations

import re

from airflow_smtp_cm.characters.invisible import is_invisible
from airflow_smtp_cm.shortening import shorten

# A line end would start a new header or command (injection); other control characters are not allowed (RFC 5322,
# section 2.2). Many programs read U+2028 and U+2029 as line ends, and a lone surrogate cannot be encoded in UTF-8.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_WHITE_SPACE = re.compile(r"[ \t\r\n]+")


def forbidden(text: str) -> str | None:
    """Return the first forbidden character in ``text``, such as ``U+000A``; None if there is none."""
    match = _FORBIDDEN.search(text)
    return match and code_point(match[0])


def on_one_line(text: str) -> str:
    """Return text on one line: line ends and tabs, with the spaces around them, become one space; none at an end."""
    return _WHITE_SPACE.sub(_blank, text)


def _blank(run: re.Match[str]) -> str:
    if run[0].isprintable():  # only spaces: they are meant
        return run[0]
    return "" if run.start() == 0 or run.end() == len(run.string) else " "


def visible(text: str, limit: int = 200) -> str:
    """Return ``text`` for an error message, with at most ``limit`` characters of it.

    Forbidden and invisible characters are replaced by their code points, such as ``<U+200B>``.
    """
    shown = shorten(text, limit)
    if shown.isascii() and shown.isprintable():  # true for most texts
        return shown
    return "".join(
        f"<{code_point(character)}>" if forbidden(character) or is_invisible(character) else character
        for character in shown
    )


def code_point(character: str) -> str:
    """Return the code point of a character, such as ``U+000A``."""
    return f"U+{ord(character):04X}"
