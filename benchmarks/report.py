"""The results as Markdown tables."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from benchmarks.rounds import HOOK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_COLUMNS = ("case", "client", ">median", ">min", ">max", "unit", ">to the hook", ">to smtp-source")

_WHOLE = 100  # numbers from here on have no decimals


def markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows of ``results.json`` as a table."""
    return table(_COLUMNS, _lines(rows))


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table with a line for each case: the clients' medians, with their ratios to the hook in brackets."""
    clients = list(dict.fromkeys(row["client"] for row in rows))
    lines = []
    for (case, unit), of_case in groupby(rows, key=lambda row: (row["case"], row["unit"])):
        cells = {row["client"]: _cell(row) for row in of_case}
        lines.append([f"`{case}`", unit, *(cells.get(client, "") for client in clients)])
    return table(["case", "unit", *(f">{client}" for client in clients)], lines)


def table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown.

    Args:
        columns: the headings; columns whose heading begins with ">" are right-aligned.
        lines: the cells, line by line.
    """
    head = [name.removeprefix(">") for name in columns]
    rule = ["---:" if name.startswith(">") else "---" for name in columns]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines)) + "\n"


def number(value: float) -> str:
    """Return a number with three significant digits, or as a whole number from 100 on."""
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.3g}"


def _lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[str]]:
    for case, of_case in groupby(rows, key=lambda row: row["case"]):
        for at, row in enumerate(of_case):
            figures = [number(row[name]) for name in ("median", "min", "max")]
            ratios = [_ratio(row[name]) for name in ("ratio_to_hook", "ratio_to_smtp_source")]
            yield ["" if at else case, row["client"], *figures, row["unit"], *ratios]


def _cell(row: Mapping[str, Any]) -> str:
    ratio = row["ratio_to_hook"]
    return number(row["median"]) + (f" ({_ratio(ratio)})" if ratio and row["client"] != HOOK else "")


def _ratio(value: float | None) -> str:
    return "" if value is None else number(value)
