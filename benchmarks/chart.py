"""The chart in the documentation: the speed of each client relative to the hook of Airflow's provider, as SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from benchmarks.report import number
from benchmarks.rounds import HOOK, OURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_PANELS = {
    "single/smtp-sink": "1 kB, one after the other, PIPELINING only",
    "single/chunking": "1 kB, one after the other, CHUNKING",
    "bulk/smtp-sink": "1 kB, in bulk, PIPELINING only",
    "bulk/chunking": "1 kB, in bulk, CHUNKING",
    "recipients-1/20ms": "1 recipient, 20 ms away",
    "recipients-100/20ms": "100 recipients, 20 ms away",
    "attachment-50MB": "An attachment of 50 MB",
    "connect/starttls/cpu": "CPU of a new TLS connection",
}
_NAME = "Times as fast as the hook of Airflow's own SMTP provider"
_NAMES = {HOOK: "Airflow's hook"}
_COLUMNS = 2

# Pixels, before the viewer scales the image.
_MARGIN = 16
_HEAD = 48
_PANEL_WIDTH = 424
_TITLE = 28
_LINE = 20
_BAR = 12
_NAMES_WIDTH = 190
_BARS_WIDTH = 170
_GAP = 16

# With its own background, so that the text is readable on any page.
_STYLE = """\
svg { --back: #ffffff; --text: #24292f; --faint: #57606a; --other: #b1b8c0; --own: #1f6feb; }
@media (prefers-color-scheme: dark) {
  svg { --back: #1c2128; --text: #e6edf3; --faint: #9aa4af; --other: #57606a; --own: #58a6ff; }
}
text { fill: var(--text); font: 12px system-ui, sans-serif; }
.back { fill: var(--back); }
.faint { fill: var(--faint); }
.title { font-weight: 600; }
.other { fill: var(--other); }
.own { fill: var(--own); }"""


def svg(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the chart of rows of ``results.json``, without cases that were not measured."""
    panels = [(title, bars) for case, title in _PANELS.items() if (bars := _bars(case, rows))]
    lines = [panels[at : at + _COLUMNS] for at in range(0, len(panels), _COLUMNS)]
    drawn, top = [], _HEAD
    for line in lines:
        drawn += [_panel(title, bars, _left(column), top) for column, (title, bars) in enumerate(line)]
        top += _TITLE + _LINE * max(len(bars) for _, bars in line) + _GAP
    width = 2 * _MARGIN + _COLUMNS * _PANEL_WIDTH
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" role="img" aria-labelledby="name">',
            f'<title id="name">{_NAME}</title>',
            f"<style>\n{_STYLE}\n</style>",
            f'<rect class="back" width="{width}" height="{top}" rx="6"/>',
            f'<text class="faint" x="{_MARGIN}" y="28">{_NAME}; longer is better</text>',
            *drawn,
            "</svg>\n",
        ]
    )


def _bars(case: str, rows: Iterable[Mapping[str, Any]]) -> Sequence[tuple[str, float]]:
    return [(row["client"], row["ratio_to_hook"]) for row in rows if row["case"] == case and row["ratio_to_hook"]]


def _left(column: int) -> int:
    return _MARGIN + column * _PANEL_WIDTH


def _panel(title: str, bars: Sequence[tuple[str, float]], left: int, top: int) -> str:
    head = f'<text class="title" x="{left}" y="{top + 12}">{escape(title)}</text>'
    return "\n".join([head, *_drawn(bars, left, top + _TITLE)])


def _drawn(bars: Sequence[tuple[str, float]], left: int, top: int) -> Iterator[str]:
    longest = max(ratio for _, ratio in bars)
    start = left + _NAMES_WIDTH
    for at, (client, ratio) in enumerate(bars):
        y = top + at * _LINE
        width = max(1.0, _BARS_WIDTH * ratio / longest)
        kind = "own" if client.startswith(OURS) else "other"
        yield (
            f'<text x="{start - 8}" y="{y + 10}" text-anchor="end">{escape(_NAMES.get(client, client))}</text>'
            f'<rect class="{kind}" x="{start}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2"/>'
            f'<text class="faint" x="{start + width + 6:.1f}" y="{y + 10}">{number(ratio)}</text>'
        )
