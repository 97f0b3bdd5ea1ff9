"""What is measured: a module a subject, each with its ``CASES``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bed import Bed


@dataclass(frozen=True, slots=True)
class Case:
    """A case, or several that are measured together.

    Attributes:
        name: the beginning of the names of its rows.
        measure: adds them to the bed's results.
        in_quick: whether it belongs to the run of one minute.
    """

    name: str
    measure: Callable[[Bed], None]
    in_quick: bool = True
