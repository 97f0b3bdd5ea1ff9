"""Checks and loads files on the disk."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.reading.safe_xml import MOST_BYTES, NotReadableError

if TYPE_CHECKING:
    from pathlib import Path


def check_file(path: Path, most_bytes: int) -> None:
    """Check that this is a regular file, and not too large.

    Raises:
        NotReadableError: it is not; reading a pipe or a device may never end.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise cannot_be_opened(error) from error
    if not stat.S_ISREG(status.st_mode):
        raise NotReadableError("It is not a regular file.", "Do not pass it.")
    if status.st_size > most_bytes:
        raise NotReadableError(
            f"It is larger than {most_bytes // 1024**2} MB.", "SSIS files are smaller: check its source."
        )


def load(path: Path) -> bytes:
    """Return the content of an XML file.

    Raises:
        NotReadableError: it cannot be opened, or is too large.
    """
    check_file(path, MOST_BYTES)
    try:
        return path.read_bytes()
    except OSError as error:
        raise cannot_be_opened(error) from error


def cannot_be_opened(error: OSError) -> NotReadableError:
    """Return the error for a file or folder that the system does not open."""
    return NotReadableError(f"It cannot be opened: {error.strerror}.", "Check its name and its permissions.")
