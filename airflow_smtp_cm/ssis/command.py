"""``airflow smtp-cm import``: reads SSIS files, writes DAGs and connections, and prints the report."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from airflow_smtp_cm import standard_output
from airflow_smtp_cm.ssis.importer import Importer
from airflow_smtp_cm.ssis.model import Unreadable
from airflow_smtp_cm.ssis.reading.reader import find_files, read
from airflow_smtp_cm.ssis.writing.report import Report
from airflow_smtp_cm.ssis.writing.report_html import as_html
from airflow_smtp_cm.ssis.writing.report_text import as_text
from airflow_smtp_cm.ssis.writing.source_text import FormattingError, formatted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Task

_BATCH = 200  # DAG files

if find_spec("ruff") is None:  # ruff runs as a program, only when there is something to format
    raise ModuleNotFoundError("No module named 'ruff'")


def import_packages(
    paths: Sequence[Path],
    *,
    output: Path,
    connections: Path,
    configurations: Sequence[Path],
    form: str,
    overwrite: bool,
) -> int:
    """Convert the mail of SSIS packages.

    Args:
        paths: files and folders.
        output: the folder for DAG files.
        connections: the file for connections.
        configurations: .dtsConfig files that apply to every package.
        form: ``dag`` to write files and print the report; ``report``, ``json`` or ``html`` to print the report only.
        overwrite: whether to replace existing files whose content differs.

    Returns:
        The exit status: 0, or 1 if there are no files, or a file could not be read, converted or written.
    """
    importer, report = Importer(pictures=form == "html"), Report()
    files = _Files(output, report, overwrite=overwrite) if form == "dag" else None
    count = len(find_files(paths))
    try:
        with _progress() as progress:
            task = progress.add_task("Reading", total=count)
            found = read(paths, on_file=lambda _: progress.advance(task), given=configurations)
            for one in importer.in_order(found):
                if isinstance(one, Unreadable):
                    report.unreadable.append(one)
                    continue
                sources, project_report = importer.convert(one)
                report.projects.append(project_report)
                if files:
                    files.add(sources)
            if files:
                progress.update(task, description="Formatting")
                files.flush()
        report.connections = sorted(importer.connections.by_id)
        report.unreadable += importer.failed
        if files and report.connections:
            files.write(connections, importer.connections.as_json())
    except OSError as error:
        sys.stderr.write(
            f"{error.filename or 'A file'} cannot be written: {error.strerror}. "
            f"Choose another folder with --output, or another file with --connections.\n"
        )
        return 1
    standard_output.write(_printed(report, form, output))
    if files and files.kept:
        names = "".join(f"\n  {path}" for path in files.kept)
        sys.stderr.write(f"Not written, because these files exist and differ (--overwrite replaces them):{names}\n")
    if not count:
        sys.stderr.write(f"There are no SSIS files in {', '.join(map(str, paths))}: pass other files or folders.\n")
    return 1 if report.unreadable or not count or (files and files.kept) else 0


def _printed(report: Report, form: str, output: Path) -> str:
    if form == "json":
        return report.as_json()
    return as_html(report, output) if form == "html" else as_text(report)


class _Files:
    """Writes files. DAG files are formatted many at once, since ruff takes longer to start than to format.

    Attributes:
        kept: files that were not written, because they exist and differ.
    """

    def __init__(self, folder: Path, report: Report, *, overwrite: bool) -> None:
        self._folder = folder
        self._report = report
        self._overwrite = overwrite
        self._unformatted: dict[str, str] = {}
        self.kept: list[Path] = []

    def add(self, sources: dict[str, str]) -> None:
        self._unformatted |= sources
        if len(self._unformatted) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        for name, source in self._formatted().items():
            self.write(self._folder / name, source)
        self._unformatted = {}

    def _formatted(self) -> dict[str, str]:
        """Format all sources at once; if that fails, one by one, and report those that fail."""
        with suppress(FormattingError):
            return formatted(self._unformatted)
        done: dict[str, str] = {}
        for name, source in self._unformatted.items():
            try:
                done |= formatted({name: source})
            except FormattingError as error:
                what_to_do = "It is an error of the import, not of the package: report it."
                self._report.unreadable.append(Unreadable(source=Path(name), why=f"{error}.", what_to_do=what_to_do))
        return done

    def write(self, path: Path, content: str) -> None:
        if path.exists() and not self._overwrite:
            if path.read_bytes() != content.encode():
                self.kept.append(path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())


class _Rate(ProgressColumn):
    """How many files are read a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} files/s" if task.speed else "")


def _progress() -> Progress:
    """Return a progress bar on the terminal, if standard error is one."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
