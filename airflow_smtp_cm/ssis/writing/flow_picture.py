"""Draws the control flow of a package as SVG: containers, tasks, event handlers, and constraints as arrows.

Executables of a container stand in rows: each below all executables that it waits for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from airflow_smtp_cm.shortening import shorten
from airflow_smtp_cm.ssis.model import EvaluatedOperation, Outcome, constraints_by_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.ssis.model import EventHandler, Executable, PrecedenceConstraint

#: A package with more executables has no picture: nobody could read it.
MOST_EXECUTABLES = 300

# Pixels.
_WIDTH, _HEIGHT = 150, 28
_GAP_X, _GAP_Y, _PADDING, _TITLE = 16, 40, 12, 20
_LONGEST_NAME = 22  # characters
_CLASSES = {Outcome.SUCCESS: "success", Outcome.FAILURE: "failure", Outcome.COMPLETION: "completion"}


@dataclass(slots=True)
class _Box:
    """An executable or event handler, and where it is within the box around it."""

    name: str
    css: str
    ref_id: str = ""
    rows: list[list[_Box]] = field(default_factory=list)
    constraints: Sequence[PrecedenceConstraint] = ()
    x: int = 0
    y: int = 0
    width: int = _WIDTH
    height: int = _HEIGHT

    def place(self) -> None:
        """Compute the size, and the places of the boxes within."""
        if not self.rows:
            return
        y = _TITLE + _PADDING
        widths = []
        for row in self.rows:
            for box in row:
                box.place()
            widths.append(sum(box.width for box in row) + _GAP_X * (len(row) - 1))
        self.width = max(max(widths) + 2 * _PADDING, _WIDTH)
        for row, width in zip(self.rows, widths, strict=True):
            x = (self.width - width) // 2
            for box in row:
                box.x, box.y = x, y
                x += box.width + _GAP_X
            y += max(box.height for box in row) + _GAP_Y
        self.height = y - _GAP_Y + _PADDING


def picture(package: Executable) -> str:
    """Return the control flow of a package as an SVG element; empty if it has no executables or too many."""
    if not package.executables or sum(1 for _ in package.everything()) > MOST_EXECUTABLES:
        return ""
    root = _of_executable(package)
    root.place()
    return (
        f'<svg class="flow" role="img" aria-label="Control flow of {escape(package.name)}" '
        f'width="{root.width}" height="{root.height}" viewBox="0 0 {root.width} {root.height}">{_drawn(root)}</svg>'
    )


def _of_executable(executable: Executable) -> _Box:
    kinds = ["mail"] if executable.mail else []
    if executable.disabled:
        kinds.append("disabled")
    inner = _rows(executable)
    handlers = [box for handler in executable.event_handlers if (box := _of_handler(handler))]
    if inner or handlers:
        kinds.append("container")
    rows = [*inner, *([handlers] if handlers else [])]
    return _Box(executable.name, " ".join(kinds), executable.ref_id, rows, executable.constraints)


def _of_handler(handler: EventHandler) -> _Box | None:
    rows = _rows(handler)
    css = "container handler disabled" if handler.disabled else "container handler"
    return _Box(handler.event, css, handler.ref_id, rows, handler.constraints) if rows else None


def _rows(container: Executable | EventHandler) -> list[list[_Box]]:
    boxes = {one.ref_id: _of_executable(one) for one in container.executables}
    constraints = constraints_by_target(container)
    before = {target: [one.source for one in found] for target, found in constraints.items()}
    rows: list[list[_Box]] = []
    placed: set[str] = set()
    while len(placed) < len(boxes):
        waiting = [ref_id for ref_id in boxes if ref_id not in placed]
        # Constraints in a circle, which SSIS rejects, leave none ready.
        ready = [ref_id for ref_id in waiting if placed.issuperset(before[ref_id])] or waiting
        rows.append([boxes[ref_id] for ref_id in ready])
        placed.update(ready)
    return rows


def _drawn(box: _Box) -> str:
    inner = {one.ref_id: one for row in box.rows for one in row}
    drawn = [one for one in box.constraints if one.source in inner and one.target in inner]
    sources, targets = Counter(one.source for one in drawn), Counter(one.target for one in drawn)
    arrows = "".join(
        _arrow(inner[one.source], inner[one.target], one, at_target=sources[one.source] >= targets[one.target])
        for one in drawn
    )
    name = escape(shorten(box.name, _LONGEST_NAME))
    mark = "✉ " if "mail" in box.css.split() else ""
    y = _TITLE - 5 if box.rows else _HEIGHT // 2 + 4
    return (
        f'<g class="{box.css}" transform="translate({box.x},{box.y})"><title>{escape(box.name)}</title>'
        f'<rect width="{box.width}" height="{box.height}" rx="4"/>'
        f'<text x="{box.width // 2}" y="{y}">{mark}{name}</text>{arrows}{"".join(map(_drawn, inner.values()))}</g>'
    )


def _arrow(source: _Box, target: _Box, constraint: PrecedenceConstraint, *, at_target: bool) -> str:
    """Draw an arrow; its condition stands at the end where fewer arrows meet."""
    x1, y1 = source.x + source.width // 2, source.y + source.height
    x2, y2 = target.x + target.width // 2, target.y
    condition = _condition(constraint)
    label = escape(shorten(condition, _LONGEST_NAME))
    x, y = (x2, y2 - 10) if at_target else (x1, y1 + 13)
    text = f'<text x="{x}" y="{y}">{label}</text>' if label else ""
    css = _CLASSES[constraint.outcome] if constraint.logical_and else f"{_CLASSES[constraint.outcome]} or"
    return (
        f'<g class="arrow {css}"><title>{escape(condition or "success")}</title>'
        f'<path d="M{x1} {y1}L{x2} {y2 - 6}"/><path class="head" d="M{x2 - 4} {y2 - 7}h8l-4 7z"/>{text}</g>'
    )


def _condition(constraint: PrecedenceConstraint) -> str:
    """Return what a constraint requires; empty for success, which is usual."""
    outcome = "" if constraint.outcome is Outcome.SUCCESS else constraint.outcome.name.lower()
    match constraint.operation:
        case EvaluatedOperation.CONSTRAINT:
            return outcome
        case EvaluatedOperation.EXPRESSION:
            return constraint.expression
        case EvaluatedOperation.EXPRESSION_AND_CONSTRAINT:
            return f"{outcome} and {constraint.expression}" if outcome else constraint.expression
    return f"{outcome or 'success'} or {constraint.expression}"
