"""DAGs that do the same as those of ``speed`` with Airflow's own provider."""

from __future__ import annotations

from functools import partial

from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.providers.smtp.operators.smtp import EmailOperator
from airflow.sdk import DAG, dag, task

from benchmarks.job import READER, SENDER, TEXT
from benchmarks.task_costs import record

_send = partial(
    EmailOperator,
    task_id="send",
    to=READER,
    from_email=SENDER,
    subject="Report",
    html_content=TEXT,
    on_success_callback=record,
)

with DAG("speed_operator_of_hook", schedule=None):
    _send(conn_id="speed_hook")

with DAG("speed_retries_of_hook", schedule=None):
    _send(conn_id="speed_hook", retries=3)

with DAG("speed_password_of_hook", schedule=None):
    _send(conn_id="speed_password")


@dag(schedule=None)
def speed_one_task_of_hook() -> None:
    """Send all messages in one session of one task."""

    @task(on_success_callback=record)
    def send() -> None:
        with SmtpHook("speed_hook") as hook:
            for number in range(100):
                hook.send_email_smtp(to=READER, subject=f"Report {number}", html_content=TEXT)

    send()


speed_one_task_of_hook()
