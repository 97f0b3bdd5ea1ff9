"""DAGs that send thousands of messages through the connection ``load``; ``make load`` defines it and runs them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import dag, task

from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from tests.load import open_files, peak_kib, send

if TYPE_CHECKING:
    from airflow.sdk import Context


class MeasuredSendMailOperator(SendMailOperator):
    """Also returns the open files and the peak memory of the task's process."""

    def execute(self, context: Context) -> dict[str, Any]:
        before = open_files()
        result = super().execute(context) or {}
        return result | {"files_before": before, "files_after": open_files(), "peak_kib": peak_kib()}


@dag(schedule=None, params={"case": "one-task", "messages": 10_000})
def load_in_one_task() -> None:
    """Send all messages in one session."""

    @task
    def send_all(**context: Any) -> dict[str, Any]:
        params = context["params"]
        return asdict(send(SmtpCmHook("load").get_conn, params["case"], params["messages"]))

    send_all()


@dag(schedule=None, params={"to": "many+mapped@corp.test", "tasks": 200})
def load_in_mapped_tasks() -> None:
    """Send each message in its own task, and return their results."""

    @task
    def write(**context: Any) -> list[dict[str, str]]:
        params = context["params"]
        return [{"to": params["to"], "subject": f"Message {number}"} for number in range(params["tasks"])]

    @task
    def gather(sent: Any) -> list[dict[str, Any]]:
        return list(sent)

    send_each = MeasuredSendMailOperator.partial(
        task_id="send_each", smtp_conn_id="load", message_source="The figures are attached.\n"
    )
    gather(send_each.expand_kwargs(write()).output)


load_in_one_task()
load_in_mapped_tasks()
