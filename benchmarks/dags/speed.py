"""DAGs that send one message or a hundred through ``speed`` and ``speed_hook``; ``make bench`` runs them."""

from __future__ import annotations

from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.providers.smtp.operators.smtp import EmailOperator
from airflow.sdk import dag, task

from airflow_smtp_cm.operators.send_mail import SendMailOperator
from benchmarks.job import SENDER, TEXT

_READER = "reader@bench.test"
_SUBJECTS = [{"subject": f"Report {number}"} for number in range(100)]


@dag(schedule=None)
def speed_operator() -> None:
    """Send one message with our operator."""
    SendMailOperator(task_id="send", smtp_conn_id="speed", to=_READER, subject="Report", message_source=TEXT)


@dag(schedule=None)
def speed_operator_of_hook() -> None:
    """Send one message with the operator of Airflow's own provider."""
    EmailOperator(task_id="send", conn_id="speed_hook", to=_READER, subject="Report", html_content=TEXT)


@dag(schedule=None)
def speed_one_task() -> None:
    """Send all messages in one task."""
    SendMailOperator(
        task_id="send",
        smtp_conn_id="speed",
        from_email=SENDER,
        to=_READER,
        message_source=TEXT,
        messages=_SUBJECTS,
    )


@dag(schedule=None)
def speed_one_task_of_hook() -> None:
    """Send all messages in one session of one task, with the hook of Airflow's own provider."""

    @task
    def send() -> None:
        with SmtpHook("speed_hook") as hook:
            for fields in _SUBJECTS:
                hook.send_email_smtp(to=_READER, subject=fields["subject"], html_content=TEXT)

    send()


@dag(schedule=None)
def speed_mapped_tasks() -> None:
    """Send each message in its own task."""
    send = SendMailOperator.partial(task_id="send", smtp_conn_id="speed", to=_READER, message_source=TEXT)
    send.expand_kwargs(_SUBJECTS)


speed_operator()
speed_operator_of_hook()
speed_one_task()
speed_one_task_of_hook()
speed_mapped_tasks()
