"""The extensions in the reply to EHLO (RFC 5321, section 4.1.1.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

    from airflow_smtp_cm.smtp.reply import Reply

_UNUSUAL_AUTH = ("AUTH=", "X-EXPS=")  # an old spelling, for clients older than RFC 2554
_SIZE_DIGITS = 20  # RFC 1870, section 3


class Extensions:
    """The extensions a server offers.

    Attributes:
        keywords: each keyword in upper case with its parameters as the server wrote them.
        mechanisms: SASL mechanisms in the server's order, upper case (RFC 4954).
    """

    __slots__ = ("keywords", "mechanisms")

    def __init__(self, keywords: dict[str, str], mechanisms: tuple[str, ...]) -> None:
        self.keywords = keywords
        self.mechanisms = mechanisms

    def __repr__(self) -> str:
        return f"Extensions(keywords={self.keywords!r}, mechanisms={self.mechanisms!r})"

    @classmethod
    def from_ehlo(cls, reply: Reply) -> Self:
        """Parse the reply to EHLO; its first line is the server's greeting."""
        keywords: dict[str, str] = {}
        mechanisms: dict[str, None] = {}
        for line in reply.lines[1:]:
            keyword, _, parameters = line.strip().partition(" ")
            keyword = keyword.upper()
            if keyword.startswith(_UNUSUAL_AUTH):
                keyword, _, first = keyword.partition("=")
                parameters = f"{first} {parameters}"
            if keyword == "AUTH":
                mechanisms.update(dict.fromkeys(parameters.upper().split()))
            else:  # X-EXPS has the mechanisms for other Exchange servers, some of which AUTH does not accept
                keywords.setdefault(keyword, parameters.strip())
        return cls(keywords, tuple(mechanisms))

    @classmethod
    def none(cls) -> Self:
        """Return the extensions of a server that supports only HELO: none."""
        return cls({}, ())

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    def masked(self, keyword: str) -> tuple[str, ...]:
        """Return the masks that a keyword may be behind, such as ``XXXXXXXA``.

        Firewalls that inspect ESMTP replace the keywords that they do not know by X's and a letter, in their length.
        """
        mask = re.compile(f"X{{{len(keyword) - 1}}}[A-Z]")
        return tuple(filter(mask.fullmatch, self.keywords))

    @property
    def size_limit(self) -> int | None:
        """The maximum message size in bytes (RFC 1870); None if the server announces no limit."""
        limit = self.keywords.get("SIZE", "")
        valid = limit.isascii() and limit.isdigit() and len(limit) <= _SIZE_DIGITS
        return int(limit) or None if valid else None
