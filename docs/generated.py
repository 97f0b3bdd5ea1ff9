"""Generates the parts of the pages that come from the code: fields of the connection, retry delays, DAGs, results.

A page marks such a part with a link on a line of its own, such as ``[Generated: connection_fields TLS](...)``. In the
unbuilt page, the link leads to the source.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import fields
from datetime import timedelta
from html import escape
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.connection_manager.fields import CONNECTION_FIELDS
from airflow_smtp_cm.smtp.exchange import MEANINGS
from airflow_smtp_cm.task.retry_delays import CAUSES, LONGEST_DELAY_MINUTES
from benchmarks.report import summary
from benchmarks.targets import missed

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_smtp_cm.connection_manager.fields import ConnectionField
    from airflow_smtp_cm.task.retry_delays import Cause

_ROOT = Path(__file__).parent.parent
_GOLDEN = _ROOT / "tests" / "ssis" / "golden"
_PACKAGES = "nightly_sales/"
_MARK = re.compile(r"^\[Generated: (\w+) ?(.*?)\]\(.*\)$", re.MULTILINE)
# Properties and cmdlets of Exchange, and fields of the connection and the operator.
_NAMES = re.compile(r"\b(?:ms-Exch[\w-]+|[A-Z][\w-]*[a-z][A-Z]\w*|[a-z]+_[a-z_]+|retries|bcc)\b")
_DEFAULTS = {item.name: item.default for item in fields(SmtpConnectionManager)}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the links by the generated parts (MkDocs calls this for each page)."""
    return _MARK.sub(lambda mark: _GENERATORS[mark[1]](mark[2]), markdown)


def connection_fields(section: str) -> str:
    """Return a section of the connection's form as a table.

    Raises:
        ValueError: the form has no such section.
    """
    rows = [_row(item) for item in CONNECTION_FIELDS if item.section == section]
    if not rows:
        raise ValueError(f"The connection's form has no section {section!r}.")
    return "\n".join(["| In the form | In the extra | If left out | Meaning |", "|---|---|---|---|", *rows])


def retry_delays(_: str) -> str:
    """Return the causes of retries as a table, with the delays of their tries."""
    rows = [f"| {cause.errors} | {cause.description} | {_delays(cause)} |" for cause in CAUSES]
    return "\n".join(["| Errors | Reason in the log | Delays in minutes |", "|---|---|---|", *rows])


def exchange_replies(_: str) -> str:
    """Return the replies of Exchange as a table."""
    rows = [f"| `{item.reply}` | {_code(item.meaning)} | {_code(item.advice)} |" for item in MEANINGS]
    return "\n".join(["| Reply | Meaning | What to do |", "|---|---|---|", *rows])


def _code(text: str) -> str:
    return _NAMES.sub(r"`\g<0>`", text)


def example_dags(_: str) -> str:
    """Return the example DAGs, each with the first line of its docstring as the heading."""
    return "\n\n".join(map(_example, sorted((_ROOT / "example_dags").glob("*.py"))))


def measured(cases: str) -> str:
    """Return the benchmark results as a table, for the cases whose names begin with one of the words."""
    rows = [row for row in _results() if row["case"].startswith(tuple(cases.split()))]
    return summary(rows) if rows else "The last run did not measure this."


def missed_targets(_: str) -> str:
    """Return the targets that the benchmark results miss, as a table."""
    return missed(_results())


def _results() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((_ROOT / "benchmarks" / "results.json").read_text())["rows"]
    return rows


def imported_dag(name: str) -> str:
    """Return a DAG that the import generates from the packages of the tests."""
    return f'```python title="{name}"\n{(_GOLDEN / name).read_text()}```'


def imported_report(package: str) -> str:
    """Return the part of the import's report about a package.

    Raises:
        ValueError: the report has no such package.
    """
    sections = (_GOLDEN / "report.txt").read_text().split("\n\n")
    section = next((one for one in sections if one.startswith(f"Package {package} ")), None)
    if section is None:
        raise ValueError(f"The report has nothing about {package!r}.")
    return f"```text\n{section.replace(_PACKAGES, '')}\n```"


def _row(item: ConnectionField) -> str:
    meaning = [escape(item.description), *(f"`{value}`: {label}" for value, label in item.choices.items())]
    return f"| {item.label} | `{item.name}` | {_default(item)} | {'<br>'.join(meaning)} |"


def _default(item: ConnectionField) -> str:
    default = _DEFAULTS.get(item.name)
    return "&ndash;" if default is None else f"`{str(default).lower()}`"


def _delays(cause: Cause) -> str:
    minutes = (cause.delay(number) // timedelta(minutes=1) for number in count(1))
    return ", ".join(map(str, [*takewhile(LONGEST_DELAY_MINUTES.__gt__, minutes), LONGEST_DELAY_MINUTES]))


def _example(path: Path) -> str:
    code = path.read_text()
    title = (ast.get_docstring(ast.parse(code)) or path.stem).splitlines()[0].rstrip(".")
    return f'## {title}\n\n```python title="{path.name}"\n{code}```'


_GENERATORS: dict[str, Callable[[str], str]] = {
    "connection_fields": connection_fields,
    "retry_delays": retry_delays,
    "example_dags": example_dags,
    "exchange_replies": exchange_replies,
    "measured": measured,
    "missed_targets": missed_targets,
    "imported_dag": imported_dag,
    "imported_report": imported_report,
}
