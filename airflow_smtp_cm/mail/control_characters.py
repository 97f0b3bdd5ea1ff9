"""Control characters, which addresses, headers and file names must not contain."""

from __future__ import annotations

import re

from airflow_smtp_cm.shortening import shorten

# A line end would start a new header or command (injection); other control characters are not allowed (RFC 5322,
# section 2.2). Many programs read U+2028 and U+2029 as line ends, and a lone surrogate cannot be encoded in UTF-8.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def forbidden(text: str) -> str | None:
    """Return the first forbidden character in ``text``, such as ``U+000A``; None if there is none."""
    match = _FORBIDDEN.search(text)
    return match and _name(match)


def visible(text: str, limit: int = 200) -> str:
    """Return ``text`` for an error message: forbidden characters by code point, at most ``limit`` characters."""
    return _FORBIDDEN.sub(lambda match: f"<{_name(match)}>", shorten(text, limit))


def _name(match: re.Match[str]) -> str:
    return f"U+{ord(match[0]):04X}"
