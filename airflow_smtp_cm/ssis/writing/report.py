"""The report of an import: for people as text, for programs as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.ssis.writing.findings import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import PurePath

    from airflow_smtp_cm.ssis.model import Unreadable
    from airflow_smtp_cm.ssis.writing.findings import Line

_TITLES = {
    Verdict.BROUGHT_OVER: "Brought over",
    Verdict.NEEDS_A_HUMAN: "Needs a human",
    Verdict.LEFT_OUT: "Left out",
}


@dataclass(frozen=True, slots=True)
class PackageReport:
    """What became of a package.

    Attributes:
        name: its name.
        source: its file.
        dag_id: the DAG's id; None if the package sends no mail.
        file: the name of the DAG's file.
        lines: what became of what is in it.
    """

    name: str
    source: PurePath
    dag_id: str | None
    file: str | None
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class ProjectReport:
    """What became of a project.

    Attributes:
        name: its name; empty for packages without a project.
        source: its folder or archive.
        lines: what became of what its packages share.
        packages: what became of its packages.
    """

    name: str
    source: PurePath
    lines: tuple[Line, ...]
    packages: tuple[PackageReport, ...]


@dataclass(slots=True)
class Report:
    """What became of everything.

    Attributes:
        projects: what became of each project.
        unreadable: the files that could not be read.
        connections: ids of the connections.
    """

    projects: list[ProjectReport] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        """Return it for people."""
        return "\n".join(self._text()) + "\n"

    def as_json(self) -> str:
        """Return it for programs; docs/import.md documents the keys, which are stable."""
        return json.dumps(self._json(), indent=2, ensure_ascii=False) + "\n"

    def summary(self) -> dict[str, int]:
        """Count what there is."""
        packages = [package for project in self.projects for package in project.packages]
        owners: list[ProjectReport | PackageReport] = [*self.projects, *packages]
        lines = [line for owner in owners for line in owner.lines]
        return {
            "packages": len(packages),
            "dags": sum(package.dag_id is not None for package in packages),
            "connections": len(self.connections),
            **{verdict.value: sum(line.verdict is verdict for line in lines) for verdict in Verdict},
            "unreadable": len(self.unreadable),
        }

    def _text(self) -> Iterator[str]:
        for project in self.projects:
            if project.name:
                yield f"Project {project.name} ({project.source})"
                yield from _lines(project.lines)
                yield ""
            for package in project.packages:
                yield f"Package {package.name} ({package.source})" + (f": {package.file}" if package.file else "")
                yield from _lines(package.lines if project.name else (*project.lines, *package.lines))
                yield ""
        if self.unreadable:
            yield "Cannot be read"
            yield from (f"  {one.source}: {one.why} {one.what_to_do}" for one in self.unreadable)
            yield ""
        count = self.summary()
        yield (
            f"{count['packages']} packages: {count['dags']} DAGs, {count['connections']} connections; "
            f"{count['brought_over']} brought over, {count['needs_a_human']} for a human, "
            f"{count['left_out']} left out; {count['unreadable']} files that cannot be read."
        )

    def _json(self) -> dict[str, Any]:
        return {
            "summary": self.summary(),
            "connections": self.connections,
            "projects": [
                {
                    "name": project.name,
                    "source": str(project.source),
                    "lines": _as_objects(project.lines),
                    "packages": [
                        {
                            "name": package.name,
                            "source": str(package.source),
                            "dag_id": package.dag_id,
                            "file": package.file,
                            "lines": _as_objects(package.lines),
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


def _lines(lines: Iterable[Line]) -> Iterator[str]:
    by_verdict = {verdict: [line for line in lines if line.verdict is verdict] for verdict in Verdict}
    for verdict, ours in by_verdict.items():
        if ours:
            yield f"  {_TITLES[verdict]}"
            yield from (f"    {line.place}: {_one_line(line.text)}" for line in ours)


def _as_objects(lines: Iterable[Line]) -> list[dict[str, str]]:
    return [
        {"verdict": line.verdict.value, "about": line.about.value, "place": line.place, "text": line.text}
        for line in lines
    ]


def _one_line(text: str) -> str:
    return " ".join(text.split())
