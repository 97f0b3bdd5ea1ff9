"""The report of an import: its data, and the same as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.ssis.writing.findings import About, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import PurePath

    from airflow_smtp_cm.ssis.model import Unreadable
    from airflow_smtp_cm.ssis.writing.findings import Finding


class State(StrEnum):
    """What is left to do for a package."""

    RUNS = "runs as is"
    STEPS = "runs after manual steps"
    NO_MAIL = "sends no mail"


@dataclass(frozen=True, slots=True)
class PackageReport:
    """What became of a package.

    Attributes:
        name: its name.
        source: its file.
        dag_id: the DAG's id; None if no DAG was written, because the package sends no mail.
        file: the name of the DAG's file.
        findings: what became of its content.
        picture: its control flow as SVG, if the report has pictures.
    """

    name: str
    source: PurePath
    dag_id: str | None
    file: str | None
    findings: tuple[Finding, ...]
    picture: str = ""


@dataclass(frozen=True, slots=True)
class ProjectReport:
    """What became of a project.

    Attributes:
        name: its name; empty for packages without a project.
        source: its folder or archive.
        findings: what became of the things that its packages share.
        packages: the reports of its packages.
    """

    name: str
    source: PurePath
    findings: tuple[Finding, ...]
    packages: tuple[PackageReport, ...]

    def reported(self) -> Iterator[Reported]:
        """Yield its packages, each with the state and the steps that follow from the findings."""
        shared = tuple(one for one in self.findings if one.blocks and one.about is About.CONNECTION)
        for package in self.packages:
            yield Reported(self, package, _steps(package, shared))


@dataclass(frozen=True, slots=True)
class Reported:
    """A package in the report.

    Attributes:
        project: its project.
        package: the package.
        steps: what a person must do until its mail is sent, what its project needs included.
    """

    project: ProjectReport
    package: PackageReport
    steps: tuple[Finding, ...]

    @property
    def state(self) -> State:
        """What is left to do."""
        if self.steps:
            return State.STEPS
        return State.RUNS if self.package.dag_id else State.NO_MAIL

    @property
    def label(self) -> str:
        """The state, with the number of steps."""
        if self.state is not State.STEPS:
            return self.state.value
        steps = f"{len(self.steps)} {'step' if len(self.steps) == 1 else 'steps'}"
        return f"runs after {steps}" if self.package.dag_id else f"no DAG: {steps}"


@dataclass(slots=True)
class Report:
    """What became of all projects.

    Attributes:
        projects: the report of each project.
        unreadable: the files that could not be read.
        connections: ids of the connections.
    """

    projects: list[ProjectReport] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        """Return the report as JSON; docs/import.md documents the keys, which are stable."""
        return json.dumps(self._json(), indent=2, ensure_ascii=False) + "\n"

    def summary(self) -> dict[str, Any]:
        """Return the counts of packages, DAGs, connections, findings by status, unreadable files and states."""
        states = [one.state for project in self.projects for one in project.reported()]
        packages = [package for project in self.projects for package in project.packages]
        owners: list[ProjectReport | PackageReport] = [*self.projects, *packages]
        findings = [finding for owner in owners for finding in owner.findings]
        return {
            "packages": len(packages),
            "dags": sum(package.dag_id is not None for package in packages),
            "connections": len(self.connections),
            **{status.value: sum(finding.status is status for finding in findings) for status in Status},
            "unreadable": len(self.unreadable),
            "states": {state.value: states.count(state) for state in State},
        }

    def _json(self) -> dict[str, Any]:
        return {
            "summary": self.summary(),
            "connections": self.connections,
            "projects": [
                {
                    "name": project.name,
                    "source": str(project.source),
                    "findings": _as_objects(project.findings),
                    "packages": [
                        {
                            "name": package.name,
                            "source": str(package.source),
                            "dag_id": package.dag_id,
                            "file": package.file,
                            "findings": _as_objects(package.findings),
                        }
                        for package in project.packages
                    ],
                }
                for project in self.projects
            ],
            "unreadable": [
                {
                    "source": str(one.source),
                    "why": one.why,
                    "what_to_do": one.what_to_do,
                    "traceback": one.traceback or None,
                }
                for one in self.unreadable
            ],
        }


def _steps(package: PackageReport, shared: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return what a person must do until a package's mail is sent; ``shared`` is what its project needs."""
    manual = tuple(one for one in package.findings if one.status is Status.MANUAL)
    if package.dag_id is None:
        # It needs no placeholders, secrets and decisions, since there is no DAG.
        return tuple(one for one in manual if one.about is About.MAIL)
    return (*shared, *manual)


def _as_objects(findings: Iterable[Finding]) -> list[dict[str, str | bool]]:
    return [
        {
            "status": finding.status.value,
            "about": finding.about.value,
            "place": finding.place,
            "text": finding.text,
            "blocks": finding.blocks,
        }
        for finding in findings
    ]
