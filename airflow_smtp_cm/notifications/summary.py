"""The default subject and body of a notification.

They describe what happened to which task or run, when and why, with links; or the question of a task that asks people
(human in the loop), and where to answer it. Airflow hands notifiers contexts of different kinds: that of a task, that
of a run (which may contain the last relevant task), that of a deadline (run and deadline as plain mappings). Facts
that a context does not contain are omitted.

If the process of a task cannot call the task's callbacks, the dag-processor does, and only after a failure: the
process was killed or lost, or the trigger of a deferred task ended the task. In these contexts the task has no state,
and there is no exception.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import conf
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_smtp_cm.shortening import shorten
from airflow_smtp_cm.task.alert_text import text_of

_LONGEST_EXCEPTION = 4000  # characters; the rest is in the log


def headline(context: Mapping[str, Any]) -> str:
    """Return a subject: the task or run and its state, or the question."""
    ti, run, asking = context.get("ti"), context.get("dag_run"), _operator_that_asks(context)
    if ti and not _is_about_run(context):
        task = f"{_get(ti, 'dag_id')}.{_get(ti, 'task_id')}{_map_index(ti)}"
        if asking:
            return f"{task}: {' '.join(text_of(asking.subject).split())}"
        if _is_from_dag_processor(context):
            return f"{task}: {_failed(context)}, try {_tries(context)}"
        number = _get(ti, "try_number")
        return f"{task}: {_state(ti) or 'failed'}" + (f" (try {number})" if number is not None else "")
    dag_id = _get(run, "dag_id") or _get(context.get("dag"), "dag_id") or "Airflow"
    if context.get("deadline"):
        return f"{dag_id}: deadline missed"
    return f"{dag_id}: {_state(run) or context.get('reason') or 'notice'}"


def run_id_of(context: Mapping[str, Any]) -> Any:
    """Return the id of the run, or None; contexts of different kinds have it in different places."""
    ti, run = context.get("ti"), context.get("dag_run")
    return _get(ti, "run_id") or _get(run, "run_id") or _get(run, "dag_run_id") or context.get("run_id")


def facts(context: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts in a context, by name."""
    return {name: str(value) for name, value in _facts(context) if value not in (None, "")}


def as_text(known: Mapping[str, str]) -> str:
    """Return facts as plain text."""
    return "".join(f"{name}: {value}\n" for name, value in known.items())


def as_html(known: Mapping[str, str]) -> str:
    """Return facts as an HTML table with links."""
    rows = "".join(
        f'<tr><th align="left" valign="top">{escape(name)}</th><td>{_cell(value)}</td></tr>\n'
        for name, value in known.items()
    )
    return f"<!DOCTYPE html>\n<html><body><table>\n{rows}</table></body></html>\n"


def _facts(context: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    ti, run = context.get("ti"), context.get("dag_run")
    subject = run if _is_about_run(context) else ti or run
    dag_id = _get(ti, "dag_id") or _get(run, "dag_id") or _get(context.get("dag"), "dag_id")
    run_id = run_id_of(context)
    if asking := _operator_that_asks(context):
        yield from _question(asking, ti)
    yield "DAG", dag_id
    yield "Task", f"{_get(ti, 'task_id')}{_map_index(ti)}" if ti else None
    yield "Run", run_id
    yield "Try", _tries(context) if subject is ti else None
    if _is_from_dag_processor(context):
        yield from _killed_or_lost(context)
    yield "State", _state(subject)
    yield "Reason", context.get("reason")
    yield "Exception", _exception(context.get("exception"))
    yield "Deadline", _formatted(_moment(_get(context.get("deadline"), "deadline_time")))
    yield "Start", _formatted(_moment(_get(subject, "start_date")))
    yield "Duration", _duration(subject)
    yield "Log", _get(ti, "log_url")
    if dag_id and run_id:
        yield "Run in Airflow", _run_page(dag_id, run_id)


def _is_about_run(context: Mapping[str, Any]) -> bool:
    # Only contexts of DAG callbacks have a reason; the task in them is the last relevant one.
    return context.get("reason") is not None


def _is_from_dag_processor(context: Mapping[str, Any]) -> bool:
    ti = context.get("ti")
    return bool(ti) and not _is_about_run(context) and not _state(ti) and context.get("exception") is None


def _killed_or_lost(context: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    ti = context["ti"]
    yield "State", _failed(context)
    yield "Reason", "Airflow does not pass it on; see the log and the audit log"
    yield "Host", _get(ti, "hostname")
    yield "Audit log", _page_of_task(ti, "events")


def _failed(context: Mapping[str, Any]) -> str:
    # Where a trigger ended the task, the context has no run.
    return "failed (killed or lost)" if "dag_run" in context else "failed (killed or lost, or ended by its trigger)"


def _operator_that_asks(context: Mapping[str, Any]) -> Any:
    """Return the question of SendMailOperator, or the operator of the standard provider that asks; else None."""
    if (question := context.get("question")) is not None:
        return question
    task = context.get("task")
    return task if hasattr(task, "generate_link_to_ui") and _state(context.get("ti")) == "running" else None


def _question(asking: Any, ti: Any) -> Iterator[tuple[str, Any]]:
    yield "Question", asking.subject
    yield "Details", asking.body
    yield "Options", ", ".join(map(text_of, asking.options))
    yield "Default", ", ".join(map(text_of, asking.defaults or ()))
    until = _get(_get(asking, "hitl_summary"), "timeout_datetime") or _get(asking, "answer_by")
    yield "Answer by", _formatted(_moment(until))
    # The page of the question; the operator's own link does not contain the path of an Airflow behind a proxy.
    yield "Answer in Airflow", _page_of_task(ti, "required_actions")


def _page_of_task(ti: Any, name: str) -> str | None:
    log = _get(ti, "log_url")
    return f"{log.partition('?')[0]}/{name}" if log else None


def _get(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def _state(thing: Any) -> Any:
    state = _get(thing, "state")
    return getattr(state, "value", state)  # the text of an Enum's member contains its class


def _map_index(ti: Any) -> str:
    index = _get(ti, "map_index")
    return "" if index is None or index < 0 else f"[{index}]"


def _tries(context: Mapping[str, Any]) -> str | None:
    ti = context.get("ti")
    # Without the run, Airflow does not know the task's own number either, and gives 0.
    source, name = (ti, "max_tries") if "dag_run" in context else (context.get("task"), "retries")
    number, most = _get(ti, "try_number"), _get(source, name)
    if number is None:
        return None
    return f"{number} of {most + 1}" if most is not None and number <= most + 1 else str(number)


def _exception(exception: Any) -> str | None:
    if exception is None:
        return None
    name = f"{type(exception).__name__}: " if isinstance(exception, BaseException) else ""
    return shorten(f"{name}{text_of(exception)}", _LONGEST_EXCEPTION)


def _moment(value: Any) -> datetime | None:
    """Return a time from a context, or None; in the context of a deadline it is text."""
    if isinstance(value, str):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return value if isinstance(value, datetime) else None


def _formatted(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z") if moment else None


def _duration(thing: Any) -> timedelta | None:
    start, end = _moment(_get(thing, "start_date")), _moment(_get(thing, "end_date"))
    if not start:
        return None
    end = end or datetime.now(start.tzinfo)
    if (start.tzinfo is None) != (end.tzinfo is None):
        return None
    seconds = (end - start).total_seconds()
    return timedelta(seconds=round(seconds))


def _run_page(dag_id: str, run_id: str) -> str | None:
    base = conf.get("api" if AIRFLOW_V_3_0_PLUS else "webserver", "base_url", fallback=None)
    page = f"runs/{quote(run_id)}" if AIRFLOW_V_3_0_PLUS else f"grid?dag_run_id={quote(run_id)}"
    return f"{base.rstrip('/')}/dags/{dag_id}/{page}" if base else None


def _cell(value: str) -> str:
    shown = escape(value).replace("\n", "<br>\n")
    return f'<a href="{shown}">{shown}</a>' if value.startswith(("http://", "https://")) else shown
