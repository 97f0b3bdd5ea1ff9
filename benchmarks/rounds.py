"""Rounds: the clients take turns, so that the load of the machine affects all of them alike."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

T = TypeVar("T")

OURS = "airflow-smtp-cm"
HOOK = "hook"
SMTP_SOURCE = "smtp-source"

MESSAGES_PER_SECOND = "messages/s"  # the only unit where more is better


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The results of one client in one case, one value per round."""

    case: str
    client: str
    unit: str
    values: tuple[float, ...]

    def times_faster_than(self, other: Row) -> float:
        """Return the median of the rounds' ratios; above 1, this client is faster, or takes less.

        A client that was measured only once is compared with every round of the other.
        """
        rounds = max(len(self.values), len(other.values))
        pairs = list(zip(self._repeated(rounds), other._repeated(rounds), strict=True))
        if self.unit == MESSAGES_PER_SECOND:
            return median(own / others for own, others in pairs)
        return median(others / own if own else float("inf") for own, others in pairs)

    def _repeated(self, rounds: int) -> tuple[float, ...]:
        return self.values * rounds if len(self.values) == 1 else self.values


class Results:
    """All rows, in the order in which they were measured."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, case: str, unit: str, values: Mapping[str, Sequence[float]]) -> None:
        """Add a row for each client."""
        self.rows += [
            Row(case=case, client=client, unit=unit, values=tuple(measured)) for client, measured in values.items()
        ]

    def add_costs(self, rows: Mapping[str, str], measured: Mapping[str, Sequence[tuple[float, ...]]]) -> None:
        """Add several rows for each client.

        Args:
            rows: their cases and units.
            measured: for each client and round, the values for these rows; a client with fewer values lacks the last
                rows.
        """
        for number, (case, unit) in enumerate(rows.items()):
            known = {client: each for client, each in measured.items() if number < len(each[0])}
            self.add(case, unit, {client: [costs[number] for costs in each] for client, each in known.items()})

    def find(self, case: str, client: str) -> Row | None:
        """Return the client's row of the case, if it was measured."""
        return next((row for row in self.rows if (row.case, row.client) == (case, client)), None)

    def ratio(self, row: Row, to: str) -> float | None:
        """Return the ratio of the row to another client in the same case, if that client was measured."""
        other = self.find(row.case, to)
        return row.times_faster_than(other) if other else None

    def as_json(self) -> dict[str, Any]:
        """Return the rows as texts and numbers, rounded to four significant digits."""
        return {"rows": list(map(self._row_as_json, self.rows))}

    def _row_as_json(self, row: Row) -> dict[str, Any]:
        return {
            "case": row.case,
            "client": row.client,
            "unit": row.unit,
            "median": _rounded(median(row.values)),
            "min": _rounded(min(row.values)),
            "max": _rounded(max(row.values)),
            "ratio_to_hook": _rounded(self.ratio(row, HOOK)),
            "ratio_to_smtp_source": _rounded(self.ratio(row, SMTP_SOURCE)),
        }


def alternate(runs: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Run all in turn, ``rounds`` times; each round begins with another one. Return the results of each."""
    outcomes: dict[str, list[T]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in _rotated(list(runs), number):
            outcomes[name].append(runs[name]())
    return outcomes


def _rotated(names: list[str], by: int) -> Iterator[str]:
    start = by % len(names)
    yield from names[start:]
    yield from names[:start]


def _rounded(value: float | None) -> float | None:
    if value is None or value == float("inf"):
        return None
    return float(f"{value:.4g}")
