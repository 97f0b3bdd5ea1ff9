"""Reads packages and connection managers ([MS-DTSX] and [MS-DTSX2]).

Formats 2 and 3 write properties as ``DTS:Property`` children, and members of a collection side by side. Formats 6
and 8 write properties as attributes, and a collection as an element of its own (``DTS:Executables``). Each read
looks for both forms, so no other code depends on the format.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.kinds import Kind, kind_of
from airflow_smtp_cm.ssis.model import (
    Configuration,
    ConfigurationType,
    ConnectionManager,
    EvaluatedOperation,
    EventHandler,
    Executable,
    Outcome,
    Package,
    PrecedenceConstraint,
)
from airflow_smtp_cm.ssis.reading.execute_package_data import read_execute_package
from airflow_smtp_cm.ssis.reading.foreach import read_foreach
from airflow_smtp_cm.ssis.reading.properties import Properties, expressions_of, guid, members, properties_of
from airflow_smtp_cm.ssis.reading.redaction import Secrets
from airflow_smtp_cm.ssis.reading.safe_xml import Element, NotReadableError
from airflow_smtp_cm.ssis.reading.send_mail_data import read_send_mail
from airflow_smtp_cm.ssis.reading.variables import read_package_parameter, read_variable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import PurePath

#: PackageFormatVersion: SQL Server 2005, 2008, 2012, 2014 and later. No release wrote 4, 5 or 7.
FORMAT_VERSIONS = frozenset({2, 3, 6, 8})

# Properties that change how an executable runs, with their defaults. Booleans are True and False here.
_DEFAULTS = {
    "CheckpointUsage": "0",
    "DisableEventHandlers": "False",
    "FailPackageOnFailure": "False",
    "FailParentOnFailure": "False",
    "ForceExecValue": "False",
    "ForceExecutionResult": "-1",
    "ISOLevel": "1048576",
    "MaxConcurrentExecutables": "-1",
    "MaxErrorCount": "1",
    "SaveCheckpoints": "False",
    "TransactionOption": "1",
}
# Tasks of other vendors; and the task of maintenance plans, which uses Database Mail.
_MAILING_TASK = re.compile(r"mail|NotifyOperator", re.IGNORECASE)
_LOOP_EXPRESSIONS = ("InitExpression", "EvalExpression", "AssignExpression")


def read_package(root: Element, source: PurePath) -> Package:
    """Read a package.

    Args:
        root: the root of a .dtsx.
        source: its file.

    Raises:
        NotReadableError: it is not a package, or it violates the format.
    """
    if root.name != "Executable":
        raise NotReadableError(f"It is not a package: its root element is {root.name}.", "Pass only SSIS files.")
    properties = properties_of(root)
    version = properties.number("PackageFormatVersion", 0)
    if version not in FORMAT_VERSIONS:
        raise NotReadableError(
            f"Its PackageFormatVersion is {version or 'missing'}; it must be 2, 3, 6 or 8 (SQL Server 2005 to 2022).",
            "Open and save it in a version of Visual Studio that supports it.",
        )
    return _PackageReader().package(root, properties, version, source)


def read_connection_manager(element: Element, owner: str, secrets: Secrets) -> ConnectionManager:
    """Read a connection manager of a package, or the root of a .conmgr.

    Args:
        element: its ``DTS:ConnectionManager``.
        owner: the start of its place: ``Package`` or ``Project``.
        secrets: removes secrets.
    """
    properties = properties_of(element)
    name = properties.text("ObjectName")
    ref_id = properties.text("refId") or f"{owner}.ConnectionManagers[{name}]"
    before = len(secrets.places)
    data = element.first("ObjectData")
    stored = properties_of(data.children[0]).text("ConnectionString") if data and data.children else ""
    manager = ConnectionManager(
        ref_id=ref_id,
        dtsid=guid(properties.text("DTSID")),
        name=name,
        description=secrets.text(properties.text("Description"), ref_id),
        creation_name=properties.text("CreationName"),
        connection_string=secrets.text(stored, ref_id),
        expressions=expressions_of(element, ref_id, secrets),
    )
    if element.sensitive:
        secrets.note(ref_id)
    return replace(manager, has_secret=len(secrets.places) > before)


def _mailer(type_: str, data: Element) -> str:
    class_name = type_.partition(",")[0]
    return data.mailer or (class_name if _MAILING_TASK.search(class_name) else "")


class _PackageReader:
    """Reads one package, and keeps the places and secrets found so far."""

    def __init__(self) -> None:
        self._secrets = Secrets()
        self._ref_ids: set[str] = set()

    def package(self, root: Element, properties: Properties, version: int, source: PurePath) -> Package:
        managers = members(root, "ConnectionManagers", "ConnectionManager")
        parameters = members(root, "PackageParameters", "PackageParameter")
        return Package(
            source=source,
            format_version=version,
            connection_managers=tuple(
                read_connection_manager(manager, "Package", self._secrets) for manager in managers
            ),
            parameters=tuple(read_package_parameter(parameter, self._secrets) for parameter in parameters),
            configurations=tuple(self._configurations(root, properties)),
            root=self._executable(root, "Package", Kind.PACKAGE),
            secrets=self._secrets.places,
        )

    def _configurations(self, root: Element, package: Properties) -> Iterator[Configuration]:
        if not package.boolean("EnableConfig"):
            return
        for configuration in members(root, "Configurations", "Configuration"):
            properties = properties_of(configuration)
            name = properties.text("ObjectName")
            place = f"Package.Configurations[{name}]"
            yield Configuration(
                name=name,
                type=properties.enum("ConfigurationType", ConfigurationType.CONFIG_FILE),
                location=self._secrets.text(properties.text("ConfigurationString"), place),
                target=properties.text("ConfigurationVariable"),
            )

    def _executable(self, element: Element, ref_id: str, kind: Kind | None = None) -> Executable:
        properties = properties_of(element)
        type_ = properties.text("ExecutableType") or properties.text("CreationName")
        self._check_unique(ref_id)
        data = element.first("ObjectData") or Element("ObjectData")
        kind = kind or kind_of(type_, {child.name for child in data.children})
        kept = data.first(kind.value.data) or Element(kind.value.data)
        if data.sensitive:
            self._secrets.note(ref_id)
        executables, constraints = self._control_flow(element, ref_id)
        return Executable(
            ref_id=ref_id,
            dtsid=guid(properties.text("DTSID")),
            name=properties.text("ObjectName"),
            description=self._secrets.text(properties.text("Description"), ref_id),
            kind=kind,
            type=type_,
            disabled=properties.boolean("Disabled"),
            expressions=expressions_of(element, ref_id, self._secrets),
            properties=dict(self._non_default(element, properties, kind, ref_id)),
            variables=tuple(
                read_variable(variable, ref_id, self._secrets)
                for variable in members(element, "Variables", "Variable")
            ),
            executables=executables,
            constraints=constraints,
            event_handlers=tuple(
                self._event_handler(handler, ref_id) for handler in members(element, "EventHandlers", "EventHandler")
            ),
            mail=read_send_mail(kept, ref_id, self._secrets) if kind is Kind.SEND_MAIL else None,
            run=read_execute_package(kept, ref_id, self._secrets) if kind is Kind.EXECUTE_PACKAGE else None,
            foreach=read_foreach(element, ref_id, self._secrets) if kind is Kind.FOREACH_LOOP else None,
            mailer="" if kind is Kind.SEND_MAIL else _mailer(type_, data),
        )

    def _event_handler(self, element: Element, owner: str) -> EventHandler:
        properties = properties_of(element)
        event = properties.text("EventName") or properties.text("CreationName")
        ref_id = properties.text("refId") or f"{owner}.EventHandlers[{event}]"
        self._check_unique(ref_id)
        variables = [
            read_variable(variable, ref_id, self._secrets) for variable in members(element, "Variables", "Variable")
        ]
        propagate = next((v for v in variables if (v.namespace, v.name) == ("System", "Propagate")), None)
        executables, constraints = self._control_flow(element, ref_id)
        return EventHandler(
            ref_id=ref_id,
            event=event,
            disabled=properties.boolean("Disabled"),
            propagates=propagate is None or propagate.value not in {"0", "False"},
            expressions=expressions_of(element, ref_id, self._secrets),
            variables=tuple(v for v in variables if v is not propagate),
            executables=executables,
            constraints=constraints,
        )

    def _control_flow(
        self, element: Element, owner: str
    ) -> tuple[tuple[Executable, ...], tuple[PrecedenceConstraint, ...]]:
        executables = []
        places = {}  # by refId and GUID: a precedence constraint uses either
        for member in members(element, "Executables", "Executable"):
            properties = properties_of(member)
            ref_id = properties.text("refId") or f"{owner}\\{properties.text('ObjectName')}"
            executables.append(self._executable(member, ref_id))
            places[ref_id] = places[guid(properties.text("DTSID"))] = ref_id
        constraints = [
            self._constraint(constraint, owner, places)
            for constraint in members(element, "PrecedenceConstraints", "PrecedenceConstraint")
        ]
        return tuple(executables), tuple(constraints)

    def _constraint(self, element: Element, owner: str, places: dict[str, str]) -> PrecedenceConstraint:
        properties = properties_of(element)
        name = properties.text("ObjectName")
        ref_id = properties.text("refId") or f"{owner}.PrecedenceConstraints[{name}]"
        ends = {"From": properties.text("From"), "To": properties.text("To")}
        for end in element.all("Executable"):
            ends["From" if properties_of(end).boolean("IsFrom") else "To"] = guid(end.attributes.get("IDREF", ""))
        for side, place in ends.items():
            if place not in places:
                raise NotReadableError(
                    f"The precedence constraint {ref_id} has {place or 'nothing'} as its {side} end, "
                    "which is not in the same container.",
                    "SSIS does not load such a package: open it in Visual Studio and draw the constraint again.",
                )
        return PrecedenceConstraint(
            ref_id=ref_id,
            source=places[ends["From"]],
            target=places[ends["To"]],
            outcome=properties.enum("Value", Outcome.SUCCESS),
            operation=properties.enum("EvalOp", EvaluatedOperation.CONSTRAINT),
            expression=self._secrets.expression(properties.text("Expression"), ref_id),
            logical_and=properties.boolean("LogicalAnd", default=True),
        )

    def _non_default(
        self, element: Element, properties: Properties, kind: Kind, ref_id: str
    ) -> Iterator[tuple[str, str]]:
        for name, default in _DEFAULTS.items():
            value = str(properties.boolean(name)) if default == "False" else properties.text(name) or default
            if value != default:
                yield name, value
        if properties.boolean("ForceExecValue"):
            yield "ExecValue", self._secrets.text(properties.text("ExecValue"), ref_id)
        if kind is Kind.FOR_LOOP:
            for name in _LOOP_EXPRESSIONS:
                if expression := properties.text(name):
                    yield name, self._secrets.expression(expression, ref_id)
        if kind is Kind.FOREACH_LOOP:
            yield from self._foreach(element, ref_id)

    def _foreach(self, element: Element, ref_id: str) -> Iterator[tuple[str, str]]:
        enumerator = element.first("ForEachEnumerator")
        if enumerator:
            yield "ForEachEnumerator", properties_of(enumerator).text("CreationName")
            for name, expression in expressions_of(enumerator, ref_id, self._secrets).items():
                yield f"ForEachEnumerator.{name}", expression
        for mapping in members(element, "ForEachVariableMappings", "ForEachVariableMapping"):
            properties = properties_of(mapping)
            yield f"VariableMapping[{properties.number('ValueIndex', 0)}]", properties.text("VariableName")

    def _check_unique(self, ref_id: str) -> None:
        if ref_id in self._ref_ids:
            raise NotReadableError(
                f"Two of its executables or event handlers have the refId {ref_id}.",
                "SSIS does not load such a package: open it in Visual Studio and rename one of them.",
            )
        self._ref_ids.add(ref_id)
