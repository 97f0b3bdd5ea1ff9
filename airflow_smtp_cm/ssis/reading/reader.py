"""Finds the files of SSIS projects and packages, and reads one project after the other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.model import Unreadable
from airflow_smtp_cm.ssis.reading.files import cannot_be_opened, load
from airflow_smtp_cm.ssis.reading.ispac import read_ispac
from airflow_smtp_cm.ssis.reading.projects import Part, read_project
from airflow_smtp_cm.ssis.reading.safe_xml import NotReadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_smtp_cm.ssis.model import Project

_PACKAGE = ".dtsx"
_ARCHIVE = ".ispac"
_PROJECT = ".dtproj"
_PROJECT_FILES = frozenset({_PROJECT, ".params", ".conmgr"})
_KNOWN = frozenset({_PACKAGE, _ARCHIVE}) | _PROJECT_FILES
# Folders into which Visual Studio copies everything when it builds a project.
_BUILD_FOLDERS = frozenset({"bin", "obj"})


def find_files(paths: Iterable[Path]) -> list[Path]:
    """Find the files that ``read`` reads.

    Args:
        paths: files, and folders that are searched recursively. The build folders of Visual Studio (``bin`` and
            ``obj`` next to a .dtproj) contain copies; they are skipped unless they are passed themselves.

    Returns:
        Each file once, in a fixed order. Passed files of other types, and folders that cannot be opened, are
        included: ``read`` reports them as unreadable.
    """
    found: dict[str, Path] = {}
    folders: set[str] = set()
    for path in paths:
        is_folder = os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises if a parent folder cannot be opened
        for file in sorted(_search(path, folders)) if is_folder else [path]:
            found.setdefault(os.path.realpath(file), file)
    return list(found.values())


def read(paths: Iterable[Path], *, on_file: Callable[[Path], None]) -> Iterator[Project | Unreadable]:
    """Read projects one by one; only one is in memory at a time.

    The files of a folder with a .dtproj, .params or .conmgr are one project; without a .dtproj it has the folder's
    name. A package is read together with the project files of its folder, even if only the package is passed. Every
    other package is a project of its own, without a name.

    Args:
        paths: files and folders, as for ``find_files``.
        on_file: called with each file of ``find_files`` before it is read.

    Yields:
        Projects in the order of their files; before each, its unreadable files.
    """
    folders: dict[Path, list[Path]] = {}
    for file in find_files(paths):
        folders.setdefault(file.parent, []).append(file)
    for folder, files in folders.items():
        yield from _read_folder(folder, files, on_file)


def _search(folder: Path, visited: set[str]) -> Iterator[Path]:
    unopened: list[Path] = []

    def on_error(error: OSError) -> None:
        unopened.append(Path(error.filename))

    for name, below, files in os.walk(folder, followlinks=True, onerror=on_error):
        here = Path(name)
        # A link may point to a folder that was searched already.
        if (real := os.path.realpath(here)) in visited:
            below.clear()
            continue
        visited.add(real)
        if any(Path(file).suffix.lower() == _PROJECT for file in files):
            below[:] = [name for name in below if name.lower() not in _BUILD_FOLDERS]
        below.sort()
        yield from (here / file for file in files if Path(file).suffix.lower() in _KNOWN)
    yield from unopened


def _read_folder(folder: Path, files: list[Path], on_file: Callable[[Path], None]) -> Iterator[Project | Unreadable]:
    of_project = _project_files(folder)
    together = [file for file in files if file.suffix.lower() in _PROJECT_FILES]
    packages = [_part(file, on_file) for file in files if file.suffix.lower() == _PACKAGE]
    if of_project:
        context = [_part(file, on_file if file in together else _nothing) for file in of_project]
        yield from read_project(folder, [*context, *packages], complete=len(together) == len(of_project))
    else:
        for package in packages:
            yield from read_project(folder, [package])
    for file in files:
        if file.suffix.lower() == _ARCHIVE:
            on_file(file)
            yield from read_ispac(file)
        elif file.suffix.lower() not in _KNOWN:
            on_file(file)
            yield _not_ssis(file)


def _nothing(_: Path) -> None:
    pass


def _part(file: Path, on_file: Callable[[Path], None]) -> Part:
    def announce_and_load() -> bytes:
        on_file(file)
        return load(file)

    return Part(file, announce_and_load)


def _project_files(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.suffix.lower() in _PROJECT_FILES)
    except OSError:
        return []


def _not_ssis(file: Path) -> Unreadable:
    error = NotReadableError(
        "It is not an SSIS file: the names of these end in .dtsx, .dtproj, .params, .conmgr or .ispac.",
        "Do not pass it, or pass the folder of the project.",
    )
    try:
        if file.is_dir():
            next(file.iterdir(), None)
        else:
            file.stat()
    except OSError as unopened:
        error = cannot_be_opened(unopened)
    return Unreadable(source=file, why=error.why, what_to_do=error.what_to_do)
