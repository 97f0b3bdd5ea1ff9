"""What a migration team reads first: what blocks mail, and how much work of each kind there is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from airflow_smtp_cm.ssis.writing.findings import About, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_smtp_cm.ssis.writing.findings import Finding
    from airflow_smtp_cm.ssis.writing.report import Report

# One thing, many things, and what to do.
_WORK = {
    About.CONFIGURATION: ("package configuration", "package configurations", "check the values"),
    About.CONNECTION: ("note on a connection", "notes on connections", "complete or check the connections"),
    About.CONSTRAINT: ("precedence constraint", "precedence constraints", "draw again or remove"),
    About.DISABLED: ("condition that disables tasks", "conditions that disable tasks", "apply to the placeholders"),
    About.EVENT_HANDLER: ("note on an event handler", "notes on event handlers", "check or write the callbacks"),
    About.EXECUTE_PACKAGE: ("value for another package", "values for other packages", "write into conf"),
    About.EXPRESSION: ("note on an expression", "notes on expressions", "write or check the templates"),
    About.FILE: ("mail or loop with files", "mails and loops with files", "make the files accessible to the workers"),
    About.LOOP: ("loop", "loops", "map the groups"),
    About.MAIL: ("mail", "mails", "write or complete"),
    About.PARAMETER: ("note on a parameter", "notes on parameters", "pass values when a run starts"),
    About.PLACEHOLDER: ("task", "tasks", "placeholders"),
    About.PROPERTY: ("property", "properties", "decide whether the difference to SSIS matters"),
    About.SECRET: ("secret", "secrets", "put into connections or a secrets backend"),
    About.VARIABLE: ("variable that a mail uses", "variables that mails use", "replace by results of tasks"),
}
_BLOCKERS = {
    About.CONNECTION: "Connections to complete",
    About.MAIL: "Mails that are disabled until they are completed",
    About.EXPRESSION: "Expressions to write",
    About.SECRET: "Secrets that were not copied",
}


class Blocker(NamedTuple):
    """Something that blocks mail, and the places that need it.

    Attributes:
        text: what to do.
        places: each with its project or package.
    """

    text: str
    places: tuple[str, ...]


def blockers(report: Report) -> dict[str, list[Blocker]]:
    """Return what blocks mail, by title; equal texts are one blocker with several places."""
    found: dict[str, dict[str, dict[str, None]]] = {title: {} for title in _BLOCKERS.values()}
    for owner, finding in _work(report):
        if finding.blocks and finding.about in _BLOCKERS:
            places = found[_BLOCKERS[finding.about]].setdefault(" ".join(finding.text.split()), {})
            places[f"{owner}: {finding.place}"] = None
    return {
        title: [Blocker(text, tuple(places)) for text, places in texts.items()]
        for title, texts in found.items()
        if texts
    }


def work_by_kind(report: Report) -> list[str]:
    """Return lines such as ``212 Execute SQL tasks: placeholders``, most frequent first."""
    counts = Counter((finding.about, finding.kind) for _, finding in _work(report))
    return [_line(about, kind, count) for (about, kind), count in counts.most_common()]


def _line(about: About, kind: str, count: int) -> str:
    one, many, what_to_do = _WORK[about]
    if kind:
        one, many = kind, f"{kind}s"
    return f"{count:,} {one if count == 1 else many}: {what_to_do}"


def _work(report: Report) -> Iterator[tuple[str, Finding]]:
    """Yield the manual work, each with its owner: that of the projects once, then that of each package."""
    for project in report.projects:
        packages = [one for one in project.reported() if one.steps]
        if packages:
            owner = project.name or str(project.source)
            yield from ((owner, finding) for finding in project.findings if finding.status is Status.MANUAL)
        shared = set(project.findings)
        for one in packages:
            yield from ((str(one.package.source), finding) for finding in one.steps if finding not in shared)
