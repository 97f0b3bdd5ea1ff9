"""Attachments: their sources, names and media types (SSIS FileAttachments)."""

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

from airflow_smtp_cm.characters.control import forbidden, visible
from airflow_smtp_cm.mail.errors import InvalidAttachment, SourceChanged
from airflow_smtp_cm.problems import Problems, read_each

__all__ = ["Attachment", "FileLike", "Status", "expand"]

DEFAULT_MEDIA_TYPE = "application/octet-stream"

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+"  # noqa: S105  # RFC 2045, section 5.1
_MEDIA_TYPE = rf'{_TOKEN}/{_TOKEN}(?:; ?{_TOKEN}=(?:{_TOKEN}|"[ !#-\[\]-~]*"))*'
_PATTERN = r"[*?[]"
_MAX_MEDIA_TYPE = 255  # bytes; it must fit on one header line
_CONTENT_ID = re.compile(r"[!-;=?-~]{1,255}")  # visible ASCII without angle brackets
_MAX_NAME = 1024  # characters: no storage has longer names
_MAX_PATTERN = 4096  # characters: no file system has longer paths
# Errors that also mean that the file does not exist, and have no exception class.
_NO_SUCH_FILE = (errno.ENAMETOOLONG, errno.ELOOP)

# Common types that are missing in the table of Python before 3.14.
_OFFICE_TYPES = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_COMPRESSED_TYPES = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


class Status(Protocol):
    """The result of ``stat``; ``st_mode`` is used, too, if it exists."""

    @property
    def st_size(self) -> int:
        """The size in bytes."""


@runtime_checkable
class FileLike(Protocol):
    """A file on any storage: ``pathlib.Path``, Airflow's ``ObjectStoragePath``, and compatible objects."""

    @property
    def name(self) -> str:
        """The last component of the path."""

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        """Open the file."""

    def stat(self) -> Status:
        """Return the status of the file."""


Source: TypeAlias = str | os.PathLike[str] | FileLike | bytes


@dataclass(frozen=True, slots=True, init=False)
class Attachment:
    """A file with a name; it is read while it is sent.

    Attributes:
        source: a path, an object with the interface of ``FileLike``, or the content itself.
        name: the file name that the recipient sees; by default the name of the source.
        media_type: such as ``text/csv; charset=utf-8``; by default guessed from the name. Mail messages (``.eml``)
            are sent as application/octet-stream: base64 is not allowed for ``message/rfc822`` (RFC 2046, section
            5.2.1), and other encodings would not keep every file unchanged.
        content_id: another name for ``cid:`` URLs in the HTML of the message, such as ``logo``; the file name is
            one, too. In the form ``logo@corp.example`` it is also the Content-ID (RFC 2392), which should then be
            unique; by default, the message makes one.
        size: the size in bytes when the attachment was built; exactly this many bytes are sent.

    Raises:
        InvalidAttachment: the source is missing, not readable or not a file, or the name, media type or Content-ID
            is not valid in a header.
    """

    source: Source = field(repr=False)
    name: str
    media_type: str
    content_id: str | None
    size: int = field(init=False)

    def __init__(
        self,
        source: Source,
        name: str | None = None,
        media_type: str | None = None,
        *,
        content_id: str | None = None,
    ) -> None:
        check_type(source)
        name = _own_name(source) if name is None else name
        problems = Problems(_name_problems(name))
        if media_type is None:
            media_type = DEFAULT_MEDIA_TYPE if problems else _guess(name)
        problems += _media_type_problems(media_type)
        if content_id is not None and not _CONTENT_ID.fullmatch(content_id):
            problems.append(
                f'"{visible(content_id)}" is not a content_id: use 1 to 255 visible ASCII characters without angle '
                "brackets, such as logo or logo@corp.example."
            )
        size = problems.attempt(_size, source)
        problems.raise_as(InvalidAttachment)
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "media_type", media_type)
        object.__setattr__(self, "content_id", content_id)
        object.__setattr__(self, "size", size)

    def blocks(self, block_size: int) -> Generator[bytes]:
        """Yield ``size`` bytes, in blocks of ``block_size`` (the last one may be shorter).

        Raises:
            SourceChanged: the source has fewer bytes now. (More are not sent: the size was announced.)
            OSError: the source can no longer be read.
        """
        left = self.size
        with _open(self.source) as file:
            while left:
                block = _read(file, min(block_size, left))
                left -= len(block)
                if not block:
                    raise SourceChanged(
                        f'The attachment "{self.name}" had {self.size} bytes when the message was built, and has '
                        f"{self.size - left} now."
                    )
                yield block


# Types of one attachment, although some of them are iterable.
_ONE_ITEM = (str, bytes, os.PathLike, FileLike, Attachment)
_CONTENTS = (bytearray, memoryview, io.IOBase)  # iterable, too, and errors
Attachments: TypeAlias = Source | Attachment | Iterable[Source | Attachment] | None


def expand(items: Attachments) -> tuple[Attachment, ...]:
    """Return the attachments for paths and sources.

    A string may hold several paths, separated by ``|``, and patterns (``*``, ``?``, ``[...]``, and ``**`` for any
    depth of folders), whose files come in sorted order. If a file with exactly the name of the pattern exists, it is
    attached. Path objects and other sources are not expanded.

    Raises:
        InvalidAttachment: lists all files that are missing or not readable, and all patterns without a file, up to
            about a hundred.
    """
    # True for most messages, and much faster than the check for one or several items.
    if items is None or (isinstance(items, tuple) and not items):
        return ()
    return read_each(_attach, sources(items), InvalidAttachment)


def sources(items: Source | Attachment | Iterable[Source | Attachment]) -> Iterator[Source | Attachment]:
    """Yield the sources; a string may contain several paths, separated by ``|``."""
    if isinstance(items, _CONTENTS):
        check_type(items)
    for item in (items,) if isinstance(items, _ONE_ITEM) else items:
        yield from filter(None, map(str.strip, item.split("|"))) if isinstance(item, str) else (item,)


def check_type(source: object) -> None:
    """Check that a value is a source, or an attachment.

    Raises:
        InvalidAttachment: it is neither.
    """
    if isinstance(source, _ONE_ITEM):
        return
    problem = f"An attachment must be a path or a URL, not {type(source).__name__}."
    if isinstance(source, _CONTENTS) or hasattr(source, "read"):
        problem += ' For a content in memory, use its bytes and a name: Attachment(content, "sales.csv").'
    raise InvalidAttachment(problem)


def _attach(source: Source | Attachment) -> tuple[Attachment, ...]:
    if isinstance(source, Attachment):
        return (source,)
    # Path.exists and Path.is_dir raise without permission, and Path.glob does not accept absolute patterns.
    if not isinstance(source, str) or not re.search(_PATTERN, source) or os.path.exists(source):  # noqa: PTH110
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
    """Return the size of a source, after a check that it exists and can be read.

    Other errors, such as those of a network, are raised unchanged: they are not errors of the message.
    """
    if isinstance(source, bytes):
        return len(source)
    path = _path(source)
    shown = visible(str(path))
    try:
        status = path.stat()
        # st_mode is 0 on a storage without file types, and Airflow reports links. Opening a pipe would block.
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
        raise InvalidAttachment(f'"{shown}" is not a file (but a folder, for instance) and cannot be attached.')
    return status.st_size


def _read(file: BinaryIO, count: int) -> bytes:
    """Return ``count`` bytes, fewer only at the end of the file: one read of a remote file may return fewer."""
    block = file.read(count)
    while block and len(block) < count and (more := file.read(count - len(block))):
        block += more
    return block


def _name_problems(name: str) -> Iterator[str]:
    if not name.strip():
        yield 'An attachment has no name. Set one: Attachment(content, "sales.csv").'
    elif character := forbidden(name):
        yield f'The file name "{visible(name)}" contains the control character {character}.'
    elif len(name) > _MAX_NAME:
        yield f'The file name "{visible(name)}" is longer than {_MAX_NAME:,} characters.'


def _media_type_problems(media_type: str) -> Iterator[str]:
    if not re.fullmatch(_MEDIA_TYPE, media_type) or len(media_type) > _MAX_MEDIA_TYPE:
        yield f'"{visible(media_type)}" is not a media type; examples: text/csv, text/csv; charset=utf-8.'
    elif media_type.lower().startswith(("message/", "multipart/")):
        yield (
            f'An attachment cannot be sent as "{media_type}": base64 is not allowed for it (RFC 2046). Omit the '
            f"media type or use {DEFAULT_MEDIA_TYPE}."
        )


def _guess(name: str) -> str:
    # Without the slash, a name such as "data:..." would be read as a URL.
    media_type, compression = _known_types().guess_type(f"/{name}", strict=False)
    if compression:
        return _COMPRESSED_TYPES.get(compression, DEFAULT_MEDIA_TYPE)
    if media_type is None or media_type.startswith(("message/", "multipart/")):
        return DEFAULT_MEDIA_TYPE
    return media_type


@cache
def _known_types() -> mimetypes.MimeTypes:
    """Return Python's built-in table, so that a message does not depend on the machine."""
    known = mimetypes.MimeTypes()
    for suffix, media_type in _OFFICE_TYPES.items():
        known.add_type(media_type, suffix)
    return known
