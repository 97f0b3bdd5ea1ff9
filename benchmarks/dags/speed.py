"""DAGs that send one message or a hundred through the connections that ``cases.airflow`` defines."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.providers.smtp.operators.smtp import EmailOperator
from airflow.sdk import DAG, BaseOperator, dag, task

from airflow_smtp_cm.operators.send_mail import SendMailOperator
from benchmarks.job import SENDER, TEXT
from benchmarks.task_costs import record

if TYPE_CHECKING:
    from airflow.sdk import Context

_READER = "reader@bench.test"
_SUBJECTS = [{"subject": f"Report {number}"} for number in range(100)]


class NoMailOperator(BaseOperator):
    """Does nothing."""

    def execute(self, context: Context) -> None:
        """Do nothing."""


_ours = partial(
    SendMailOperator,
    task_id="send",
    to=_READER,
    from_email=SENDER,
    message_source=TEXT,
    on_success_callback=record,
)
_own = partial(
    EmailOperator,
    task_id="send",
    to=_READER,
    from_email=SENDER,
    subject="Report",
    html_content=TEXT,
    on_success_callback=record,
)

with DAG("speed_operator", schedule=None):
    _ours(smtp_conn_id="speed", subject="Report")
with DAG("speed_operator_of_hook", schedule=None):
    _own(conn_id="speed_hook")

with DAG("speed_no_mail", schedule=None):
    NoMailOperator(task_id="send", on_success_callback=record)

with DAG("speed_retries", schedule=None):
    _ours(smtp_conn_id="speed", subject="Report", retries=3)
with DAG("speed_retries_of_hook", schedule=None):
    _own(conn_id="speed_hook", retries=3)

with DAG("speed_ntlm", schedule=None):
    _ours(smtp_conn_id="speed_ntlm", subject="Report")
with DAG("speed_kerberos", schedule=None):
    _ours(smtp_conn_id="speed_kerberos", subject="Report")
with DAG("speed_password_of_hook", schedule=None):
    _own(conn_id="speed_password")

with DAG("speed_one_task", schedule=None):
    _ours(smtp_conn_id="speed", messages=_SUBJECTS)


@dag(schedule=None)
def speed_one_task_of_hook() -> None:
    """Send all messages in one session of one task, with the hook of Airflow's own provider."""

    @task(on_success_callback=record)
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


speed_one_task_of_hook()
speed_mapped_tasks()
