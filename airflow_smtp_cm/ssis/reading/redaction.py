"""Passwords that stand in packages are taken out as they are read: nothing after the reader ever has one."""

from __future__ import annotations

import re

#: What stands in a secret's place: Airflow's own mask.
MASK = "***"

# Keys of connection strings (OLE DB, ODBC, ADO.NET, FTP, Azure) and names of variables, parameters and properties.
_SECRET_WORD = r"pass\s?word|passwd|pwd|pass\s?phrase|secret|account\s?key|access\s?key|api\s?key|access\s?token"  # noqa: S105
_SECRET_NAME = re.compile(_SECRET_WORD, re.IGNORECASE)
_KEY = re.compile(rf"(?:{_SECRET_WORD})\w{{0,16}}\s{{0,8}}=\s{{0,8}}", re.IGNORECASE)
# A value in quotes (doubled within, or behind a backslash in expressions), else up to the next key, but never beyond
# the line: it may stand in the middle of a mail.
_VALUE = re.compile(r"""\\?"(?:[^"\\]|""|\\[^"])*(?:\\?"|$)|'(?:[^']|'')*(?:'|$)|\{[^}]*(?:\}|$)|[^;\r\n]*""")
_USER_INFO = re.compile(r"(?<=://)([^/:@\s]+):[^/@\s]+(?=@)")
# A string of the expression language, or what is left of one.
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)("|\\?$)', re.DOTALL)


class Secrets:
    """Takes the secrets out of one file, and remembers where they stood."""

    def __init__(self) -> None:
        self._places: dict[str, None] = {}

    @property
    def places(self) -> tuple[str, ...]:
        """Return the places where a secret stood, in the order of the file, each once."""
        return tuple(self._places)

    def note(self, place: str) -> None:
        """Remember a place where a secret stands that was not read."""
        self._places[place] = None

    def text(self, text: str, place: str) -> str:
        """Return a text without the passwords of connection strings and addresses (URLs) in it."""
        return self._noted(_without(text)[0], text, place)

    def expression(self, expression: str, place: str) -> str:
        """Return an expression without the passwords in its strings, also of a connection string in several pieces."""
        goes_on = False

        def literal(match: re.Match[str]) -> str:
            nonlocal goes_on
            content, goes_on = _without(match[1], goes_on=goes_on)
            return f'"{content}{match[2]}'

        return self._noted(_LITERAL.sub(literal, expression), expression, place)

    def named(self, name: str, value: str | None, place: str) -> str | None:
        """Return the value of a variable, parameter or property; None if its name says that it is a secret."""
        if not value:
            return value
        if _SECRET_NAME.search(name):
            self.note(place)
            return None
        return self.text(value, place)

    def named_expression(self, name: str, expression: str, place: str) -> str:
        """Return the expression of a variable, parameter or property; its strings masked if its name says so."""
        if not _SECRET_NAME.search(name):
            return self.expression(expression, place)
        return self._noted(_LITERAL.sub(lambda match: f'"{MASK if match[1] else ""}"', expression), expression, place)

    def _noted(self, result: str, original: str, place: str) -> str:
        if result != original:
            self.note(place)
        return result


def _without(text: str, *, goes_on: bool = False) -> tuple[str, bool]:
    """Mask the values of secret keys.

    Args:
        text: a connection string, a part of one, or any text.
        goes_on: whether the text begins within such a value.

    Returns:
        The text, and whether it ends within such a value.
    """
    if not goes_on and "=" not in text and "://" not in text:
        return text, False
    pieces = []
    position = 0
    if goes_on:
        position = _end_of_value(text, 0)
        pieces.append(MASK if position else "")
        goes_on = position == len(text)
    while match := _KEY.search(text, position):
        end = _end_of_value(text, match.end())
        pieces += text[position : match.end()], MASK if end > match.end() else ""
        position = end
        goes_on = end == len(text)
    pieces.append(text[position:])
    return _USER_INFO.sub(rf"\1:{MASK}", "".join(pieces)), goes_on


def _end_of_value(text: str, start: int) -> int:
    match = _VALUE.match(text, start)
    return match.end() if match else start
