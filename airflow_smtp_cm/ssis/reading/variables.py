"""Reads variables and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.model import Parameter, Variable
from airflow_smtp_cm.ssis.reading.properties import Properties, properties_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_smtp_cm.ssis.reading.redaction import Secrets
    from airflow_smtp_cm.ssis.reading.safe_xml import Element

_OBJECT = 13  # VT_UNKNOWN
_STRING = 8  # VT_BSTR

# From COM's VARENUM, the type numbers of packages, to System.TypeCode, the type numbers of projects.
_TYPE_CODES = {
    2: 7, 3: 9, 4: 13, 5: 14, 7: 16, 8: 18, 11: 3, 13: 1, 14: 15, 16: 5, 17: 6, 18: 8, 19: 10, 20: 11, 21: 12,
}  # fmt: skip
_TYPE_CODE_OBJECT = 1
_TYPE_CODE_STRING = 18


def read_variable(element: Element, owner: str, secrets: Secrets) -> Variable:
    """Read a variable.

    Args:
        element: its ``DTS:Variable``.
        owner: the place of its executable or event handler.
        secrets: removes secrets.
    """
    properties = properties_of(element)
    name = properties.text("ObjectName")
    namespace = properties.text("Namespace")
    place = f"{owner}.Variables[{namespace}::{name}]"
    stored = element.first("VariableValue")
    data_type = properties_of(stored).number("DataType", _STRING) if stored else _OBJECT
    if element.sensitive:
        secrets.note(place)
    scalar = stored is not None and not element.sensitive and data_type != _OBJECT and not stored.children
    expression = None
    if properties.boolean("EvaluateAsExpression"):
        expression = secrets.named_expression(name, properties.text("Expression"), place)
    return Variable(
        namespace=namespace,
        name=name,
        data_type=data_type,
        value=secrets.named(name, stored.text, place) if scalar and stored else None,
        expression=expression,
    )


def read_package_parameter(element: Element, secrets: Secrets) -> Parameter:
    """Read a parameter of a package (``DTS:PackageParameter``)."""
    properties = properties_of(element)
    stored = element.first("Property")
    return _parameter(
        Properties(
            {
                "Description": properties.text("Description"),
                "Required": properties.text("Required"),
                "Sensitive": properties.text("Sensitive"),
                "DataType": str(_TYPE_CODES.get(properties.number("DataType", _STRING), _TYPE_CODE_OBJECT)),
            }
        ),
        properties.text("ObjectName"),
        stored.text if stored else None,
        "Package.PackageParameters",
        secrets,
        encrypted=element.sensitive,
    )


def read_parameters(elements: Iterable[Element], place: str, secrets: Secrets) -> Iterator[Parameter]:
    """Read parameters of a project, or of connection managers (``SSIS:Parameter``).

    Args:
        elements: the parameters.
        place: the place of the collection.
        secrets: removes secrets.
    """
    for element in elements:
        properties = element.first("Properties") or element
        values = {child.attributes.get("Name", ""): child.text for child in properties.all("Property")}
        yield _parameter(
            Properties(values),
            element.attributes.get("Name", ""),
            values.get("Value"),
            place,
            secrets,
            encrypted=element.sensitive,
        )


def _parameter(
    properties: Properties, name: str, value: str | None, owner: str, secrets: Secrets, *, encrypted: bool
) -> Parameter:
    place = f"{owner}[{name}]"
    sensitive = properties.boolean("Sensitive")
    if encrypted or (sensitive and value):
        secrets.note(place)
    return Parameter(
        name=name,
        data_type=properties.number("DataType", _TYPE_CODE_STRING),
        value=None if encrypted or sensitive else secrets.named(name, value, place),
        description=secrets.text(properties.text("Description"), place),
        required=properties.boolean("Required"),
        sensitive=encrypted or sensitive,
    )
