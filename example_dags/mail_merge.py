"""Mails each customer an invoice: all in one task, or each in a mapped task."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import dag, task

from airflow_smtp_cm.operators.send_mail import SendMailOperator


@task
def write_invoices() -> list[dict[str, str]]:
    """Return the fields of a message for each customer, made from rows as a query returns them."""
    rows = [("Ann Lee", "ann@north.test", 1001, 250), ("Bo Berg", "bo@south.test", 1002, 80)]
    return [
        {
            "to": f"{name} <{address}>",
            "subject": f"Your invoice {number}",
            "message_source": f"Dear {name},\n\nplease pay {amount} EUR.\n",
        }
        for name, address, number, amount in rows
    ]


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), tags=["mail"])
def mail_merge() -> None:
    """Send a message per customer over one connection, thirty per minute; a retry sends only the remaining ones."""
    SendMailOperator(
        task_id="send_invoices",
        bcc="invoices@corp.test",
        messages=write_invoices(),
        messages_per_minute=30,
        retries=3,
        retry_delay=timedelta(minutes=5),
    )


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), tags=["mail"])
def mail_merge_mapped() -> None:
    """Send a message per customer, four at a time; the UI shows the recipients, and each has its own retries."""
    SendMailOperator.partial(
        task_id="send_invoice",
        bcc="invoices@corp.test",
        max_active_tis_per_dagrun=4,
        retries=3,
        retry_delay=timedelta(minutes=5),
    ).expand_kwargs(write_invoices())


mail_merge()
mail_merge_mapped()
