"""Reads what a Foreach Loop container loops over, if that can be known: item lists, constant node lists, and files.

``FEIEItems`` are the rows of a Foreach Item enumerator; ``FEENODELIST`` is a Foreach NodeList enumerator, whose
document and XPath may be constant (DirectInput).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn
from xml.etree.ElementTree import Element as XmlElement
from xml.etree.ElementTree import ParseError, TreeBuilder, XMLParser

from airflow_smtp_cm.ssis.model import FileEnumerator, Foreach
from airflow_smtp_cm.ssis.reading.properties import Properties, expressions_of, members, properties_of

if TYPE_CHECKING:
    from airflow_smtp_cm.ssis.reading.redaction import Secrets
    from airflow_smtp_cm.ssis.reading.safe_xml import Element

# The part of XPath that needs no namespaces, functions or conditions.
_PATH = re.compile(r"(?:/{1,2}|\.//?)?(?:[\w-]+|\*)(?:/{1,2}(?:[\w-]+|\*))*(?:/text\(\))?")
_ENUMERATIONS = ("NodeText", "ElementCollection")


def read_foreach(element: Element, ref_id: str, secrets: Secrets) -> Foreach | None:
    """Read what a Foreach Loop container loops over; None if that is known only when it runs.

    Args:
        element: the container.
        ref_id: its place.
        secrets: removes secrets.
    """
    enumerator = element.first("ForEachEnumerator")
    data = enumerator.first("ObjectData") if enumerator else None
    if enumerator is None or data is None:
        return None
    mappings = (
        properties_of(mapping) for mapping in members(element, "ForEachVariableMappings", "ForEachVariableMapping")
    )
    variables = {mapping.number("ValueIndex", 0): mapping.text("VariableName") for mapping in mappings}
    expressions = expressions_of(enumerator, ref_id, secrets)
    if files := data.first("ForEachFileEnumeratorProperties"):
        # Each property is an attribute of an element of its own.
        merged = {name: value for each in files.all("FEFEProperty") for name, value in each.attributes.items()}
        return Foreach(variables=variables, files=_files(merged, expressions, ref_id, secrets))
    # An expression replaces a property, such as the document.
    rows = [] if expressions else _rows(data)
    if not rows:
        return None
    return Foreach(
        variables=variables, rows=tuple(tuple(secrets.text(value, ref_id) for value in row) for row in rows)
    )


def _files(stored: dict[str, str], expressions: dict[str, str], ref_id: str, secrets: Secrets) -> FileEnumerator:
    properties = Properties(stored | {"refId": ref_id})
    return FileEnumerator(
        folder=secrets.text(properties.text("Folder"), ref_id),
        file_spec=secrets.text(properties.text("FileSpec"), ref_id),
        retrieval=properties.number("FileNameRetrievalType", 0),
        recurse=properties.boolean("Recurse"),
        expressions=expressions,
    )


def _rows(data: Element) -> list[tuple[str, ...]] | None:
    if items := data.first("FEIEItems"):
        return [
            tuple(value.attributes.get("Value", "") for value in item.all("FEIEItemValue"))
            for item in items.all("FEIEItem")
        ]
    nodes = data.first("FEENODELIST")
    return _nodes(nodes.attributes) if nodes else None


def _nodes(enumerator: dict[str, str]) -> list[tuple[str, ...]] | None:
    """Return the rows of a node list; None if it is not constant, or not supported."""
    sources = ("SourceType", "OuterXPathSourceType", "InnerXPathSourceType")
    enumeration = enumerator.get("EnumerationType", "NodeText")
    if any(enumerator.get(name, "DirectInput") != "DirectInput" for name in sources):
        return None
    if enumeration not in _ENUMERATIONS or enumerator.get("InnerElementType", "NodeText") != "NodeText":
        return None
    try:
        # The parent of the root, since paths begin there.
        document = XmlElement("document")
        document.append(_root(enumerator.get("SourceDocument", "")))
        found = _select(document, enumerator.get("OuterXPathString", ""))
        if enumeration == "NodeText":
            return [(_text(node),) for node in found]
        inner = enumerator.get("InnerXPathString", "")
        return [tuple(map(_text, _select(node, inner))) for node in found]
    except (ParseError, ValueError):
        return None


class _Builder(TreeBuilder):
    """Builds a tree without comments and processing instructions; rejects a document type, and so all entities."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:  # noqa: ARG002 - Expat's callback
        raise ValueError("It has a document type.")


def _root(document: str) -> XmlElement:
    parser = XMLParser(target=_Builder(), encoding="utf-8")  # noqa: S314 - without document types
    parser.feed(document.encode())
    root: XmlElement = parser.close()
    return root


def _select(node: XmlElement, path: str) -> list[XmlElement]:
    if not _PATH.fullmatch(path):
        raise ValueError(f"This XPath is not supported: {path}")
    return list(node.iterfind(("." + path if path.startswith("/") else path).removesuffix("/text()")))


def _text(node: XmlElement) -> str:
    return "".join(node.itertext())
