"""Python source for people to read: literals, calls, dependencies. Ruff formats it."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.expressions import with_newlines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LINE_LENGTH = 118
_LONGEST_PIECE = 88  # characters; leaves room for indentation
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_WORDS = re.compile(r"(?s)\{\{.*?\}\}|(?:(?!\{\{)\S)+\s*|\s+|.")
_AT_SPACES = re.compile(rf"(?s).{{1,{_LONGEST_PIECE}}}(?:(?<= )|\Z)|.{{1,{_LONGEST_PIECE}}}")
_IN_PARENTHESES = re.compile(r'^(?P<before> *\w+=)\(\s*(?P<literal>"(?:[^"\\\n]|\\.)*")\s*\),$', re.MULTILINE)
_SHORT = 80  # characters; a shorter text stays on one line
_VERTICAL = 4  # arguments; from this number on, each has its own line


class FormattingError(Exception):
    """Ruff is not installed, or rejected the source."""


def text(value: str) -> str:
    """Return a string as a literal; a long one as several literals, divided at its lines and within long lines.

    Line ends become newlines.
    """
    value = with_newlines(value)
    if len(value) <= _SHORT:
        return _quoted(value)
    pieces = [piece for line in _LINES.findall(value) for piece in _pieces(line)]
    if len(pieces) == 1:
        return _quoted(value)
    return f"({' '.join(map(_quoted, pieces))})"


def literal(value: object) -> str:
    """Return a value as a literal; a string as ``text`` does."""
    return text(value) if isinstance(value, str) else repr(value)


def exact(value: object) -> str:
    """Return a value as one literal; a string keeps its line ends."""
    return _quoted(value) if isinstance(value, str) else repr(value)


def call(function: str, arguments: Mapping[str, str]) -> str:
    """Return a call with keyword arguments; their values are Python source."""
    several = len(arguments) >= _VERTICAL
    return f"{function}({', '.join(f'{name}={value}' for name, value in arguments.items())}{',' if several else ''})"


def listed(items: Sequence[str]) -> str:
    """Return a single item unchanged, several as a list."""
    return items[0] if len(items) == 1 else f"[{', '.join(items)}]"


def indented(line: str) -> str:
    """Return a line of a block."""
    return f"    {line}"


def nested(head: str, body: Sequence[str]) -> list[str]:
    """Return the lines of a ``with`` statement; if its body is just another one, both become one with several items.

    Args:
        head: its first line.
        body: the lines of its block, not indented.
    """
    first, *rest = body
    if first.startswith("with ") and all(line.startswith(indented("")) for line in rest):
        return [f"{head.removesuffix(':')}, {first.removeprefix('with ')}", *rest]
    return [head, *map(indented, body)]


def arrows(order: Sequence[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """Return statements such as ``a >> [b, c] >> d`` that state each edge exactly once.

    Args:
        order: the names in topological order.
        edges: pairs of names: (source, target).
    """
    after: dict[str, list[str]] = {name: [] for name in order}
    for source, target in edges:
        after[source].append(target)
    for targets in after.values():
        targets.sort(key=list(order).index)
    statements = []
    for name in order:
        while after[name]:
            statements.append(_chain([one for one in order if after[one] == after[name]], after))
    return statements


def _chain(first: list[str], after: dict[str, list[str]]) -> str:
    chain, last = [listed(first)], first
    # Python has no list >> list.
    while targets := after[last[0]]:
        if any(after[name] != targets for name in last):
            break
        if len(last) > 1 and len(targets) > 1:
            if len(chain) > 1:
                break
            targets = targets[:1]
        for name in last:
            after[name] = [one for one in after[name] if one not in targets]
        chain.append(listed(targets))
        last = targets
    return " >> ".join(chain)


def formatted(sources: Mapping[str, str]) -> dict[str, str]:
    """Return sources by file name, in ruff's format.

    Raises:
        FormattingError: ruff is not installed, or rejects a source.
    """
    if not sources:
        return {}
    with tempfile.TemporaryDirectory(prefix="smtp-cm-import-") as name:
        folder = Path(name)
        for file, source in sources.items():
            (folder / file).write_text(source, encoding="utf-8")
        settings = ("--isolated", "--quiet", "--no-cache", "--config", f"line-length = {_LINE_LENGTH}")
        _ruff("format", *settings, name)
        return {file: _tidy((folder / file).read_text(encoding="utf-8")) for file in sources}


def _pieces(line: str) -> list[str]:
    """Divide a line, if possible at spaces and not within Jinja's braces."""
    parts = (part for word in _WORDS.findall(line) for part in _AT_SPACES.findall(word))
    pieces = [""]
    for part in parts:
        if pieces[-1] and len(pieces[-1]) + len(part) > _LONGEST_PIECE:
            pieces.append("")
        pieces[-1] += part
    return pieces


def _ruff(*arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "ruff", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise FormattingError(f"ruff could not format the DAGs: {(done.stderr or done.stdout).strip()}")


def _tidy(source: str) -> str:
    """Remove the parentheses that ruff leaves around literals it joined on one line."""

    def without(match: re.Match[str]) -> str:
        line = f"{match['before']}{match['literal']},"
        return line if len(line) <= _LINE_LENGTH else match[0]

    return _IN_PARENTHESES.sub(without, source)


def _quoted(value: str) -> str:
    """Return a literal, in double quotes if possible; invisible characters are escaped."""
    quoted = repr(value)
    if quoted[0] == "'" and '"' not in value:
        return f'"{quoted[1:-1]}"'
    return quoted
