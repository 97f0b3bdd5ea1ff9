"""The Message-ID of a task's mail: the same in every automatic try, so that duplicates can be recognized."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.mail.addresses import parse_sender
from airflow_smtp_cm.mail.errors import InvalidAddress

if TYPE_CHECKING:
    from collections.abc import Mapping


def message_id_of(context: Mapping[str, Any], sender: str | None, index: int | None = None) -> str | None:
    """Return the Message-ID for a task instance, or None outside of one.

    It is the same in automatic retries. If a user clears the task to send again, it changes (Airflow then raises
    ``max_tries``), because a server that drops duplicates would drop the message. It differs between deployments that
    run the same DAG, because the runs do not start in the same microsecond.

    Args:
        context: the task's context.
        sender: the From address; its domain is that of the Message-ID.
        index: the index of the message, if the task has several.
    """
    ti = context.get("ti")
    domain = _domain(sender)
    if ti is None or domain is None:
        return None
    run = context.get("dag_run")
    started = getattr(run, "start_date", None)
    parts: tuple[Any, ...] = (ti.dag_id, ti.run_id, ti.task_id, ti.map_index, getattr(ti, "max_tries", None), started)
    if index is not None:
        parts += (index,)
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]
    return f"<{digest}@{domain}>"


def _domain(sender: str | None) -> str | None:
    try:
        return parse_sender(sender or "").domain
    except InvalidAddress:  # reported when the message is built, with all other problems
        return None
