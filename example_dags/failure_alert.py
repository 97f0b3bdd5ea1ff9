"""Mails the people on duty when a task fails: which one, why, and where its log is."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import dag, task

from airflow_smtp_cm.notifications.send_mail import SendMailNotifier


@task
def load_orders() -> None:
    """Fail, as a load does that finds nothing."""
    raise ValueError("No orders of yesterday")


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={"on_failure_callback": SendMailNotifier(to="ops@corp.test", priority="High")},
    tags=["mail"],
)
def failure_alert() -> None:
    """Watch every task; what the mail says needs no template."""
    load_orders()


failure_alert()
