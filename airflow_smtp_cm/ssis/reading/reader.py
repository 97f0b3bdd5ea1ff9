"""Finds the files of SSIS projects and packages, and reads one project after the other."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.model import Unreadable
from airflow_smtp_cm.ssis.reading import configurations
from airflow_smtp_cm.ssis.reading.configurations import ConfigurationFiles
from airflow_smtp_cm.ssis.reading.files import cannot_be_opened, load
from airflow_smtp_cm.ssis.reading.ispac import read_ispac
from airflow_smtp_cm.ssis.reading.projects import Part, listed_files, read_project
from airflow_smtp_cm.ssis.reading.safe_xml import NotReadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_smtp_cm.ssis.model import Project

_PACKAGE = ".dtsx"
_ARCHIVE = ".ispac"
_PROJECT = ".dtproj"
_PROJECT_FILES = frozenset({_PROJECT, ".params", ".conmgr"})
_KNOWN = frozenset({_PACKAGE, _ARCHIVE, configurations.SUFFIX}) | _PROJECT_FILES
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
    real_folder = cache(os.path.realpath)

    def real(file: Path) -> str:
        path = Path(real_folder(file.parent), file.name)
        # The folder is free of links, and each component of a path costs a system call.
        return os.path.realpath(path) if os.path.islink(path) else str(path)  # noqa: PTH114 - as above

    for path in paths:
        is_folder = os.path.isdir(path)  # noqa: PTH112 - Path's method raises if a parent folder cannot be opened
        for file in sorted(_search(path, folders)) if is_folder else [path]:
            found.setdefault(real(file), file)
    return list(found.values())


def read(
    paths: Iterable[Path], *, on_file: Callable[[Path], None], given: Iterable[Path] = ()
) -> Iterator[Project | Unreadable]:
    """Read projects one by one; only one is in memory at a time.

    The files of a folder with a .dtproj, .params or .conmgr are one project; without a .dtproj it has the folder's
    name. With several .dtproj, each is a project with the files that it lists. A package is read together with the
    project files of its folder, even if only the package is passed. Every other package is a project of its own,
    without a name.

    Args:
        paths: files and folders, as for ``find_files``. Packages use the .dtsConfig files among them.
        on_file: called with each file of ``find_files`` before it is read.
        given: .dtsConfig files that apply to every package.

    Yields:
        Projects in the order of their files; before each, its unreadable files; at the end, unreadable .dtsConfig.
    """
    files = find_files(paths)
    found: dict[str, list[Path]] = {}
    for file in files:
        if file.suffix.lower() == configurations.SUFFIX:
            found.setdefault(file.name.casefold(), []).append(file)
    applied = ConfigurationFiles(tuple(given), found)
    applied.read_given()
    folders: dict[Path, list[Path]] = {}
    for file in files:
        folders.setdefault(file.parent, []).append(file)
    for folder, its_files in folders.items():
        yield from _Folder(folder, its_files, on_file, applied).read()
    yield from applied.unreadable


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
        if any(_suffix(file) == _PROJECT for file in files):
            below[:] = [name for name in below if name.lower() not in _BUILD_FOLDERS]
        below.sort()
        yield from (here / file for file in files if _suffix(file) in _KNOWN)
    yield from unopened


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - for each of many files, a Path costs too much


@dataclass(slots=True)
class _Folder:
    path: Path
    files: list[Path]
    on_file: Callable[[Path], None]
    configurations: ConfigurationFiles
    _passed: frozenset[Path] = field(init=False)
    _announced: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._passed = frozenset(self.files)

    def read(self) -> Iterator[Project | Unreadable]:
        of_project = _project_files(self.path)
        shared = [file for file in of_project if file.suffix.lower() != _PROJECT]
        projects = [file for file in of_project if file.suffix.lower() == _PROJECT]
        packages = [file for file in self.files if file.suffix.lower() == _PACKAGE]
        if len(projects) > 1:
            yield from self._read_several(projects, shared, packages)
        elif of_project:
            complete = self._passed.issuperset(of_project)
            yield from self._read_project([*projects, *shared], packages, complete=complete)
        else:
            for package in packages:
                yield from self._read_project([], [package])
        for file in self.files:
            yield from self._read_other(file)

    def _read_several(
        self, projects: list[Path], shared: list[Path], packages: list[Path]
    ) -> Iterator[Project | Unreadable]:
        """Read each project with the files that it lists; then the packages that none of them lists."""
        rest = set(packages)
        for project in projects:
            listed = listed_files(Part(project, partial(load, project)))
            own = [file for file in packages if file.name.casefold() in listed]
            rest -= set(own)
            context = [file for file in shared if file.suffix.lower() == ".params" or file.name.casefold() in listed]
            yield from self._read_project([project, *context], own, complete=project in self._passed)
        if rest:
            yield from self._read_project(shared, [file for file in packages if file in rest])

    def _read_project(
        self, context: list[Path], packages: list[Path], *, complete: bool = True
    ) -> Iterator[Project | Unreadable]:
        parts = [Part(file, partial(self._load, file)) for file in (*context, *packages)]
        yield from read_project(self.path, parts, self.configurations, complete=complete)

    def _load(self, file: Path) -> bytes:
        self._announce(file)
        return load(file)

    def _announce(self, file: Path) -> None:
        if file in self._passed and file not in self._announced:
            self._announced.add(file)
            self.on_file(file)

    def _read_other(self, file: Path) -> Iterator[Project | Unreadable]:
        suffix = file.suffix.lower()
        if suffix not in {_PACKAGE, *_PROJECT_FILES}:
            self._announce(file)
        if suffix == _ARCHIVE:
            yield from read_ispac(file, self.configurations)
        elif suffix not in _KNOWN:
            yield _not_ssis(file)


def _project_files(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.suffix.lower() in _PROJECT_FILES)
    except OSError:
        return []


def _not_ssis(file: Path) -> Unreadable:
    error = NotReadableError(
        "It is not an SSIS file: the names of these end in .dtsx, .dtproj, .params, .conmgr, .ispac or .dtsConfig.",
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
