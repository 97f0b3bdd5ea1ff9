"""Identifiers, ids and file names, made from SSIS's names."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LONGEST = 100  # characters; Airflow allows 250, group ids included


def slug(name: str, otherwise: str) -> str:
    """Return a name as lower-case words with underscores between: ``DFT Load-OrdersDW`` is ``dft_load_orders_dw``.

    Args:
        name: any name.
        otherwise: the result if the name contains no Latin letter or digit.
    """
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return "_".join(_WORDS.findall(plain)).lower()[:_LONGEST].rstrip("_") or otherwise


class Names:
    """Makes names unique: the second ``load`` becomes ``load_2``.

    Args:
        taken: reserved names.
    """

    def __init__(self, *taken: str) -> None:
        self._taken = set(taken)

    def __contains__(self, name: str) -> bool:
        """Return whether a name is taken."""
        return name in self._taken

    def take(self, name: str) -> str:
        """Take a name, and return it; with a number if it was taken already."""
        taken, number = name, 1
        while taken in self._taken:
            number += 1
            taken = f"{name}_{number}"
        self._taken.add(taken)
        return taken


class Identifiers(Names):
    """Makes unique Python identifiers: no leading digit, no keyword, no built-in name."""

    def take(self, name: str) -> str:
        """Take a name, and return the identifier made of it."""
        if not name.isidentifier():
            name = f"_{name}"
        if keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
            name = f"{name}_"
        return super().take(name)
