"""The results in words: Markdown tables."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_COLUMNS = ("case", "client", ">median", ">min", ">max", "unit", ">to the hook", ">to smtp-source")

_WHOLE = 100  # from here on without decimals


def markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows of ``results.json`` as a table."""
    return table(_COLUMNS, _lines(rows))


def table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown.

    Args:
        columns: what stands above them; those that begin with ">" are flush right.
        lines: what stands in them.
    """
    head = [name.removeprefix(">") for name in columns]
    rule = ["---:" if name.startswith(">") else "---" for name in columns]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines)) + "\n"


def number(value: float) -> str:
    """Return a number with as many digits as it is worth."""
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.3g}"


def _lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[str]]:
    for case, of_case in groupby(rows, key=lambda row: row["case"]):
        for at, row in enumerate(of_case):
            figures = [number(row[name]) for name in ("median", "min", "max")]
            ratios = [_ratio(row[name]) for name in ("ratio_to_hook", "ratio_to_smtp_source")]
            yield ["" if at else case, row["client"], *figures, row["unit"], *ratios]


def _ratio(value: float | None) -> str:
    return "" if value is None else number(value)
