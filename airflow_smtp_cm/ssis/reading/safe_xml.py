"""Parses untrusted XML with Expat, and keeps only the elements that the reader needs.

A document type is rejected before anything in it is read, so there are no entities and no external resources. Size,
depth and the number of kept elements are limited. Most of a package is data flow, scripts and layout: they are
skipped while they are parsed. Expat's callbacks are used directly, because an import spends much of its time here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from airflow_smtp_cm.ssis.kinds import Kind

#: Maximum bytes of a file. Large packages have some tens of MB, nearly all of them data flow.
MOST_BYTES = 128 * 1024 * 1024
#: Maximum depth of elements. A container within a container takes two levels; Visual Studio fails long before this.
MOST_DEPTH = 256
#: Maximum number of kept elements, at up to 1 KB each. A task has some ten in formats 6 and 8, thirty in 2 and 3.
MOST_ELEMENTS = 200_000

# Elements that are not needed: configuration of flat files, logging, layout of the designer.
_SKIPPED = frozenset({"DesignTimeProperties", "FlatFileColumns", "LoggingOptions", "LogProviders", "PackageVariable"})
# ObjectData contains the type-specific data of a task or connection manager.
_KEPT_OBJECT_DATA = frozenset(kind.value.data for kind in Kind)
_WITH_OBJECT_DATA = frozenset({"ConnectionManager", "ForEachEnumerator"})  # theirs is kept as a whole
# Ways to send mail without a Send Mail task: the class that scripts use, and the procedure of Database Mail.
_MAILERS = ("SmtpClient", "sp_send_dbmail")
_LONGEST_MAILER = max(map(len, _MAILERS))


class NotReadableError(Exception):
    """A file, or a part of an archive, cannot be read.

    Attributes:
        why: the reason, a sentence.
        what_to_do: the remedy, a sentence.
    """

    def __init__(self, why: str, what_to_do: str) -> None:
        super().__init__(f"{why} {what_to_do}")
        self.why = why
        self.what_to_do = what_to_do


@dataclass(slots=True)
class Element:
    """An element.

    Attributes:
        name: its name without a prefix; in SSIS files no two names in one place differ by namespace alone.
        attributes: its attributes; names without a prefix.
        children: its kept child elements.
        properties: the texts of its ``DTS:Property`` children, by name; a sensitive one is a child instead.
        text: its own text.
        sensitive: whether it or a descendant contains a sensitive value, skipped elements included.
        mailer: ``SmtpClient`` or ``sp_send_dbmail``, if a skipped child element contains it.
    """

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    text: str = ""
    sensitive: bool = False
    mailer: str = ""

    def all(self, name: str) -> list[Element]:
        """Return the children with this name."""
        return [child for child in self.children if child.name == name]

    def first(self, *path: str) -> Element | None:
        """Return the first descendant at this path of names; None if there is none."""
        element = self
        for name in path:
            for child in element.children:
                if child.name == name:
                    element = child
                    break
            else:
                return None
        return element


class _LocalNames(dict[str, str]):
    """Names without a prefix, by the name in the file; the same text for each occurrence."""

    def __missing__(self, name: str) -> str:
        # The prefix that a namespace declaration declares is no property.
        local = self[name] = name if name.startswith("xmlns:") else name.rpartition(":")[2]
        return local


class _Handler:
    """Builds the tree of kept elements from Expat's callbacks.

    The callbacks change while a skipped element is parsed. A ``DTS:Property`` is the most frequent element by far, so
    it becomes an element of its own only if it has children.
    """

    def __init__(self, parser: expat.XMLParserType) -> None:
        self.root: Element | None = None
        self._parser = parser
        self._local = _LocalNames().__getitem__
        self._open: list[Element] = []
        self._pieces: list[str] = []  # text since the last tag
        self._property: dict[str, str] | None = None  # the attributes of the DTS:Property that is open
        self._elements = 0
        self._skipped = 0  # depth within a skipped element
        self._end = ""  # of the previous piece of skipped text: a name may be divided between two pieces
        self._resume()

    def _resume(self) -> None:
        parser = self._parser
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._close
        parser.CharacterDataHandler = self._pieces.append

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
            raise NotReadableError(
                f"It has more than {MOST_ELEMENTS:,} elements besides data flow and scripts.",
                "SSIS packages have fewer: check its source.",
            )
        if self._property is not None:
            self._keep("Property", self._property)
            self._property = None
        if self._pieces:
            self._take_text()
        if name == "DTS:Property" and self._open and "DTS:Name" in attributes and not _sensitive(attributes):
            self._property = attributes
            return
        local = self._local(name)
        within = self._open[-1].name if self._open else ""
        if local in _SKIPPED or (within == "ObjectData" and self._is_other_data(local)):
            self._skip(name, attributes)
        else:
            self._keep(local, attributes)

    def _close(self, _: str) -> None:
        if self._property is not None:
            self._open[-1].properties[self._property["DTS:Name"]] = "".join(self._pieces)
            self._pieces.clear()
            self._property = None
            return
        if self._pieces:
            self._take_text()
        element = self._open.pop()
        if element.name == "EncryptedData" or (_sensitive(element.attributes) and element.text.strip()):
            element.sensitive = True
        if element.sensitive and self._open:
            self._open[-1].sensitive = True

    def _take_text(self) -> None:
        self._open[-1].text += "".join(self._pieces)
        self._pieces.clear()

    def _keep(self, name: str, attributes: dict[str, str]) -> None:
        if attributes:
            attributes = dict(zip(map(self._local, attributes), attributes.values(), strict=True))
        element = Element(name, attributes, [], {})
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        if len(self._open) > MOST_DEPTH:
            raise _too_deep()

    def _is_other_data(self, name: str) -> bool:
        """Return whether an element within ObjectData is type-specific data that is not needed."""
        return len(self._open) > 1 and self._open[-2].name not in _WITH_OBJECT_DATA and name not in _KEPT_OBJECT_DATA

    def _skip(self, name: str, attributes: dict[str, str]) -> None:
        parser = self._parser
        parser.StartElementHandler = self._start_skipped
        parser.EndElementHandler = self._close_skipped
        parser.CharacterDataHandler = self._skipped_text
        self._start_skipped(name, attributes)

    def _start_skipped(self, name: str, attributes: dict[str, str]) -> None:
        self._skipped += 1
        if len(self._open) + self._skipped > MOST_DEPTH:
            raise _too_deep()
        if _sensitive(attributes) or name.endswith("EncryptedData"):
            self._open[-1].sensitive = True
        if name.endswith("SqlTaskData"):
            for value in attributes.values():
                self._look_for_mailer(value)

    def _close_skipped(self, _: str) -> None:
        self._skipped -= 1
        if not self._skipped:
            self._resume()

    def _skipped_text(self, content: str) -> None:
        if not content.isspace():
            self._look_for_mailer(self._end + content)
            self._end = content[-_LONGEST_MAILER:]

    def _look_for_mailer(self, text: str) -> None:
        for mailer in _MAILERS:
            if mailer in text:
                self._open[-1].mailer = mailer


def parse(data: bytes) -> Element:
    """Parse a document.

    Args:
        data: the file, in the encoding of its declaration or byte-order mark.

    Returns:
        The root element.

    Raises:
        NotReadableError: it is not XML, is damaged, has a document type or exceeds a limit.
    """
    if not data.strip(b"\0\t\r\n "):
        raise NotReadableError("It is empty.", "Get it again from its source.")
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _reject_document_type
    handler = _Handler(parser)
    try:
        parser.Parse(data, True)  # noqa: FBT003 - Expat has no keywords; this is all of it
    except expat.ExpatError as error:
        raise NotReadableError(
            f"It is not well-formed XML: {expat.ErrorString(error.code)} in line {error.lineno}.",
            "It may be truncated, or damaged by a conversion of its encoding or line ends: "
            "get it again, or open and save it in Visual Studio.",
        ) from error
    except (LookupError, ValueError) as error:
        raise NotReadableError(
            f"It cannot be read as XML: {error}.", "Save it in Visual Studio, or as UTF-8 with a text editor."
        ) from error
    if handler.root is None:
        raise NotReadableError("It has no element.", "Get it again from its source.")
    return handler.root


def _too_deep() -> NotReadableError:
    return NotReadableError(
        f"Its elements are nested more than {MOST_DEPTH} deep.", "SSIS files are not: check its source."
    )


def _sensitive(attributes: dict[str, str]) -> bool:
    return attributes.get("Sensitive") == "1"


def _reject_document_type(*_: object) -> NoReturn:
    raise NotReadableError(
        "It has a document type declaration, which can be an attack. SSIS files have none.",
        "Check its source; if you trust it, delete the <!DOCTYPE ...>.",
    )
