"""One reply of the server (RFC 5321, section 4.2; RFC 2034; RFC 3463)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_smtp_cm.shortening import shorten
from airflow_smtp_cm.smtp.trace import REDACTED

__all__ = ["Reply"]

CONTINUE = 334  # a challenge during AUTH

_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?=\s|$)")
_LONGEST_WORD = 30
_LONGEST_TEXT = 100
_LOGIN = r"[A-Za-z0-9+/]{40,}=*"  # a login token: the shortest token, the first of NTLM, is longer


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """One complete reply of the server.

    Attributes:
        code: the reply code, 200 to 599.
        lines: the text of each line, without the code, at least one; control characters are replaced by U+FFFD.
        secret: whether the text is a login token, which must not be shown.
    """

    code: int
    lines: tuple[str, ...]
    secret: bool = False

    @property
    def enhanced_code(self) -> str | None:
        """The enhanced status code such as ``5.7.1``, if the text begins with one of the reply's own class."""
        match = _ENHANCED.match(self.lines[0])
        return match[0] if match and int(match[1]) == self.code // 100 else None

    @property
    def text(self) -> str:
        """All lines, joined by single spaces."""
        return " ".join(self.lines)

    @property
    def positive(self) -> bool:
        """Whether the command was carried out (2xx)."""
        return self.code // 100 == 2  # noqa: PLR2004

    @property
    def transient(self) -> bool:
        """Whether the same command may succeed later (4xx)."""
        return self.code // 100 == 4  # noqa: PLR2004

    def without_tokens(self) -> Reply:
        """Return the reply without login tokens: some servers repeat a line that they did not understand."""
        return Reply(self.code, tuple(re.sub(_LOGIN, REDACTED, line) for line in self.lines))

    def __str__(self) -> str:
        """Return code and text, without secrets."""
        return f"{self.code} {REDACTED if self.secret else self.text}".rstrip()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


def words(text: str) -> str | None:
    """Return the text of a challenge in quotes if it consists of words; None if it may contain a token."""
    if not text.strip() or not text.isprintable() or "\ufffd" in text or max(map(len, text.split())) > _LONGEST_WORD:
        return None
    return f'"{shorten(text, _LONGEST_TEXT)}"'
