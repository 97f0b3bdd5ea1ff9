"""DAGs that send one message or a hundred through the connections that ``cases.airflow`` defines.

Those with Airflow's own provider are in a file of their own: each task imports the whole file of its DAG.
"""

from __future__ import annotations

from functools import partial

from airflow.sdk import DAG, dag

from airflow_smtp_cm.operators.send_mail import SendMailOperator
from benchmarks.job import READER, SENDER, TEXT
from benchmarks.task_costs import record

_SUBJECTS = [{"subject": f"Report {number}"} for number in range(100)]

_send = partial(
    SendMailOperator,
    task_id="send",
    to=READER,
    from_email=SENDER,
    message_source=TEXT,
    on_success_callback=record,
)

with DAG("speed_operator", schedule=None):
    _send(smtp_conn_id="speed", subject="Report")

with DAG("speed_retries", schedule=None):
    _send(smtp_conn_id="speed", subject="Report", retries=3)

with DAG("speed_ntlm", schedule=None):
    _send(smtp_conn_id="speed_ntlm", subject="Report")

with DAG("speed_kerberos", schedule=None):
    _send(smtp_conn_id="speed_kerberos", subject="Report")

with DAG("speed_one_task", schedule=None):
    _send(smtp_conn_id="speed", messages=_SUBJECTS)


@dag(schedule=None)
def speed_mapped_tasks() -> None:
    """Send each message in its own task."""
    send = SendMailOperator.partial(task_id="send", smtp_conn_id="speed", to=READER, message_source=TEXT)
    send.expand_kwargs(_SUBJECTS)


speed_mapped_tasks()
