"""Describes an unexpected exception, so that the import can go on with the next file."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.model import Unreadable

if TYPE_CHECKING:
    from pathlib import PurePath

_FRAMES = 20


def unexpected(error: Exception, source: PurePath) -> Unreadable:
    """Return the report of an exception that no code of the import expects.

    Its text is not in the report, because it may quote a secret of the package.

    Args:
        error: the exception, while it is handled.
        source: the file that is read or converted.
    """
    frames = "".join(traceback.format_tb(error.__traceback__, limit=-_FRAMES))
    return Unreadable(
        source=source,
        why=f"An unexpected error occurred: {type(error).__name__}.",
        what_to_do="It is an error of the import, not of the package: report it with its traceback.",
        traceback=f"{frames}{type(error).__name__}",
    )
