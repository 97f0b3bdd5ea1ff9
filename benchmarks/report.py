"""The results in words: a Markdown table."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HEAD = """\
| case | client | median | min | max | unit | to the hook | to smtp-source |
|---|---|---:|---:|---:|---|---:|---:|"""


_WHOLE = 100  # from here on without decimals


def markdown(rows: list[Mapping[str, Any]]) -> str:
    """Return the rows as a table."""
    return "\n".join([_HEAD, *_lines(rows)]) + "\n"


def _lines(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    for case, of_case in groupby(rows, key=lambda row: row["case"]):
        for number, row in enumerate(of_case):
            figures = [_number(row[name]) for name in ("median", "min", "max")]
            ratios = [_ratio(row[name]) for name in ("ratio_to_hook", "ratio_to_smtp_source")]
            name = "" if number else case
            yield f"| {' | '.join([name, row['client'], *figures, row['unit'], *ratios])} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.3g}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
