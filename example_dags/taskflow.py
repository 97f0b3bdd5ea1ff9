"""Mails the return value of a function."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import dag, task


@task
def count_orders() -> dict[str, int]:
    """Return orders by region, as a query might."""
    return {"North": 12, "South": 9}


@task.send_mail(to="sales@corp.test", subject="Orders, {{ run_id }}")
def summary(orders: dict[str, int]) -> str:
    """Return the text of the message."""
    lines = [f"{region}: {count}" for region, count in orders.items()]
    return "\n".join([*lines, f"Total: {sum(orders.values())}", ""])


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), tags=["mail"])
def send_mail_taskflow() -> None:
    """Pass one task's result to the next, which mails it."""
    summary(count_orders())


send_mail_taskflow()
