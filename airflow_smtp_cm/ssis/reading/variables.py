"""Reads variables and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.model import Parameter, Variable
from airflow_smtp_cm.ssis.reading.properties import Properties, properties_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_smtp_cm.ssis.reading.redaction import Secrets
    from airflow_smtp_cm.ssis.reading.safe_xml import Element

# The number of each data type in packages (COM's VARENUM) and in projects (.NET's System.TypeCode).
_DATA_TYPES = (
    (2, 7, DataType.I2),
    (3, 9, DataType.I4),
    (4, 13, DataType.R4),
    (5, 14, DataType.R8),
    (6, None, DataType.CY),
    (7, 16, DataType.DATE),
    (8, 18, DataType.WSTR),
    (11, 3, DataType.BOOL),
    (14, 15, DataType.DECIMAL),
    (16, 5, DataType.I1),
    (17, 6, DataType.UI1),
    (18, 8, DataType.UI2),
    (19, 10, DataType.UI4),
    (20, 11, DataType.I8),
    (21, 12, DataType.UI8),
    (72, None, DataType.GUID),
    (None, 4, DataType.WSTR),  # a single character
)
_OF_PACKAGE = {number: data_type for number, _, data_type in _DATA_TYPES}
_OF_PROJECT = {number: data_type for _, number, data_type in _DATA_TYPES}
_STRING, _OBJECT, _STRING_OF_PROJECT = 8, 13, 18  # VT_BSTR, VT_UNKNOWN, TypeCode.String


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
    number = properties_of(stored).number("DataType", _STRING) if stored else _OBJECT
    scalar = stored if stored and number != _OBJECT and not (element.sensitive or stored.children) else None
    if element.sensitive:
        secrets.note(place)
    expression = None
    if properties.boolean("EvaluateAsExpression"):
        expression = secrets.named_expression(name, properties.text("Expression"), place)
    return Variable(
        namespace=namespace,
        name=name,
        data_type=_OF_PACKAGE.get(number),
        value=secrets.named(name, scalar.text, place) if scalar else None,
        expression=expression,
    )


def read_package_parameter(element: Element, secrets: Secrets) -> Parameter:
    """Read a parameter of a package (``DTS:PackageParameter``)."""
    properties = properties_of(element)
    return _parameter(
        properties,
        element.properties.get("ParameterValue"),
        "Package.PackageParameters",
        secrets,
        data_type=_OF_PACKAGE.get(properties.number("DataType", _STRING)),
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
        stored = (element.first("Properties") or element).all("Property")
        values = {child.attributes.get("Name", ""): child.text for child in stored}
        properties = Properties(values | {"ObjectName": element.attributes.get("Name", "")})
        yield _parameter(
            properties,
            values.get("Value"),
            place,
            secrets,
            data_type=_OF_PROJECT.get(properties.number("DataType", _STRING_OF_PROJECT)),
            encrypted=element.sensitive,
        )


def _parameter(
    properties: Properties,
    value: str | None,
    owner: str,
    secrets: Secrets,
    *,
    data_type: DataType | None,
    encrypted: bool,
) -> Parameter:
    name = properties.text("ObjectName")
    place = f"{owner}[{name}]"
    sensitive = properties.boolean("Sensitive")
    if encrypted or (sensitive and value):
        secrets.note(place)
    return Parameter(
        name=name,
        data_type=data_type,
        value=None if encrypted or sensitive else secrets.named(name, value, place),
        description=secrets.text(properties.text("Description"), place),
        required=properties.boolean("Required"),
        sensitive=encrypted or sensitive,
    )
