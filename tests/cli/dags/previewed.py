"""DAGs with mail that is only shown."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag, task

from airflow_smtp_cm.operators.send_mail import SendMailOperator


@dag(schedule=None, params={"region": "North", "file": ""})
def report() -> None:
    """Send one message."""
    SendMailOperator(
        task_id="send",
        to="sales@corp.test",
        bcc="boss@corp.test",
        subject="Sales of {{ params.region }}, {{ ds }}",
        message_source="Season: {{ var.value.season }}\n",
        html_content="<p>Sales of <b>{{ params.region }}</b></p>",
        attachments="{{ params.file }}",
        disable="{{ params.region == 'nowhere' }}",
    )
    SendMailOperator(task_id="from_database", smtp_conn_id="stored", to="sales@corp.test", subject="Sales")
    SendMailOperator.partial(task_id="mapped", subject="Sales").expand(to=["ann@corp.test", "ben@corp.test"])
    SendMailOperator(
        task_id="start", to="sales@corp.test", subject="Began", message_source="{{ ti.start_date.isoformat() }}\n"
    )
    EmptyOperator(task_id="empty")

    @task.send_mail(to="sales@corp.test")
    def function() -> str:
        raise AssertionError("It is called.")

    function()


@task
def customers() -> list[dict[str, str]]:
    """Return the fields of twelve messages."""
    return [{"to": f"customer{number}@corp.test", "subject": f"Invoice {number}"} for number in range(12)]


@dag(schedule=None)
def invoices() -> None:
    """Send what another task returns."""
    found = customers()
    SendMailOperator(task_id="send", messages=found, message_source="Run {{ run_id }}\n")
    SendMailOperator(task_id="list", to="sales@corp.test", subject="Invoices", message_source=found)


report()
invoices()
