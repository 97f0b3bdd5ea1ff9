"""Converts projects: each package with mail becomes a DAG, each SMTP connection manager an Airflow connection.

An import runs in three steps. ``reading`` parses files into the classes of ``model`` and removes all secrets. This
module converts one project after the other. ``writing.source_text`` formats the sources, and ``command`` writes
files and report.

For a project, ``Importer.convert``

1. makes the connections of the project's SMTP connection managers;
2. converts each package, those that it runs before it: makes the connections of its own connection managers; writes
   its DAG (``writing.dag_file``), if it has mail; then reports everything in it that was not converted
   (``writing.unconverted``);
3. reports what the packages share and none of them used.

The order of steps 2 and 3 matters. Conversion records what it used in ``Params`` (names bound by templates),
``Managers`` and ``_Shared`` (connection managers of the project). The reports come last, because they list what is
not recorded there.

What an editor must not break:

- Nothing is dropped silently. Each task, connection manager, variable, parameter and secret
  has at least one finding; a test compares the packages under tests/ssis with the report.
- Names are resolved by ``Scope``, innermost first. A lookup whose result is used must record it in
  ``Params.bound``. Otherwise the report says that no mail uses it.
- Connections are evaluated once, at import time, with the stored values: an Airflow connection has no templates.
  Templates of a task read params, at run time. So each of the two has a ``Params`` of its own, and only the names of
  the first are added to the second: a variable that only a connection uses must not become a param.
- A package is converted after those that it runs (``in_order``, ``children_first``): its tasks pass the values of the
  params that the other DAGs turned out to have.
- Ids are unique across all projects of one run (``Connections``, ``_dag_ids``). Equal connections share one id. An
  ``Importer`` must not be used for two runs that should be independent.
- The classes of ``model`` contain no secrets; no later code may read a file again.
- A package that cannot be converted in part still gets its DAG: the missing argument becomes a ``to_do`` text, which
  makes the task fail, so that no wrong mail is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.expressions import Untranslatable
from airflow_smtp_cm.ssis.model import Project
from airflow_smtp_cm.ssis.reading.unexpected import unexpected
from airflow_smtp_cm.ssis.writing.connections import Connections, is_smtp
from airflow_smtp_cm.ssis.writing.dag_file import dag_source, has_mail
from airflow_smtp_cm.ssis.writing.execute_package import Child, Children, children_first, runs
from airflow_smtp_cm.ssis.writing.findings import About, Findings
from airflow_smtp_cm.ssis.writing.flow_picture import picture
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
    from collections.abc import Iterable, Iterator

    from airflow_smtp_cm.ssis.expressions import Binding
    from airflow_smtp_cm.ssis.model import ConnectionManager, Package, Parameter, Unreadable


@dataclass(slots=True)
class _Shared:
    """What the packages of a project share, and the DAG files that were written for them."""

    project: Project
    conn_ids: dict[str, str]
    bound: set[Known]
    used: set[str] = field(default_factory=set)
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Importer:
    """Converts projects. All ids are unique across projects.

    Attributes:
        connections: the connections of all projects converted so far.
        failed: packages whose conversion failed with an unexpected exception.
        pictures: whether the report has pictures of the control flow.
    """

    pictures: bool = False
    connections: Connections = field(default_factory=Connections)
    failed: list[Unreadable] = field(default_factory=list)
    _dag_ids: Names = field(default_factory=Names)
    _children: Children = field(default_factory=Children)

    def in_order(self, projects: Iterable[Project | Unreadable]) -> Iterator[Project | Unreadable]:
        """Yield projects in the order in which they must be converted.

        A package without a project that runs other packages comes last: these may be in any other file.
        """
        waiting = []
        for one in projects:
            if isinstance(one, Project) and not one.name and any(map(runs, one.packages)):
                waiting.append(one)
            else:
                yield one
        # Each of them has one package.
        yield from (waiting[position] for position in children_first([one.packages[0] for one in waiting]))

    def convert(self, project: Project) -> tuple[dict[str, str], ProjectReport]:
        """Convert a project.

        Returns:
            The sources of its DAGs by file name, not yet formatted; and the report.
        """
        findings = Findings()
        scope = Scope.of_project(project, Params(), _unknown)
        conn_ids = self._connections(
            project.name or "project", (project.connection_managers, project.connection_parameters), scope, findings
        )
        shared = _Shared(project, conn_ids, bound=set(scope.params.bound))
        children = [self._child(project, package) for package in project.packages]
        packages: dict[int, PackageReport] = {}
        for position in children_first(project.packages):
            if made := self._attempt(project.packages[position], children[position], shared):
                packages[position] = made
        report_unconverted_of_project(project, shared.used, shared.bound, findings)
        report = ProjectReport(
            project.name, project.source, tuple(findings), tuple(packages[position] for position in sorted(packages))
        )
        return shared.sources, report

    def _child(self, project: Project, package: Package) -> Child | None:
        """Return a package that becomes a DAG as one that others can run."""
        if not package.root.executables or not has_mail(package.root):
            return None
        child = Child(package.source, self._dag_id(project, package), _params(package).parameter_names)
        self._children.add(child)
        return child

    def _attempt(self, package: Package, child: Child | None, shared: _Shared) -> PackageReport | None:
        try:
            return self._package(package, child, shared)
        except Exception as error:  # noqa: BLE001 - one package must not stop the import of the others
            self.failed.append(unexpected(error, package.source))
            if child:
                self._children.remove(child)
            return None

    def _package(self, package: Package, child: Child | None, shared: _Shared) -> PackageReport:
        findings, project = Findings(), shared.project
        params = _params(package)
        scope = Scope.of_package(project, package, Params(), _unknown)
        scope = scope.within(package.root.ref_id, package.root.variables)
        of_package = package.connection_managers, package.connection_parameters
        conn_ids = shared.conn_ids | self._connections(package.source.stem, of_package, scope, findings)
        managers = Managers((*package.connection_managers, *project.connection_managers), conn_ids, shared.used)
        file = f"{child.dag_id}.py" if child else None
        if child and file:
            shared.sources[file] = dag_source(
                project,
                package,
                dag_id=child.dag_id,
                params=params,
                managers=managers,
                children=self._children,
                findings=findings,
            )
            child.of_project |= params.of_project()
        elif has_mail(package.root):
            findings.skipped(About.MAIL, package.root.ref_id, "It has no tasks: no DAG is written.")
        else:
            findings.skipped(About.MAIL, package.root.ref_id, "It has no Send Mail task: no DAG is written.")
        params.bound.update(scope.params.bound)
        report_unconverted(package, params, managers, findings)
        shared.bound.update(params.bound)
        dag_id = child.dag_id if child else None
        drawn = picture(package.root) if self.pictures else ""
        return PackageReport(package.root.name, package.source, dag_id, file, tuple(findings), drawn)

    def _dag_id(self, project: Project, package: Package) -> str:
        # The package's own name is often just Package, or the name of the package that it was copied from.
        wanted = slug(package.source.stem, "package")
        if project.name and wanted in self._dag_ids:
            wanted = f"{slug(project.name, 'project')}_{wanted}"
        return self._dag_ids.take(wanted)

    def _connections(
        self,
        owner: str,
        declared: tuple[Iterable[ConnectionManager], Iterable[Parameter]],
        scope: Scope,
        findings: Findings,
    ) -> dict[str, str]:
        managers, parameters = declared
        overrides = {parameter.name: parameter.value for parameter in parameters if parameter.value is not None}
        return {
            manager.ref_id: self.connections.add(manager, owner, overrides, scope, findings)
            for manager in managers
            if is_smtp(manager)
        }


def _params(package: Package) -> Params:
    return Params.of_package(package, variables_of_loops(package.root))


def _unknown(name: str) -> Binding:
    raise Untranslatable(f"@[System::{name}]", 0, "System variables have no value in a connection")
