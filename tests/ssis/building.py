"""Builds packages in code, for features that the packages in files do not have."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.importer import Importer
from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.model import (
    ConnectionManager,
    EventHandler,
    Executable,
    Package,
    PrecedenceConstraint,
    Project,
    SendMail,
    Variable,
)
from airflow_smtp_cm.ssis.writing.findings import Status
from airflow_smtp_cm.ssis.writing.source_text import formatted

SMTP = ConnectionManager(
    ref_id="Package.ConnectionManagers[Mail]",
    dtsid="{A0000000-0000-4000-8000-000000000001}",
    name="Mail",
    creation_name="SMTP",
    connection_string="SmtpServer=mail.corp.example;UseWindowsAuthentication=False;EnableSsl=False;",
)


def mail(
    name: str = "Send", parent: str = "Package", fields: dict[str, Any] | None = None, **given: Any
) -> Executable:
    """Return a Send Mail task."""
    default = {
        "smtp_connection": SMTP.dtsid,
        "from_line": "etl@corp.test",
        "to_line": "ops@corp.test",
        "subject": name,
    }
    return Executable(
        ref_id=f"{parent}\\{name}",
        name=name,
        kind=Kind.SEND_MAIL,
        type="Microsoft.SendMailTask",
        mail=SendMail(**default | (fields or {})),
        **given,
    )


def task(name: str, parent: str = "Package", **given: Any) -> Executable:
    return Executable(ref_id=f"{parent}\\{name}", name=name, kind=Kind.DATA_FLOW, type="Microsoft.Pipeline", **given)


def handler(owner: str, event: str, *executables: str | Executable, **given: Any) -> EventHandler:
    """Return an event handler; a mail can be given by its name."""
    ref_id = f"{owner}.EventHandlers[{event}]"
    made = (mail(one, ref_id) if isinstance(one, str) else one for one in executables)
    return EventHandler(ref_id=ref_id, event=event, executables=tuple(made), **given)


def arrow(source: str, target: str, parent: str = "Package", **given: Any) -> PrecedenceConstraint:
    return PrecedenceConstraint(
        ref_id=f"{parent}.PrecedenceConstraints[{source}]",
        source=f"{parent}\\{source}",
        target=f"{parent}\\{target}",
        **given,
    )


def variable(name: str, value: str | None, data_type: DataType = DataType.WSTR, **given: Any) -> Variable:
    return Variable(namespace="User", name=name, value=value, data_type=data_type, **given)


def package(*executables: Executable, managers: tuple[ConnectionManager, ...] = (SMTP,), **given: Any) -> Package:
    """Return a package of format 8; ``given`` are fields of the root, or parameters, secrets and configurations."""
    of_package = {name: given.pop(name) for name in ("parameters", "secrets", "configurations") if name in given}
    return Package(
        source=PurePath("Orders.dtsx"),
        format_version=8,
        root=Executable(
            ref_id="Package",
            name="Orders",
            kind=Kind.PACKAGE,
            type="Microsoft.Package",
            executables=executables,
            **given,
        ),
        connection_managers=managers,
        **of_package,
    )


def project(*packages: Package, **given: Any) -> Project:
    return Project(name="Shop", source=PurePath("shop"), packages=packages, **given)


class Converted:
    """A converted project.

    Attributes:
        source: the source of its only DAG.
        connections: the connections.
        report: the report.
    """

    def __init__(self, *packages: Package, **given: Any) -> None:
        importer = Importer()
        sources, self.report = importer.convert(project(*packages, **given))
        self.source = "".join(formatted(sources).values())
        self.connections = importer.connections.by_id

    def findings(self, status: Status = Status.MANUAL) -> list[str]:
        """Return the findings of a status, each with its place."""
        found = [*self.report.findings, *(one for package in self.report.packages for one in package.findings)]
        return [f"{one.place}: {one.text}" for one in found if one.status is status]
