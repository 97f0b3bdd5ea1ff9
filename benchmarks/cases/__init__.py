"""The cases: one module for each subject, with its ``CASES``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bed import Bed


@dataclass(frozen=True, slots=True)
class Case:
    """A case, or several cases that are measured together.

    Attributes:
        name: the beginning of the names of its rows.
        measure: measures them, and adds the rows to the bed's results.
        in_quick: whether ``--quick`` includes it.
    """

    name: str
    measure: Callable[[Bed], None]
    in_quick: bool = True
