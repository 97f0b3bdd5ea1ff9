"""DAGs that ask a person about uncertain messages; the tests define connections and servers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator

PARAMS = {"smtp_conn_id": "smtp_cm_default", "to": "carol@corp.test"}
MESSAGE: dict[str, Any] = {
    "smtp_conn_id": "{{ params.smtp_conn_id }}",
    "to": "{{ params.to }}",
    "subject": "Payslip of March",
    "message_source": "Hello.\n",
    "on_uncertain": "ask",
}
AT_ONCE: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(0)}
MESSAGES = 200


class ThirtyAtOnce(SendMailOperator):
    """Records 30 messages before they are transmitted, as soon as it can; how fast the machine is does not matter."""

    def execute(self, context: Any) -> dict[str, Any] | None:
        """Send the messages."""
        from airflow_smtp_cm.task.delivery import window  # noqa: PLC0415 - only in the process of the task

        window.GROUP, window._SHORT_INTERVAL = 30, float("inf")
        return super().execute(context)


with DAG("asks", schedule=None, params=PARAMS):
    SendMailOperator(task_id="send", **MESSAGE, **AT_ONCE)

with DAG("asks_of_many", schedule=None, params=PARAMS):
    ThirtyAtOnce(
        task_id="send",
        messages=[{"subject": f"Payslip {number}"} for number in range(MESSAGES)],
        **MESSAGE,
        **AT_ONCE,
    )

with DAG("asks_by_mail", schedule=None, params=PARAMS):
    SendMailOperator.partial(
        task_id="send",
        ask_notifier=SendMailNotifier(to="desk@corp.test", smtp_conn_id="of_workers"),
        **(MESSAGE | {"smtp_conn_id": "by_mail"}),
    ).expand(cc=["dave@corp.test"])

with DAG("asks_for_half_a_minute", schedule=None, params=PARAMS):
    SendMailOperator(task_id="send", ask_timeout=timedelta(seconds=30), ask_default="assume_sent", **MESSAGE)
