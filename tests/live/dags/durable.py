"""DAGs that send one message or many, and whose workers are killed; the tests define connections and servers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

from airflow.sdk import DAG, ExceptionRetryPolicy, RetryAction, RetryRule

from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import SmtpError
from airflow_smtp_cm.task.state_store import OnUncertain

PARAMS = {"smtp_conn_id": "smtp_cm_default", "to": "carol@corp.test", "attachments": ""}
MESSAGE: dict[str, Any] = {
    "smtp_conn_id": "{{ params.smtp_conn_id }}",
    "to": "{{ params.to }}",
    "subject": "Payslip",
    "message_source": "Hello.\n",
    "attachments": "{{ params.attachments }}",
}
AT_ONCE: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(0)}
WITHOUT_A_PERSON = [choice for choice in get_args(OnUncertain) if choice != "ask"]

for on_uncertain in WITHOUT_A_PERSON:
    with DAG(f"durable_{on_uncertain}", schedule=None, params=PARAMS):
        SendMailOperator(task_id="send", on_uncertain=on_uncertain, **MESSAGE, **AT_ONCE)

# Paused, so that the scheduler does not run tasks of ``airflow dags test``.
with DAG("durable_dags_test", schedule=None, params=PARAMS, is_paused_upon_creation=True):
    SendMailOperator(task_id="send", **MESSAGE, **AT_ONCE)

for on_uncertain in WITHOUT_A_PERSON:
    with DAG(f"messages_{on_uncertain}", schedule=None, params=PARAMS):
        SendMailOperator(
            task_id="send",
            on_uncertain=on_uncertain,
            messages=[{"subject": f"Payslip {number}"} for number in range(200)],
            **MESSAGE,
            **AT_ONCE,
        )

for on_uncertain in ("fail", "resend"):
    with DAG(f"messages_over_4_connections_{on_uncertain}", schedule=None, params=PARAMS):
        SendMailOperator(
            task_id="send",
            on_uncertain=on_uncertain,
            messages=[{"subject": f"Payslip {number}"} for number in range(400)],
            connections=4,
            **MESSAGE,
            **AT_ONCE,
        )

with DAG("messages_slow", schedule=None, params=PARAMS):
    SendMailOperator(
        task_id="send",
        messages=[{"subject": f"Payslip {number}"} for number in range(6)],
        messages_per_minute=60,
        **MESSAGE,
        **AT_ONCE,
    )

with DAG("durable_mapped", schedule=None):
    SendMailOperator.partial(task_id="send", subject="Payslip", message_source="Hello.\n", **AT_ONCE).expand_kwargs(
        [{"smtp_conn_id": f"mapped_{number}", "to": f"carol+mapped_{number}@corp.test"} for number in range(3)]
    )

with DAG("default_policy", schedule=None, params=PARAMS):
    SendMailOperator(task_id="send", retries=1, **MESSAGE)

with DAG("own_policy", schedule=None, params=PARAMS):
    SendMailOperator(
        task_id="send",
        retries=1,
        retry_policy=ExceptionRetryPolicy(
            rules=[RetryRule(SmtpError, RetryAction.RETRY, retry_delay=timedelta(hours=2), reason="Own policy")]
        ),
        **MESSAGE,
    )
