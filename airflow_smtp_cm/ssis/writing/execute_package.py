"""Converts an Execute Package task to a TriggerDagRunOperator, if the package it runs has a DAG."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import PurePath, PureWindowsPath
from typing import TYPE_CHECKING

from airflow_smtp_cm.macros.ssis.data_types import EXACT, FLOATS, INTEGERS, TEXTS, DataType
from airflow_smtp_cm.ssis.expressions import Jinja, as_template
from airflow_smtp_cm.ssis.writing import source_text
from airflow_smtp_cm.ssis.writing.findings import About, Findings
from airflow_smtp_cm.ssis.writing.templates import Translator, named, to_do

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_smtp_cm.ssis.expressions import Template
    from airflow_smtp_cm.ssis.model import ConnectionManager, Executable, ExecutePackage, Package
    from airflow_smtp_cm.ssis.writing.scope import Scope

# Seconds between two looks at the state of the run. Airflow's default of 60 would delay each task that follows.
_POKE_INTERVAL = 10
_JSON = TEXTS | INTEGERS | FLOATS | {DataType.BOOL, DataType.GUID}
_MOMENTS = frozenset({DataType.DATE, DataType.DBTIMESTAMP, DataType.DBTIMESTAMP2})
_OTHER_TARGET = ("Connection", "PackageName", "PackageID")


@dataclass(slots=True)
class Child:
    """A package that Execute Package tasks can run.

    Attributes:
        source: its file.
        dag_id: the id of its DAG.
        parameters: the names of the params for its own parameters, by the parameter's name.
        of_project: the parameters of the project that its DAG has, by the name of the param; known when the DAG is
            written.
    """

    source: PurePath
    dag_id: str
    parameters: Mapping[str, str]
    of_project: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Children:
    """The packages that were imported so far, and have a DAG."""

    _by_name: dict[str, list[Child]] = field(default_factory=dict)

    def add(self, child: Child) -> None:
        """Add a package."""
        self._by_name.setdefault(child.source.name.casefold(), []).append(child)

    def remove(self, child: Child) -> None:
        """Remove a package whose conversion failed, so that it has no DAG."""
        self._by_name[child.source.name.casefold()].remove(child)

    def __contains__(self, name: str) -> bool:
        """Return whether a package in a file of this name has a DAG."""
        return bool(self._by_name.get(name.casefold()))

    def find(self, name: str, folder: PurePath, *, anywhere: bool) -> Child | None:
        """Return the package in a file of this name: the one in this folder, or the only one anywhere."""
        found = self._by_name.get(name.casefold(), [])
        here = [child for child in found if child.source.parent == folder]
        if here:
            return here[0]
        return found[0] if anywhere and len(found) == 1 else None


def file_of(run: ExecutePackage, managers: Iterable[ConnectionManager]) -> str:
    """Return the name of the file with the package that a task runs; empty if it is known only when it runs.

    Args:
        run: the properties of the task.
        managers: the connection managers that it can use.
    """
    used = next((one for one in managers if run.connection in {one.dtsid, one.name}), None)
    if run.connection and used and used.creation_name.upper() == "FILE":
        file = PureWindowsPath(used.connection_string).name
        expression = used.expressions.get("ConnectionString")
        # Usually the expression is for the folder. If it does not contain the file's name, a variable decides.
        return "" if expression and file.casefold() not in expression.casefold() else file
    # On a server, packages have no suffix: \Finance\LoadSales.
    name = PureWindowsPath(run.package_name).name
    return name if not name or name.lower().endswith(".dtsx") else f"{name}.dtsx"


def runs(package: Package) -> list[str]:
    """Return the names of the files with the packages that a package runs, in lower case."""
    tasks = (one.run for one in package.root.everything() if one.run)
    return [file.casefold() for run in tasks if (file := file_of(run, package.connection_managers))]


def children_first(packages: Sequence[Package]) -> list[int]:
    """Return the positions of packages, each after those of the packages that it runs, unless they run each other."""
    by_file = {package.source.name.casefold(): position for position, package in enumerate(packages)}
    below = [[by_file[file] for file in runs(package) if file in by_file] for package in packages]
    entered: set[int] = set()
    done: dict[int, None] = {}
    waiting = list(reversed(range(len(packages))))
    while waiting:
        if (position := waiting[-1]) in entered:
            done[waiting.pop()] = None
        else:
            entered.add(position)
            waiting += [child for child in reversed(below[position]) if child not in entered]
    return list(done)


@dataclass(slots=True)
class Trigger:
    """The arguments of a TriggerDagRunOperator.

    Attributes:
        arguments: the arguments by name; the values are Python source.
        uses_functions: whether an argument needs the macro ``ssis``.
    """

    arguments: dict[str, str]
    uses_functions: bool


def has_other_target(task: Executable) -> bool:
    """Return whether an expression decides which package a task runs."""
    return any(name in task.expressions for name in _OTHER_TARGET)


def trigger_of(task: Executable, child: Child, scope: Scope, findings: Findings) -> Trigger:
    """Return what runs the DAG of a package, waits for its end, and fails if it fails.

    The run gets the parameters that the task passes. Parameters of the project have the same value in both packages,
    as in SSIS, where they belong to the whole execution.

    Args:
        task: the Execute Package task.
        child: the package that it runs.
        scope: the names that are visible at the task.
        findings: collects what is manual.
    """
    translator = Translator(scope, task.ref_id, findings)
    passed = {}
    for name, source in task.run.parameters.items() if task.run else ():
        if name in child.parameters:
            passed[child.parameters[name]] = source
        else:
            findings.manual(
                About.EXECUTE_PACKAGE,
                task.ref_id,
                f"It passes {name}, which is not a parameter of {child.source.name}.",
            )
    for name, parameter in child.of_project.items():
        passed.setdefault(name, f"$Project::{parameter}")
    values = [
        f"{as_template(json.dumps(name))}: {_value(source, scope, translator)}" for name, source in passed.items()
    ]
    arguments = {"trigger_dag_id": source_text.literal(child.dag_id)}
    if values:
        # The operator parses a text as JSON. In a mapping, a template would make a text of every value.
        arguments["conf"] = source_text.text(f"{{{', '.join(values)}}}")
    arguments |= {"wait_for_completion": "True", "poke_interval": str(_POKE_INTERVAL)}
    return Trigger(arguments, translator.uses_functions)


def _value(source: str, scope: Scope, translator: Translator) -> str:
    """Return the template of a value as JSON; a text that is not JSON makes the task fail."""
    template = translator.variable(source, About.EXECUTE_PACKAGE, "It passes a value that cannot be converted")
    if template is None:
        return to_do(f"write {source}")
    binding = scope.bind(named(source))
    is_param = isinstance(binding, Jinja) and binding.expression.startswith("params.")
    value = binding.expression if isinstance(binding, Jinja) and is_param else as_param(template)
    return f"{{{{ {value}|tojson }}}}" if value else to_do(f"write {source}")


def as_param(template: Template) -> str | None:
    """Return the value of a template as a param has it, an operand of a filter; None if no param can have it."""
    value = template.as_jinja_expression()
    if template.data_type in _JSON:
        return f"({value})"
    if template.data_type in EXACT:
        return f"({value})|float(none)"
    if template.data_type in _MOMENTS:
        # A param of format date-time must have a time zone.
        return f"(({value}).isoformat() ~ '+00:00')"
    return None
