"""Names for what comes from a package: identifiers, ids and file names, made from SSIS's names."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LONGEST = 100  # characters; Airflow has room for 250, group ids before it included


def slug(name: str, otherwise: str) -> str:
    """Return a name as lower-case words with underscores between: ``DFT Load-OrdersDW`` is ``dft_load_orders_dw``.

    Args:
        name: any name.
        otherwise: what it is if there is no Latin letter or digit in it.
    """
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return "_".join(_WORDS.findall(plain)).lower()[:_LONGEST].rstrip("_") or otherwise


class Names:
    """Names that are each given out once: the second ``load`` is ``load_2``.

    Args:
        taken: names that are not to be given out.
    """

    def __init__(self, *taken: str) -> None:
        self._taken = set(taken)

    def __contains__(self, name: str) -> bool:
        """Return whether it is taken."""
        return name in self._taken

    def take(self, name: str) -> str:
        """Return the name, or one with a number if it is taken."""
        taken, number = name, 1
        while taken in self._taken:
            number += 1
            taken = f"{name}_{number}"
        self._taken.add(taken)
        return taken


class Identifiers(Names):
    """The same for Python's identifiers: none begins with a digit, or means something else already."""

    def take(self, name: str) -> str:
        """Return the name, or one that can stand in its place."""
        if not name.isidentifier():
            name = f"_{name}"
        if keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
            name = f"{name}_"
        return super().take(name)
