"""Removes passwords from packages while they are read: no code after the reader has them."""

from __future__ import annotations

import re

#: Replaces a secret: Airflow's own mask.
MASK = "***"

# Keys of connection strings (OLE DB, ODBC, ADO.NET, FTP, Azure) and names of variables, parameters and properties.
_SECRET_WORD = r"pass\s?word|passwd|pwd|pass\s?phrase|secret|account\s?key|access\s?key|api\s?key|access\s?token"  # noqa: S105
_SECRET_NAME = re.compile(_SECRET_WORD, re.IGNORECASE)
_KEY = re.compile(rf"(?:{_SECRET_WORD})\w{{0,16}}\s{{0,8}}=\s{{0,8}}", re.IGNORECASE)
# A value in quotes (a quote within is doubled, or escaped by a backslash in expressions); else up to the next key,
# but not beyond the end of the line, since the text may be a mail.
_VALUE = re.compile(r"""\\?"(?:[^"\\]|""|\\[^"])*(?:\\?"|$)|'(?:[^']|'')*(?:'|$)|\{[^}]*(?:\}|$)|[^;\r\n]*""")
_USER_INFO = re.compile(r"(?<=://)([^/:@\s]+):[^/@\s]+(?=@)")
# A string of the expression language, or a truncated one.
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)("|\\?$)', re.DOTALL)


class Secrets:
    """Removes the secrets of one file, and records their places."""

    def __init__(self) -> None:
        self._places: dict[str, None] = {}

    @property
    def places(self) -> tuple[str, ...]:
        """The places that contained a secret, in the order of the file, each once."""
        return tuple(self._places)

    def note(self, place: str) -> None:
        """Record the place of a secret that was not read."""
        self._places[place] = None

    def text(self, text: str, place: str) -> str:
        """Return a text without the passwords of its connection strings and URLs."""
        return self._recorded(_masked(text)[0], text, place)

    def expression(self, expression: str, place: str) -> str:
        """Return an expression without passwords in its strings; a connection string may span several of them."""
        within = False

        def literal(match: re.Match[str]) -> str:
            nonlocal within
            content, within = _masked(match[1], within=within)
            return f'"{content}{match[2]}'

        return self._recorded(_LITERAL.sub(literal, expression), expression, place)

    def named(self, name: str, value: str | None, place: str) -> str | None:
        """Return the value of a variable, parameter or property; None if its name is that of a secret."""
        if not value:
            return value
        if _SECRET_NAME.search(name):
            self.note(place)
            return None
        return self.text(value, place)

    def named_expression(self, name: str, expression: str, place: str) -> str:
        """Return the expression of a variable, parameter or property; mask its strings if the name is a secret's."""
        if not _SECRET_NAME.search(name):
            return self.expression(expression, place)
        return self._recorded(
            _LITERAL.sub(lambda match: f'"{MASK if match[1] else ""}"', expression), expression, place
        )

    def _recorded(self, result: str, original: str, place: str) -> str:
        if result != original:
            self.note(place)
        return result


def _masked(text: str, *, within: bool = False) -> tuple[str, bool]:
    """Mask the values of secret keys.

    Args:
        text: a connection string, a part of one, or any text.
        within: whether the text begins within such a value.

    Returns:
        The text, and whether it ends within such a value.
    """
    if not within and "=" not in text and "://" not in text:
        return text, False
    pieces = []
    position = 0
    if within:
        position = _end_of_value(text, 0)
        pieces.append(MASK if position else "")
        within = position == len(text)
    while match := _KEY.search(text, position):
        end = _end_of_value(text, match.end())
        pieces += text[position : match.end()], MASK if end > match.end() else ""
        position = end
        within = end == len(text)
    pieces.append(text[position:])
    return _USER_INFO.sub(rf"\1:{MASK}", "".join(pieces)), within


def _end_of_value(text: str, start: int) -> int:
    match = _VALUE.match(text, start)
    return match.end() if match else start
