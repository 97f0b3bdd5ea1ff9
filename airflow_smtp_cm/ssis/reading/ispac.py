"""Reads deployment files (.ispac): a ZIP archive with the project's files; their names are percent-encoded.

Nothing is unpacked to the disk. A part is read only if its sizes in the archive's directory are within the limits;
Python's zipfile never returns more bytes than the directory states.
"""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING
from urllib.parse import unquote
from zipfile import BadZipFile, ZipFile

from airflow_smtp_cm.ssis.model import Unreadable
from airflow_smtp_cm.ssis.reading.files import check_file
from airflow_smtp_cm.ssis.reading.projects import MANIFEST, Part, read_project
from airflow_smtp_cm.ssis.reading.safe_xml import MOST_BYTES, NotReadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from zipfile import ZipInfo

    from airflow_smtp_cm.ssis.model import Project
    from airflow_smtp_cm.ssis.reading.configurations import ConfigurationFiles

#: Maximum number of files in an archive. The largest projects have some hundreds of packages.
MOST_PARTS = 5_000
#: Maximum bytes of an archive. All of them may be directory entries, which take ten times their size in memory.
MOST_PACKED = 32 * 1024 * 1024
#: Maximum bytes of all files, unpacked.
MOST_UNPACKED = 8 * MOST_BYTES
#: Maximum compression ratio of a file. Data flow, which is repetitive, reaches about 30.
MOST_RATIO = 200
#: A smaller file is harmless at any compression ratio.
HARMLESS_BYTES = 1024 * 1024

_READ = frozenset({".dtsx", ".conmgr", ".params"})
_ARCHIVES = frozenset({".ispac", ".zip", ".rar", ".7z", ".gz", ".cab"})
_ENCRYPTED = 0x1  # general purpose bit flag (APPNOTE.TXT, section 4.4.4)


def read_ispac(path: Path, configurations: ConfigurationFiles) -> Iterator[Project | Unreadable]:
    """Read the project of an archive.

    Args:
        path: the .ispac.
        configurations: the configuration files that its packages can use.

    Yields:
        Every unreadable part, then the project with the others; the archive itself, if it is unreadable.
    """
    try:
        check_file(path, MOST_PACKED)
        with _report_damage():
            archive = ZipFile(path)
        with archive:
            yield from read_project(path, _parts(archive, path), configurations)
    except NotReadableError as error:
        yield Unreadable(source=path, why=error.why, what_to_do=error.what_to_do)


def _parts(archive: ZipFile, path: Path) -> list[Part]:
    entries = archive.infolist()
    if len(entries) > MOST_PARTS or sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise NotReadableError(
            f"It has more than {MOST_PARTS:,} files, or more than {MOST_UNPACKED // 1024**2:,} MB of files.",
            "SSIS projects are smaller: check its source.",
        )
    seen: set[str] = set()
    parts = []
    for entry in entries:
        name = unquote(entry.filename)
        suffix = PurePosixPath(name).suffix.lower()
        if name != MANIFEST and suffix not in _READ | _ARCHIVES:
            continue  # [Content_Types].xml, folders
        duplicate = name.casefold() in seen
        seen.add(name.casefold())
        parts.append(Part(path / _inner(name), _loader(archive, entry, name, duplicate=duplicate)))
    return parts


def _inner(name: str) -> str:
    """Return a name, for messages, that cannot point outside the archive."""
    return name.replace("\\", "/").replace("\0", "").lstrip("/") or "?"


def _loader(archive: ZipFile, entry: ZipInfo, name: str, *, duplicate: bool) -> Callable[[], bytes]:
    def load() -> bytes:
        _check(entry, name, duplicate=duplicate)
        with _report_damage(), archive.open(entry) as file:
            return file.read()

    return load


def _check(entry: ZipInfo, name: str, *, duplicate: bool) -> None:
    windows = PureWindowsPath(name)
    if windows.drive or windows.root or ".." in windows.parts or "\0" in name:
        raise NotReadableError("Its name points outside the archive.", "Check the source of the archive.")
    if windows.suffix.lower() in _ARCHIVES:
        raise NotReadableError("It is an archive within the archive.", "Unpack it, and pass it separately.")
    if duplicate:
        raise NotReadableError(
            "The archive contains it twice; the first was read.", "Build the project again, or check its source."
        )
    if entry.flag_bits & _ENCRYPTED:
        raise NotReadableError(
            "It is encrypted in the archive.", "Unpack the archive with its password, and pack it again."
        )
    ratio = entry.file_size / max(entry.compress_size, 1)
    if entry.file_size > MOST_BYTES or (entry.file_size > HARMLESS_BYTES and ratio > MOST_RATIO):
        raise NotReadableError(
            f"Its unpacked size is {entry.file_size // 1024**2:,} MB, {ratio:.0f} times its packed size.",
            "SSIS packages are smaller: check the source of the archive.",
        )


@contextmanager
def _report_damage() -> Iterator[None]:
    try:
        yield
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise NotReadableError(
            f"The archive is damaged ({error}).",
            "A conversion of its line ends may have corrupted it, as Git does with files that look like text: "
            "build it again, or get it as a binary file (in .gitattributes: *.ispac binary).",
        ) from error
