"""Characters that no address, header or file name may hold."""

from __future__ import annotations

import re

from airflow_smtp_cm.shortening import shorten

# A line end of any kind would start a header, or a command, of its own; other controls are never meant (RFC 5322,
# section 2.2). U+2028 and U+2029 are line ends to many programs, and a lone surrogate has no octets at all.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def forbidden(text: str) -> str | None:
    """Name the first character in ``text`` that no header may hold, such as ``U+000A``; None if there is none."""
    match = _FORBIDDEN.search(text)
    return match and _name(match)


def visible(text: str, limit: int = 200) -> str:
    """Show what somebody wrote, for an error message: forbidden characters by their names, at most ``limit``."""
    return _FORBIDDEN.sub(lambda match: f"<{_name(match)}>", shorten(text, limit))


def _name(match: re.Match[str]) -> str:
    return f"U+{ord(match[0]):04X}"
