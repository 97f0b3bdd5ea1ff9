"""The result of importing all packages; ``python -m tests.ssis.golden`` writes it to files, for a review."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from airflow_smtp_cm.ssis.importer import Importer
from airflow_smtp_cm.ssis.model import Project
from airflow_smtp_cm.ssis.reading.reader import read
from airflow_smtp_cm.ssis.writing.report import Report
from airflow_smtp_cm.ssis.writing.report_text import as_text
from airflow_smtp_cm.ssis.writing.source_text import formatted
from tests.ssis import packages

GOLDEN = Path(__file__).with_name("golden")
SETTINGS = """extend = "../../../pyproject.toml"
cache-dir = "../../../.ruff_cache"

[lint]
extend-ignore = ["RUF001"]  # texts of mails are unchanged

[lint.isort]
known-third-party = ["airflow_smtp_cm"]  # installed where a DAG runs
"""


def made() -> dict[str, str]:
    """Return the files of an import of all packages, by name."""
    before = Path.cwd()
    os.chdir(packages.HERE)
    try:
        importer, report, sources = Importer(), Report(), {}
        # The project of the documentation first: its connection has the plain name.
        for one in importer.in_order(read([Path(packages.NIGHTLY_SALES.name), Path()], on_file=lambda _: None)):
            if isinstance(one, Project):
                of_project, project_report = importer.convert(one)
                sources |= of_project
                report.projects.append(project_report)
            else:
                report.unreadable.append(one)
    finally:
        os.chdir(before)
    report.connections = sorted(importer.connections.by_id)
    return formatted(sources) | {
        "connections.json": importer.connections.as_json(),
        "report.txt": as_text(report),
        "report.json": report.as_json(),
    }


def write() -> None:
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir()
    (GOLDEN / "ruff.toml").write_text(SETTINGS)
    for name, content in made().items():
        (GOLDEN / name).write_text(content)


if __name__ == "__main__":
    write()
