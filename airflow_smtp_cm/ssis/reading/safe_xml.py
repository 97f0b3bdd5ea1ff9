"""Parses untrusted XML, and keeps only the elements that the reader needs (defusedxml, on Expat).

A document type is rejected, so there are no entities and no external resources. Size, depth and the number of kept
elements are limited. Most of a package is data flow, scripts and layout: they are skipped while they are parsed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.expatreader import create_parser  # type: ignore[import-untyped]

from airflow_smtp_cm.ssis.kinds import Kind

if TYPE_CHECKING:
    from xml.sax.xmlreader import AttributesImpl

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
        text: its own text.
        sensitive: whether it or a descendant contains a sensitive value, skipped elements included.
        mailer: ``SmtpClient`` or ``sp_send_dbmail``, if a skipped child element contains it.
    """

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    text: str = ""
    sensitive: bool = False
    mailer: str = ""

    def all(self, name: str) -> list[Element]:
        """Return the children with this name."""
        return [child for child in self.children if child.name == name]

    def first(self, *path: str) -> Element | None:
        """Return the first descendant at this path of names; None if there is none."""
        element: Element | None = self
        for name in path:
            element = next((child for child in element.children if child.name == name), None) if element else None
        return element


class _Handler(ContentHandler):
    def __init__(self) -> None:
        super().__init__()
        self.root: Element | None = None
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._skipped = 0  # depth within a skipped element
        self._elements = 0
        self._end = ""  # of the previous piece of skipped text: a name may be divided between two pieces

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - SAX's name, as the next
        if self._skipped:
            self._skipped += 1
            self._note_skipped(name, attrs)
        else:
            name = _local(name)
            if self._is_skipped(name):
                self._skipped = 1
                self._note_skipped(name, attrs)
            else:
                self._keep(name, attrs)
        if len(self._open) + self._skipped > MOST_DEPTH:
            raise NotReadableError(
                f"Its elements are nested more than {MOST_DEPTH} deep.", "SSIS files are not: check its source."
            )

    def endElement(self, name: str) -> None:  # noqa: ARG002, N802
        if self._skipped:
            self._skipped -= 1
            return
        element = self._open.pop()
        element.text = "".join(self._texts.pop())
        if element.name == "EncryptedData" or (element.attributes.get("Sensitive") == "1" and element.text.strip()):
            element.sensitive = True
        if self._open and element.sensitive:
            self._open[-1].sensitive = True

    def characters(self, content: str) -> None:
        if self._skipped:
            if not content.isspace():
                self._look_for_mailer(self._end + content)
                self._end = content[-_LONGEST_MAILER:]
        elif self._texts:
            self._texts[-1].append(content)

    def _keep(self, name: str, attrs: AttributesImpl) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
            raise NotReadableError(
                f"It has more than {MOST_ELEMENTS:,} elements besides data flow and scripts.",
                "SSIS packages have fewer: check its source.",
            )
        attributes = {_local(key): value for key, value in attrs.items() if not key.startswith("xmlns")}
        element = Element(name, attributes)
        if self._open:
            self._open[-1].children.append(element)
        elif self.root is None:
            self.root = element
        self._open.append(element)
        self._texts.append([])

    def _is_skipped(self, name: str) -> bool:
        if name in _SKIPPED:
            return True
        if len(self._open) > 1 and self._open[-1].name == "ObjectData":
            return self._open[-2].name not in _WITH_OBJECT_DATA and name not in _KEPT_OBJECT_DATA
        return False

    def _note_skipped(self, name: str, attrs: AttributesImpl) -> None:
        if ("Sensitive" in attrs and attrs["Sensitive"] == "1") or name.endswith("EncryptedData"):
            self._open[-1].sensitive = True
        if name.endswith("SqlTaskData"):
            for value in attrs.values():
                self._look_for_mailer(value)

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
    handler = _Handler()
    parser = create_parser(forbid_dtd=True)
    parser.setContentHandler(handler)
    try:
        parser.feed(data)
        parser.close()
    except DefusedXmlException as error:
        raise NotReadableError(
            "It has a document type declaration, which can be an attack. SSIS files have none.",
            "Check its source; if you trust it, delete the <!DOCTYPE ...>.",
        ) from error
    except SAXParseException as error:
        raise NotReadableError(
            f"It is not well-formed XML: {error.getMessage()} in line {error.getLineNumber()}.",
            "It may be truncated, or damaged by a conversion of its encoding or line ends: "
            "get it again, or open and save it in Visual Studio.",
        ) from error
    except (SAXException, LookupError, ValueError) as error:
        raise NotReadableError(
            f"It cannot be read as XML: {error}.", "Save it in Visual Studio, or as UTF-8 with a text editor."
        ) from error
    if handler.root is None:
        raise NotReadableError("It has no element.", "Get it again from its source.")
    return handler.root


def _local(name: str) -> str:
    return name.rpartition(":")[2]
