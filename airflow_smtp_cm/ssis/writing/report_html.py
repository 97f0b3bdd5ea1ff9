"""The report as one page for a browser: it fetches nothing, and its table can be sorted and filtered."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from airflow_smtp_cm.ssis.writing.overview import blockers, work_by_kind
from airflow_smtp_cm.ssis.writing.report import State

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_smtp_cm.ssis.writing.report import Report


def as_html(report: Report, dags: Path) -> str:
    """Return the report as a page.

    Args:
        report: the report.
        dags: the folder of the DAG files, relative to the page, for links to them.
    """
    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = Markup
    template = environment.get_template("report.html.jinja")
    return template.render(
        packages=[one for project in report.projects for one in project.reported()],
        projects=[project for project in report.projects if project.name],
        blockers=blockers(report),
        work=work_by_kind(report),
        unreadable=report.unreadable,
        summary=report.summary(),
        states=list(State),
        link=lambda file: quote(f"{dags.as_posix()}/{file}"),
    )
