"""``airflow smtp-cm import``: reads SSIS files, writes DAGs and connections, and prints the report."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from airflow_smtp_cm import standard_output
from airflow_smtp_cm.ssis.importer import Importer
from airflow_smtp_cm.ssis.model import Unreadable
from airflow_smtp_cm.ssis.reading.reader import find_files, read
from airflow_smtp_cm.ssis.writing.report import Report
from airflow_smtp_cm.ssis.writing.source_text import FormattingError, formatted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BATCH = 200  # DAG files

if find_spec("ruff") is None:  # ruff runs as a program, only when there is something to format
    raise ModuleNotFoundError("No module named 'ruff'")


def import_packages(paths: Sequence[Path], *, output: Path, connections: Path, form: str, overwrite: bool) -> int:
    """Convert the mail of SSIS packages.

    Args:
        paths: files and folders.
        output: the folder for DAG files.
        connections: the file for connections.
        form: ``dag`` to write files and print the report; ``report`` or ``json`` to print the report only.
        overwrite: whether to replace existing files whose content differs.

    Returns:
        The exit status: 0, or 1 if a file could not be read or written.
    """
    importer, report = Importer(), Report()
    files = _Files(output, overwrite=overwrite) if form == "dag" else None
    try:
        with _progress() as progress:
            task = progress.add_task("Reading", total=len(find_files(paths)))
            for one in importer.in_order(read(paths, on_file=lambda _: progress.advance(task))):
                if isinstance(one, Unreadable):
                    report.unreadable.append(one)
                    continue
                sources, project_report = importer.convert(one)
                report.projects.append(project_report)
                if files:
                    files.add(sources)
        report.connections = sorted(importer.connections.by_id)
        if files:
            files.flush()
            if report.connections:
                files.write(connections, importer.connections.as_json())
    except (FormattingError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    standard_output.write(report.as_json() if form == "json" else report.as_text())
    if files and files.kept:
        names = "".join(f"\n  {path}" for path in files.kept)
        sys.stderr.write(f"Not written, because these files exist and differ (--overwrite replaces them):{names}\n")
    return 1 if report.unreadable or (files and files.kept) else 0


class _Files:
    """Writes files. DAG files are formatted many at once, since ruff takes longer to start than to format.

    Attributes:
        kept: files that were not written, because they exist and differ.
    """

    def __init__(self, folder: Path, *, overwrite: bool) -> None:
        self._folder = folder
        self._overwrite = overwrite
        self._unformatted: dict[str, str] = {}
        self.kept: list[Path] = []

    def add(self, sources: dict[str, str]) -> None:
        self._unformatted |= sources
        if len(self._unformatted) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        for name, source in formatted(self._unformatted).items():
            self.write(self._folder / name, source)
        self._unformatted = {}

    def write(self, path: Path, content: str) -> None:
        if path.exists() and not self._overwrite:
            if path.read_bytes() != content.encode():
                self.kept.append(path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())


def _progress() -> Progress:
    """Return a progress bar on the terminal, if standard error is one."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
