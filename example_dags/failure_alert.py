"""Mails the people on duty when a task fails: which task, why, and a link to its log."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import dag, task

from airflow_smtp_cm.notifications.send_mail import SendMailNotifier


@task
def load_orders() -> None:
    """Fail, like a task that finds no data."""
    raise ValueError("No orders of yesterday")


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={"on_failure_callback": SendMailNotifier(to="ops@corp.test", priority="High")},
    tags=["mail"],
)
def failure_alert() -> None:
    """Set the callback for every task; the mail has the default subject and text."""
    load_orders()


failure_alert()
