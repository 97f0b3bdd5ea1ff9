"""Reads ``ExecutePackageTask``: the package that an Execute Package task runs, and what it passes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.model import ExecutePackage
from airflow_smtp_cm.ssis.reading.properties import guid

if TYPE_CHECKING:
    from airflow_smtp_cm.ssis.reading.redaction import Secrets
    from airflow_smtp_cm.ssis.reading.safe_xml import Element


def read_execute_package(data: Element, ref_id: str, secrets: Secrets) -> ExecutePackage:
    """Read the properties of an Execute Package task.

    Args:
        data: its ``ExecutePackageTask``.
        ref_id: its place.
        secrets: removes secrets.
    """
    # Some tools write attributes; SSIS itself writes child elements.
    stored = {child.name: child.text for child in data.children} | data.attributes
    return ExecutePackage(
        package_name=secrets.text(stored.get("PackageName", "").strip(), ref_id),
        connection=guid(stored.get("Connection", "").strip()),
        parameters={
            _text(assignment, "ParameterName"): _text(assignment, "BindedVariableOrParameterName")
            for assignment in data.all("ParameterAssignment")
        },
    )


def _text(element: Element, name: str) -> str:
    child = element.first(name)
    return child.text.strip() if child else ""
