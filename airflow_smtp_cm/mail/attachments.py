"""Attachments: where their octets come from, and what they are called (SSIS FileAttachments)."""

from __future__ import annotations

import errno
import glob
import io
import mimetypes
import os
import re
import stat
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, TypeAlias, runtime_checkable

from airflow_smtp_cm.mail.control_characters import forbidden, visible
from airflow_smtp_cm.mail.errors import InvalidAttachment, SourceChanged
from airflow_smtp_cm.problems import Problems, read_each

__all__ = ["Attachment", "FileLike", "Status", "expand"]

DEFAULT_MEDIA_TYPE = "application/octet-stream"

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+"  # noqa: S105  # RFC 2045, section 5.1
_MEDIA_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(?:; ?{_TOKEN}=(?:{_TOKEN}|"[ !#-\[\]-~]*"))*')
_PATTERN = re.compile(r"[*?[]")
_MAX_MEDIA_TYPE = 255  # octets; it stands on one header line, with room to spare
_MAX_NAME = 1024  # characters: no storage has longer names
_MAX_PATTERN = 4096  # characters: no file system has longer paths
# What says that there is no such file, of errors that Python has no class for.
_NO_SUCH_FILE = (errno.ENAMETOOLONG, errno.ELOOP)

# What mail is full of and the table lacks before Python 3.14.
_OFFICE_TYPES = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_COMPRESSED_TYPES = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


class Status(Protocol):
    """What ``stat`` tells; ``st_mode`` is looked at too, if it is there."""

    @property
    def st_size(self) -> int:
        """Number of octets."""


@runtime_checkable
class FileLike(Protocol):
    """A file somewhere: ``pathlib.Path``, Airflow's ``ObjectStoragePath``, and what behaves as they do."""

    @property
    def name(self) -> str:
        """The last component of the path."""

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        """Open the file."""

    def stat(self) -> Status:
        """Tell its size."""


Source: TypeAlias = str | os.PathLike[str] | FileLike | bytes


@dataclass(frozen=True, slots=True, init=False)
class Attachment:
    """Octets with a name, to be read while they are sent.

    Attributes:
        source: a path, an object that can be opened as ``pathlib.Path`` can, or the octets themselves.
        name: the file name shown to the recipient; by default the source's own.
        media_type: such as ``text/csv; charset=utf-8``; by default guessed from the name. Mail messages (``.eml``)
            are sent as application/octet-stream: base64 is not allowed for ``message/rfc822`` (RFC 2046, section
            5.2.1), and nothing else would carry every file unchanged.
        size: number of octets, as it was when the attachment was made; that many are sent.

    Raises:
        InvalidAttachment: the source is missing, not readable or not a file, or the name or media type cannot be
            written into a header.
    """

    source: Source = field(repr=False)
    name: str
    media_type: str
    size: int = field(init=False)

    def __init__(self, source: Source, name: str | None = None, media_type: str | None = None) -> None:
        name = _own_name(source) if name is None else name
        problems = Problems(_name_problems(name))
        if media_type is None:
            media_type = DEFAULT_MEDIA_TYPE if problems else _guess(name)
        problems += _media_type_problems(media_type)
        size = problems.attempt(_size, source)
        problems.raise_as(InvalidAttachment)
        for attribute, value in (("source", source), ("name", name), ("media_type", media_type), ("size", size)):
            object.__setattr__(self, attribute, value)

    def blocks(self, block_size: int) -> Generator[bytes]:
        """Read ``size`` octets, in blocks of ``block_size`` (the last one may be shorter).

        Raises:
            SourceChanged: there are fewer octets by now. (More are not sent: the size has been announced.)
            OSError: the source cannot be read any more.
        """
        left = self.size
        with _open(self.source) as file:
            while left:
                block = _read(file, min(block_size, left))
                left -= len(block)
                if not block:
                    raise SourceChanged(
                        f'The attachment "{self.name}" had {self.size} octets when the message was built, and has '
                        f"{self.size - left} now."
                    )
                yield block


# What is one attachment, however much one can iterate over it.
ONE_ITEM = (str, bytes, os.PathLike, FileLike, Attachment)
Attachments: TypeAlias = Source | Attachment | Iterable[Source | Attachment] | None


def expand(items: Attachments) -> tuple[Attachment, ...]:
    """Turn paths and sources into attachments.

    A string may hold several paths, separated by ``|``, and patterns (``*``, ``?``, ``[...]``, and ``**`` for any
    depth of folders), whose files come in sorted order. A file that has the very name of a pattern is meant itself.
    Path objects and other sources are taken as they are.

    Raises:
        InvalidAttachment: names every file that is missing or not readable, and every pattern without a file, up to
            some hundred.
    """
    if items is None:  # most messages; to tell one item from several takes longer than all the rest of them
        return ()
    return read_each(_attach, sources(items), InvalidAttachment)


def sources(items: Source | Attachment | Iterable[Source | Attachment]) -> Iterator[Source | Attachment]:
    """Yield one source after the other: a string may hold several, separated by ``|``."""
    for item in (items,) if isinstance(items, ONE_ITEM) else items:
        yield from filter(None, map(str.strip, item.split("|"))) if isinstance(item, str) else (item,)


def _attach(source: Source | Attachment) -> tuple[Attachment, ...]:
    if isinstance(source, Attachment):
        return (source,)
    # Path.exists and Path.is_dir would raise for what we may not look at, and Path.glob takes no absolute pattern.
    if not isinstance(source, str) or not _PATTERN.search(source) or os.path.exists(source):  # noqa: PTH110
        return (Attachment(source),)
    if character := forbidden(source):
        raise InvalidAttachment(f'The pattern "{visible(source)}" holds the control character {character}.')
    if len(source) > _MAX_PATTERN:
        raise InvalidAttachment(f'The pattern "{visible(source)}" is longer than {_MAX_PATTERN:,} characters.')
    found = glob.glob(source, recursive=True)  # noqa: PTH207
    files = sorted(path for path in found if not os.path.isdir(path))  # noqa: PTH112
    if not files:
        raise InvalidAttachment(f'No file matches the pattern "{visible(source)}".')
    return expand(map(Path, files))


def _path(source: str | os.PathLike[str] | FileLike) -> FileLike:
    return source if isinstance(source, FileLike) else Path(source)


def _own_name(source: Source) -> str:
    return "" if isinstance(source, bytes) else _path(source).name


def _open(source: Source) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else _path(source).open("rb")


def _size(source: Source) -> int:
    """Tell the size of a source that is there and can be read.

    Other errors than these, such as a network's, say nothing about the message and are left as they are.
    """
    if isinstance(source, bytes):
        return len(source)
    path = _path(source)
    shown = visible(str(path))
    try:
        status = path.stat()
        # A storage without kinds says 0, and Airflow reports the link itself. Opening a pipe would wait for a writer.
        is_file = stat.S_IFMT(getattr(status, "st_mode", 0)) in (0, stat.S_IFREG, stat.S_IFLNK)
        if is_file:
            path.open("rb").close()
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError | ValueError)
        if not missing and getattr(error, "errno", None) not in _NO_SUCH_FILE:
            raise
        raise InvalidAttachment(
            f'Either the file "{shown}" does not exist or you do not have permissions to access the file.'
        ) from error
    if not is_file:
        raise InvalidAttachment(f'"{shown}" is not a file (a folder, for instance) and cannot be attached.')
    return status.st_size


def _read(file: BinaryIO, count: int) -> bytes:
    """Read ``count`` octets, fewer only at the end of the file: a remote file may give less than it is asked for."""
    block = file.read(count)
    while block and len(block) < count and (more := file.read(count - len(block))):
        block += more
    return block


def _name_problems(name: str) -> Iterator[str]:
    if not name.strip():
        yield "An attachment has no name; give it one."
    elif character := forbidden(name):
        yield f'The file name "{visible(name)}" holds the control character {character}.'
    elif len(name) > _MAX_NAME:
        yield f'The file name "{visible(name)}" is longer than {_MAX_NAME:,} characters.'


def _media_type_problems(media_type: str) -> Iterator[str]:
    if not _MEDIA_TYPE.fullmatch(media_type) or len(media_type) > _MAX_MEDIA_TYPE:
        yield f'"{visible(media_type)}" is no media type such as text/csv or text/csv; charset=utf-8.'
    elif media_type.lower().startswith(("message/", "multipart/")):
        yield (
            f'An attachment cannot be sent as "{media_type}": base64 is not allowed for it (RFC 2046). Leave the '
            f"media type out or use {DEFAULT_MEDIA_TYPE}."
        )


def _guess(name: str) -> str:
    # The slash keeps a name such as "data:..." from being taken for a URL.
    media_type, compression = _known_types().guess_type(f"/{name}", strict=False)
    if compression:
        return _COMPRESSED_TYPES.get(compression, DEFAULT_MEDIA_TYPE)
    if media_type is None or media_type.startswith(("message/", "multipart/")):
        return DEFAULT_MEDIA_TYPE
    return media_type


@cache
def _known_types() -> mimetypes.MimeTypes:
    """Return Python's own table, so that a message does not depend on the machine it is written on."""
    known = mimetypes.MimeTypes()
    for suffix, media_type in _OFFICE_TYPES.items():
        known.add_type(media_type, suffix)
    return known
