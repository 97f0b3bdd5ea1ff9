"""Properties of an element: attributes in formats 6 and 8, ``DTS:Property`` children in formats 2 and 3."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, TypeVar

from airflow_smtp_cm.shortening import shorten
from airflow_smtp_cm.ssis.reading.safe_xml import Element, NotReadableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_smtp_cm.ssis.reading.redaction import Secrets

_Enum = TypeVar("_Enum", bound=IntEnum)

_TRUE = frozenset({"true", "-1", "1"})
_FALSE = frozenset({"false", "0", ""})


class Properties:
    """Properties by name, as text."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        """Return a property; an empty text if it is missing."""
        return self._values.get(name, "")

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """Return a Boolean property, stored as True and False, or as -1 and 0."""
        value = self._values.get(name)
        if value is None:
            return default
        value = value.strip().lower()
        if value not in _TRUE | _FALSE:
            raise self._invalid(name, "neither true nor false")
        return value in _TRUE

    def number(self, name: str, default: int) -> int:
        """Return a property that is a whole number of 32 bits."""
        value = self.text(name).strip()
        if not value:
            return default
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is None or not -(2**31) <= number < 2**32:
            raise self._invalid(name, "not a number")
        return number

    def enum(self, name: str, default: _Enum) -> _Enum:
        """Return a property that is a member of an enumeration."""
        try:
            return type(default)(self.number(name, default))
        except ValueError:
            raise self._invalid(name, "not one of its possible values") from None

    def _invalid(self, name: str, why: str) -> NotReadableError:
        return NotReadableError(
            f"The property {name} of {self.text('refId') or self.text('ObjectName') or 'the package'} "
            f"is {shorten(self.text(name), 40)!r}, {why}.",
            "It may be damaged: get it again, or open and save it in Visual Studio.",
        )


def properties_of(element: Element) -> Properties:
    """Return the properties of an element."""
    return Properties(element.properties | element.attributes if element.properties else element.attributes)


def members(element: Element, group: str, name: str) -> list[Element]:
    """Return the members of a collection: in an element of their own (formats 6 and 8), or side by side (2 and 3)."""
    found = []
    for child in element.children:
        if child.name == name:
            found.append(child)
        elif child.name == group:
            found += child.all(name)
    return found


def expressions_of(element: Element, ref_id: str, secrets: Secrets) -> dict[str, str]:
    """Return the property expressions of an element, by property name."""
    expressions = {}
    for child in element.all("PropertyExpression"):
        name = child.attributes.get("Name", "")
        expressions[name] = secrets.named_expression(name, child.text, f"{ref_id}.Properties[{name}]")
    return expressions


def guid(text: str) -> str:
    """Return a GUID in upper case, as most tools write it; return anything else, such as a name, unchanged."""
    return text.upper() if text.startswith("{") else text
