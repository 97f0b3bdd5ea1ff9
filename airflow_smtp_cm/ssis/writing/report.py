"""The report of an import, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.ssis.writing.findings import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import PurePath

    from airflow_smtp_cm.ssis.model import Unreadable
    from airflow_smtp_cm.ssis.writing.findings import Finding

_TITLES = {
    Status.CONVERTED: "Converted",
    Status.MANUAL: "Manual",
    Status.SKIPPED: "Skipped",
}


@dataclass(frozen=True, slots=True)
class PackageReport:
    """What became of a package.

    Attributes:
        name: its name.
        source: its file.
        dag_id: the DAG's id; None if no DAG was written, because the package sends no mail.
        file: the name of the DAG's file.
        findings: what became of its content.
    """

    name: str
    source: PurePath
    dag_id: str | None
    file: str | None
    findings: tuple[Finding, ...]


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

    def as_text(self) -> str:
        """Return the report as text."""
        return "\n".join(self._text()) + "\n"

    def as_json(self) -> str:
        """Return the report as JSON; docs/import.md documents the keys, which are stable."""
        return json.dumps(self._json(), indent=2, ensure_ascii=False) + "\n"

    def summary(self) -> dict[str, int]:
        """Return the counts of packages, DAGs, connections, findings by status, and unreadable files."""
        packages = [package for project in self.projects for package in project.packages]
        owners: list[ProjectReport | PackageReport] = [*self.projects, *packages]
        findings = [finding for owner in owners for finding in owner.findings]
        return {
            "packages": len(packages),
            "dags": sum(package.dag_id is not None for package in packages),
            "connections": len(self.connections),
            **{status.value: sum(finding.status is status for finding in findings) for status in Status},
            "unreadable": len(self.unreadable),
        }

    def _text(self) -> Iterator[str]:
        for project in self.projects:
            if project.name:
                yield f"Project {project.name} ({project.source})"
                yield from _findings(project.findings)
                yield ""
            for package in project.packages:
                yield f"Package {package.name} ({package.source})" + (f": {package.file}" if package.file else "")
                yield from _findings(package.findings if project.name else (*project.findings, *package.findings))
                yield ""
        if self.unreadable:
            yield "Unreadable files"
            yield from (f"  {one.source}: {one.why} {one.what_to_do}" for one in self.unreadable)
            yield ""
        count = self.summary()
        yield (
            f"{count['packages']} packages: {count['dags']} DAGs, {count['connections']} connections; "
            f"{count['converted']} converted, {count['manual']} manual, "
            f"{count['skipped']} skipped; {count['unreadable']} unreadable files."
        )

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
                {"source": str(one.source), "why": one.why, "what_to_do": one.what_to_do} for one in self.unreadable
            ],
        }


def _findings(findings: Iterable[Finding]) -> Iterator[str]:
    by_status = {status: [finding for finding in findings if finding.status is status] for status in Status}
    for status, found in by_status.items():
        if found:
            yield f"  {_TITLES[status]}"
            yield from (f"    {finding.place}: {_one_line(finding.text)}" for finding in found)


def _as_objects(findings: Iterable[Finding]) -> list[dict[str, str]]:
    return [
        {"status": finding.status.value, "about": finding.about.value, "place": finding.place, "text": finding.text}
        for finding in findings
    ]


def _one_line(text: str) -> str:
    return " ".join(text.split())
