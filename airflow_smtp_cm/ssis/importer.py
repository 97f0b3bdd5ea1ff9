"""Brings projects over: each package with mail becomes a DAG, each SMTP connection manager a connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.expressions import Untranslatable
from airflow_smtp_cm.ssis.writing.connections import Connections, is_smtp
from airflow_smtp_cm.ssis.writing.dag_file import dag_source, has_mail
from airflow_smtp_cm.ssis.writing.findings import About, Findings
from airflow_smtp_cm.ssis.writing.names import Names, slug
from airflow_smtp_cm.ssis.writing.report import PackageReport, ProjectReport
from airflow_smtp_cm.ssis.writing.scope import Known, Params, Scope
from airflow_smtp_cm.ssis.writing.send_mail_task import Managers
from airflow_smtp_cm.ssis.writing.unconverted import (
    report_unconverted,
    report_unconverted_of_project,
    variables_of_loops,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_smtp_cm.ssis.expressions import Binding
    from airflow_smtp_cm.ssis.model import ConnectionManager, Package, Parameter, Project


@dataclass(slots=True)
class _Shared:
    """What the packages of a project have in common, and what comes of them."""

    project: Project
    conn_ids: dict[str, str]
    bound: set[Known]
    used: set[str] = field(default_factory=set)
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Importer:
    """Brings projects over; no id is given twice.

    Attributes:
        connections: the connections so far.
    """

    connections: Connections = field(default_factory=Connections)
    _dag_ids: Names = field(default_factory=Names)

    def convert(self, project: Project) -> tuple[dict[str, str], ProjectReport]:
        """Bring a project over.

        Returns:
            The sources of its DAGs, not yet formatted, by the names of their files; and the report.
        """
        findings = Findings()
        scope = Scope.of_project(project, Params(), _unknown)
        conn_ids = self._connections(
            project.name or "project", (project.connection_managers, project.connection_parameters), scope, findings
        )
        shared = _Shared(project, conn_ids, bound=set(scope.params.bound))
        packages = [self._package(package, shared) for package in project.packages]
        report_unconverted_of_project(project, shared.used, shared.bound, findings)
        report = ProjectReport(project.name, project.source, tuple(findings.findings), tuple(packages))
        return shared.sources, report

    def _package(self, package: Package, shared: _Shared) -> PackageReport:
        findings, params, project = Findings(), Params(of_loops=variables_of_loops(package.root)), shared.project
        scope = Scope.of_package(project, package, Params(), _unknown)
        scope = scope.within(package.root.ref_id, package.root.variables)
        of_package = package.connection_managers, package.connection_parameters
        conn_ids = shared.conn_ids | self._connections(package.source.stem, of_package, scope, findings)
        managers = Managers((*package.connection_managers, *project.connection_managers), conn_ids, shared.used)
        dag_id = file = None
        if not has_mail(package.root):
            findings.skipped(About.MAIL, package.root.ref_id, "It has no Send Mail task: there is no DAG of it.")
        elif not package.root.executables:
            findings.skipped(About.MAIL, package.root.ref_id, "It runs nothing: there is no DAG of it.")
        else:
            dag_id = self._dag_id(project, package)
            file = f"{dag_id}.py"
            shared.sources[file] = dag_source(
                project, package, dag_id=dag_id, managers=managers, params=params, findings=findings
            )
        params.bound.update(scope.params.bound)
        report_unconverted(package, params, managers, findings)
        shared.bound.update(params.bound)
        return PackageReport(package.root.name, package.source, dag_id, file, tuple(findings.findings))

    def _dag_id(self, project: Project, package: Package) -> str:
        # Its own name is often just Package, or that of the package that it was copied from.
        wanted = slug(package.source.stem, "package")
        if project.name and wanted in self._dag_ids:
            wanted = f"{slug(project.name, 'project')}_{wanted}"
        return self._dag_ids.take(wanted)

    def _connections(
        self,
        owner: str,
        theirs: tuple[Iterable[ConnectionManager], Iterable[Parameter]],
        scope: Scope,
        findings: Findings,
    ) -> dict[str, str]:
        managers, parameters = theirs
        given = {parameter.name: parameter.value for parameter in parameters if parameter.value is not None}
        return {
            manager.ref_id: self.connections.add(manager, owner, given, scope, findings)
            for manager in managers
            if is_smtp(manager)
        }


def _unknown(name: str) -> Binding:
    raise Untranslatable(f"@[System::{name}]", 0, "A connection knows no system variables")
