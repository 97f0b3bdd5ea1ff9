"""SSIS's string functions ("Functions (SSIS Expression)"), on ``str``.

A character is a code point here. In SSIS it is a UTF-16 code unit, so a character above U+FFFF counts as two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.macros.ssis.nulls import propagates_null

if TYPE_CHECKING:
    from collections.abc import Iterator

# No mail has a longer text; without a limit, nested calls of REPLICATE would use all memory.
MAX_LENGTH = 1_000_000


@propagates_null
def concatenate(*texts: str) -> str:
    """Return ``a + b`` of texts, NULL if one is NULL ("+ (Concatenate) (SSIS Expression)")."""
    _check_length(sum(map(len, texts)))
    return "".join(texts)


@propagates_null
def substring(text: str, position: int, length: int) -> str:
    """Return a part of a text; position counts from 1, length may exceed the end ("SUBSTRING (SSIS Expression)").

    Raises:
        ValueError: position is below 1, or length below 0.
    """
    if position < 1:
        raise ValueError(f"SUBSTRING counts positions from 1; {position} is not valid")
    _check_count("SUBSTRING", length)
    return text[position - 1 : position - 1 + length]


@propagates_null
def left(text: str, count: int) -> str:
    """Return the first characters ("LEFT (SSIS Expression)").

    Raises:
        ValueError: count is below 0.
    """
    _check_count("LEFT", count)
    return text[:count]


@propagates_null
def fitting(text: str, length: int) -> str:
    """Return the text of a number, if it is not longer than a length.

    Raises:
        ValueError: it is longer.
    """
    if len(text) > length:
        raise ValueError(f"{text} does not fit into {length} characters")
    return text


@propagates_null
def right(text: str, count: int) -> str:
    """Return the last characters ("RIGHT (SSIS Expression)").

    Raises:
        ValueError: count is below 0.
    """
    _check_count("RIGHT", count)
    return text[max(len(text) - count, 0) :]


@propagates_null
def length(text: str | bytes) -> int:
    """Return the number of characters, leading and trailing spaces included ("LEN (SSIS Expression)")."""
    return len(text)


@propagates_null
def lower(text: str) -> str:
    """Return the text in lower case ("LOWER (SSIS Expression)")."""
    return text.lower()


@propagates_null
def upper(text: str) -> str:
    """Return the text in upper case ("UPPER (SSIS Expression)")."""
    return text.upper()


@propagates_null
def trim(text: str) -> str:
    """Remove spaces (only U+0020) from both ends ("TRIM (SSIS Expression)")."""
    return text.strip(" ")


@propagates_null
def ltrim(text: str) -> str:
    """Remove spaces from the start ("LTRIM (SSIS Expression)")."""
    return text.lstrip(" ")


@propagates_null
def rtrim(text: str) -> str:
    """Remove spaces from the end ("RTRIM (SSIS Expression)")."""
    return text.rstrip(" ")


@propagates_null
def replace(text: str, search: str, replacement: str) -> str:
    """Replace every occurrence ("REPLACE (SSIS Expression)").

    Raises:
        ValueError: search is empty, or the result too long.
    """
    _check_search("REPLACE", search)
    _check_length(len(text) + text.count(search) * (len(replacement) - len(search)))
    return text.replace(search, replacement)


@propagates_null
def replicate(text: str, times: int) -> str:
    """Repeat a text ("REPLICATE (SSIS Expression)").

    Raises:
        ValueError: times is below 0, or the result too long.
    """
    _check_count("REPLICATE", times)
    _check_length(len(text) * times)
    return text * times


@propagates_null
def reverse(text: str) -> str:
    """Return the text reversed ("REVERSE (SSIS Expression)")."""
    return text[::-1]


@propagates_null
def find_string(text: str, search: str, occurrence: int) -> int:
    """Return the position of an occurrence, counted from 1; 0 if there is none ("FINDSTRING (SSIS Expression)").

    Raises:
        ValueError: search is empty, or occurrence below 1.
    """
    _check_search("FINDSTRING", search)
    if occurrence < 1:
        raise ValueError(f"FINDSTRING counts occurrences from 1; {occurrence} is not valid")
    found = -1
    for _ in range(occurrence):
        found = text.find(search, found + 1)
        if found < 0:
            break
    return found + 1


@propagates_null
def codepoint(text: str) -> int | None:
    """Return the first UTF-16 code unit; NULL if the text is empty ("CODEPOINT (SSIS Expression)")."""
    return int.from_bytes(text[0].encode("utf-16-le", "surrogatepass")[:2], "little") if text else None


@propagates_null
def token(text: str, delimiters: str, occurrence: int) -> str:
    """Return the token of this number, counted from 1 ("TOKEN (SSIS Expression)").

    After the last token it returns an empty text, as in the page's example (its remarks mention NULL).

    Raises:
        ValueError: occurrence is below 1.
    """
    if occurrence < 1:
        raise ValueError(f"TOKEN counts tokens from 1; {occurrence} is not valid")
    for number, found in enumerate(_tokens(text, delimiters), 1):
        if number == occurrence:
            return found
    return ""


def token_count(text: str | None, delimiters: str | None) -> int | None:
    """Return the number of tokens; 0 for NULL ("TOKENCOUNT (SSIS Expression)")."""
    if delimiters is None:
        return None
    return sum(1 for _ in _tokens(text or "", delimiters))


def _tokens(text: str, delimiters: str) -> Iterator[str]:
    """Yield tokens as C's strtok does: every character of the delimiters ends a token, and no token is empty."""
    start = 0
    for end, character in enumerate(text):
        if character in delimiters:
            if end > start:
                yield text[start:end]
            start = end + 1
    if start < len(text):
        yield text[start:]


def _check_count(function: str, count: int) -> None:
    if count < 0:
        raise ValueError(f"{function} cannot return {count} characters")


def _check_search(function: str, search: str) -> None:
    if not search:
        raise ValueError(f"{function} cannot search for an empty text")


def _check_length(characters: int) -> None:
    if characters > MAX_LENGTH:
        raise ValueError(f"The text would have {characters:,} characters; {MAX_LENGTH:,} is the limit")
