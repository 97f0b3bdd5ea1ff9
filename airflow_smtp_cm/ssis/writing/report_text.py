"""The report as text: what blocks mail, the work by kind, then the packages with mail."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.writing.findings import Status
from airflow_smtp_cm.ssis.writing.overview import blockers, work_by_kind
from airflow_smtp_cm.ssis.writing.report import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_smtp_cm.ssis.writing.findings import Finding
    from airflow_smtp_cm.ssis.writing.overview import Blocker
    from airflow_smtp_cm.ssis.writing.report import Report


def as_text(report: Report) -> str:
    """Return the report as text."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield from _blockers(report)
    if report.unreadable:
        yield "Files that were not converted"
        for one in report.unreadable:
            yield f"  {one.source}: {one.why} {one.what_to_do}"
            yield from (f"    {line}" for line in one.traceback.splitlines())
        yield ""
    if work := work_by_kind(report):
        yield "Manual work by kind"
        yield from (f"  {line}" for line in work)
        yield ""
    yield from _projects(report)
    yield from _summary(report)


def _blockers(report: Report) -> Iterator[str]:
    found = blockers(report)
    if found:
        yield "Before mail is sent"
    for title, entries in found.items():
        yield f"  {title}"
        yield from (f"    {_places(one)}: {one.text}" for one in entries)
    if found:
        yield ""


def _places(blocker: Blocker) -> str:
    first, *others = blocker.places
    return f"{first} and {len(others):,} more" if others else first


def _projects(report: Report) -> Iterator[str]:
    for project in report.projects:
        packages = [one for one in project.reported() if one.state is not State.NO_MAIL]
        if project.name and packages:
            yield f"Project {project.name} ({project.source})"
            yield from _findings(project.findings)
            yield ""
        for one in packages:
            package = one.package
            yield f"Package {package.name} ({package.source}): {', '.join(filter(None, (package.file, one.label)))}"
            yield from _findings(package.findings if project.name else (*project.findings, *package.findings))
            yield ""


def _findings(findings: Iterable[Finding]) -> Iterator[str]:
    by_status: dict[Status, list[Finding]] = {status: [] for status in Status}
    for finding in findings:
        by_status[finding.status].append(finding)
    yield from (f"  {one.place}: {' '.join(one.text.split())}" for one in by_status[Status.MANUAL])
    for status in (Status.CONVERTED, Status.SKIPPED):
        counts = Counter(one.about.value.replace("_", " ") for one in by_status[status])
        if counts:
            counted = ", ".join(f"{about} ({count})" for about, count in counts.items())
            yield f"  {status.value.capitalize()}: {counted}"


def _summary(report: Report) -> Iterator[str]:
    count = report.summary()
    states = count["states"]
    by_state = ", ".join(f"{state}: {states[state]:,}" for state in State)
    yield (
        f"Packages: {count['packages']:,} ({by_state}). DAGs: {count['dags']:,}. "
        f"Connections: {count['connections']:,}. Files not converted: {count['unreadable']:,}."
    )
    yield "All findings, what was converted and skipped included: --format html or --format json."
