"""DAGs that send as many messages as they are told through ``speed`` and ``speed_hook``; ``make bench`` runs them."""

from __future__ import annotations

from typing import Any

from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.providers.smtp.operators.smtp import EmailOperator
from airflow.sdk import dag, task

from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import SmtpError
from benchmarks.job import SENDER, TEXT

_READER = "reader@bench.test"


@dag(schedule=None)
def speed_operator() -> None:
    """Send one by the operator."""
    SendMailOperator(task_id="send", smtp_conn_id="speed", to=_READER, subject="Report", message_source=TEXT)


@dag(schedule=None)
def speed_operator_of_hook() -> None:
    """Send one by the operator of Airflow's own provider."""
    EmailOperator(task_id="send", conn_id="speed_hook", to=_READER, subject="Report", html_content=TEXT)


@dag(schedule=None, params={"messages": 100})
def speed_one_task() -> None:
    """Send all in one session of one task."""

    @task
    def send(**context: Any) -> None:
        messages = (
            MailMessage(from_email=SENDER, to=_READER, subject=f"Report {number}", text=TEXT)
            for number in range(context["params"]["messages"])
        )
        with SmtpCmHook("speed").get_conn() as client:
            for outcome in client.send_all(messages):
                if isinstance(outcome, SmtpError):
                    raise outcome

    send()


@dag(schedule=None, params={"messages": 100})
def speed_one_task_of_hook() -> None:
    """Send all in one session of one task, by the hook of Airflow's own provider."""

    @task
    def send(**context: Any) -> None:
        with SmtpHook("speed_hook") as hook:
            for number in range(context["params"]["messages"]):
                hook.send_email_smtp(to=_READER, subject=f"Report {number}", html_content=TEXT)

    send()


@dag(schedule=None, params={"messages": 100})
def speed_mapped_tasks() -> None:
    """Send each in a task of its own."""

    @task
    def write(**context: Any) -> list[dict[str, str]]:
        return [{"subject": f"Report {number}"} for number in range(context["params"]["messages"])]

    send = SendMailOperator.partial(task_id="send", smtp_conn_id="speed", to=_READER, message_source=TEXT)
    send.expand_kwargs(write())


speed_operator()
speed_operator_of_hook()
speed_one_task()
speed_one_task_of_hook()
speed_mapped_tasks()
