"""Typing errors in a user name or a password that cannot be meant: each would cost a failed login."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from airflow_smtp_cm.characters.control import code_point, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMS = r"DOMAIN\user, user@REALM or user"
_SEPARATORS = re.compile(r"[\\@]")
# Neither a Windows user nor a NetBIOS domain contains these.
_NOT_IN_A_NAME = frozenset('"*,:;<>?|')
_ENCODED_SEPARATOR = re.compile("%(5c|40)", re.IGNORECASE)
_ESCAPES_OF_JSON = frozenset("\b\f\n\r\t")
# Categories of Unicode: control and format characters, line ends. Nobody types them into a password.
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp"})


def user_name_problems(username: str, *, with_password: bool) -> Iterator[str]:
    r"""Yield all problems with a user name: ``DOMAIN\user``, ``user@REALM`` or ``user``.

    Args:
        username: the name.
        with_password: whether a password is given. Without one, the name may be any Kerberos principal, such as
            ``airflow/worker1``.
    """
    shown = visible(username)
    parts = _SEPARATORS.split(username)
    if character := next((character for character in username if not character.isprintable()), None):
        yield f"The user name contains the control or invisible character {code_point(character)}." + (
            r' In JSON, a backslash is written twice: "DOMAIN\\user".' if _is_escape(username, character) else ""
        )
    if any(part != part.strip(" ") for part in parts):
        yield f"The user name has a space at one of its ends, or beside its backslash or @: {shown}."
    if username.count("\\") > 1:
        yield rf"The user name {shown} has more than one backslash: write DOMAIN\user. Only JSON needs two."
    elif not all(part.strip() for part in parts):
        yield f"A part of the user name {shown} is missing: it must be {_FORMS}."
    if with_password and "/" in username and "@" not in username:
        yield (
            rf"The user name {shown} has a slash: write DOMAIN\user, with a backslash. A Kerberos principal with a "
            rf"slash needs its realm: {shown}@REALM."
        )
    if found := sorted(_NOT_IN_A_NAME.intersection(username)):
        yield f"The user name contains {' and '.join(found)}, which no user name contains: it must be {_FORMS}."
    if lookalike := next(filter(_looks_like_a_separator, username), None):
        yield (
            f"The user name {shown} has {lookalike} ({code_point(lookalike)}), which only looks like "
            f"{unicodedata.normalize('NFKC', lookalike)}: it must be {_FORMS}."
        )
    if _ENCODED_SEPARATOR.search(username):
        yield f"The user name {shown} is encoded as in a URI: it must be {_FORMS}."


def password_problems(password: str) -> Iterator[str]:
    """Yield all problems with a password. They contain nothing of it but what cannot be a part of it."""
    if password == "***":  # noqa: S105 - the mask, not a password
        yield "The password is ***, with which Airflow hides a password: set the password itself."
    for end, character in (("begins", password[0]), ("ends", password[-1])):
        if unicodedata.category(character) in _INVISIBLE:
            yield (
                f"The password {end} with the control or invisible character {code_point(character)}: remove it. "
                f"Files often end with a line end, U+000A."
            )
    if "\0" in password.strip("\0"):
        yield "The password contains the character U+0000, at which Kerberos would cut it: no password contains it."
    if any(unicodedata.category(character) == "Cs" for character in password):
        yield "The password contains half of a surrogate pair, which no server accepts."


def _looks_like_a_separator(character: str) -> bool:
    """Whether a character is such a form of a separator as the keyboards of East Asian languages type."""
    return not character.isascii() and unicodedata.normalize("NFKC", character) in {"\\", "/", "@"}


def _is_escape(username: str, character: str) -> bool:
    r"""Whether a backslash that JSON has read as an escape, as in ``"CORP\reports"``, is the likely cause."""
    return character in _ESCAPES_OF_JSON and character in username.strip()
