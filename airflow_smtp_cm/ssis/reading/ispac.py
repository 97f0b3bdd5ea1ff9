"""Deployment files (.ispac): a ZIP archive with the project's files, their names percent-encoded.

Nothing is unpacked to the disk. A part is read whole, and only if what the archive's directory says of it is within
limits; Python's zipfile never gives more than that.
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

#: Files in an archive. The largest projects have some hundreds of packages.
MOST_PARTS = 5_000
#: Bytes of an archive. It may be nothing but a directory, of which each entry takes ten times its size in memory.
MOST_PACKED = 32 * 1024 * 1024
#: Bytes of all files together, unpacked.
MOST_UNPACKED = 8 * MOST_BYTES
#: How many times smaller a file may be packed. Data flow, which repeats itself a lot, shrinks to a thirtieth or so.
MOST_RATIO = 200
#: Below this a file is no bomb, whatever its ratio.
HARMLESS_BYTES = 1024 * 1024

_READ = frozenset({".dtsx", ".conmgr", ".params"})
_ARCHIVES = frozenset({".ispac", ".zip", ".rar", ".7z", ".gz", ".cab"})
_ENCRYPTED = 0x1  # general purpose bit flag (APPNOTE.TXT, section 4.4.4)


def read_ispac(path: Path) -> Iterator[Project | Unreadable]:
    """Read the project of an archive.

    Args:
        path: the .ispac.

    Yields:
        Every part that cannot be read, then the project with the rest; the archive, if none of it can be read.
    """
    try:
        check_file(path, MOST_PACKED)
        with _damage():
            archive = ZipFile(path)
        with archive:
            yield from read_project(path, _parts(archive, path))
    except NotReadableError as error:
        yield Unreadable(source=path, why=error.why, what_to_do=error.what_to_do)


def _parts(archive: ZipFile, path: Path) -> list[Part]:
    entries = archive.infolist()
    if len(entries) > MOST_PARTS or sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise NotReadableError(
            f"It has more than {MOST_PARTS:,} files, or they have more than {MOST_UNPACKED // 1024**2:,} MB.",
            "No project is that large: check where it comes from.",
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
    """Return a name that stays within the archive's, for messages."""
    return name.replace("\\", "/").replace("\0", "").lstrip("/") or "?"


def _loader(archive: ZipFile, entry: ZipInfo, name: str, *, duplicate: bool) -> Callable[[], bytes]:
    def load() -> bytes:
        _check(entry, name, duplicate=duplicate)
        with _damage(), archive.open(entry) as file:
            return file.read()

    return load


def _check(entry: ZipInfo, name: str, *, duplicate: bool) -> None:
    windows = PureWindowsPath(name)
    if windows.drive or windows.root or ".." in windows.parts or "\0" in name:
        raise NotReadableError("Its name leads out of the archive.", "Check where the archive comes from.")
    if windows.suffix.lower() in _ARCHIVES:
        raise NotReadableError("It is an archive in the archive.", "Unpack it, and read it by itself.")
    if duplicate:
        raise NotReadableError(
            "The archive has it twice; the first is read.", "Build the project again, or check where it comes from."
        )
    if entry.flag_bits & _ENCRYPTED:
        raise NotReadableError(
            "The archive keeps it encrypted.", "Unpack the archive with its password, and pack it."
        )
    ratio = entry.file_size / max(entry.compress_size, 1)
    if entry.file_size > MOST_BYTES or (entry.file_size > HARMLESS_BYTES and ratio > MOST_RATIO):
        raise NotReadableError(
            f"Unpacked it has {entry.file_size // 1024**2:,} MB, {ratio:.0f} times what it has packed.",
            "No package has: check where the archive comes from.",
        )


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise NotReadableError(
            f"The archive is damaged ({error}).",
            "It may have been corrupted by a conversion of its line ends, as Git does with what it takes for text: "
            "build it again, or fetch it as a binary file (in .gitattributes: *.ispac binary).",
        ) from error
