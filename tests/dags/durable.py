"""DAGs that are retried after they sent a message, or may have; the tests define the connection ``mail``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

from airflow.providers.common.compat.sdk import DAG, Param, dag

from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.task.state_store import OnUncertain
from tests.airflow_versions import AIRFLOW

MESSAGE: dict[str, Any] = {
    "smtp_conn_id": "mail",
    "to": "{{ params.to }}",
    "subject": "{{ params.subject }}",
    "message_source": "Hello.\n",
    "retries": 2,
    "retry_delay": timedelta(0),
}
PARAMS = {
    "to": Param("bob@corp.test", type="string"),
    "subject": Param("Report", type="string"),
    "failures": Param(1, type="integer"),
}


class FailingAfterSending(SendMailOperator):
    """Sends, and fails its first tries, as if the worker were killed right after the final reply."""

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Fail in as many tries as the run's parameter ``failures``."""
        super().post_execute(context, result)
        if context["ti"].try_number <= context["params"]["failures"]:
            raise RuntimeError("The message was sent, but the task fails.")


for on_uncertain in get_args(OnUncertain):
    if on_uncertain == "ask" and AIRFLOW < (3, 3):
        continue
    with DAG(f"uncertain_{on_uncertain}", schedule=None, params=PARAMS):
        SendMailOperator(task_id="send", on_uncertain=on_uncertain, **MESSAGE)


@dag(schedule=None, params=PARAMS)
def failing_after_sending() -> None:
    """Send a message, and fail."""
    FailingAfterSending(task_id="send", **MESSAGE)


@dag(schedule=None, params=PARAMS)
def with_execution_timeout() -> None:
    """Send a message, with an execution_timeout."""
    SendMailOperator(task_id="send", execution_timeout=timedelta(hours=1), **MESSAGE)


@dag(schedule=None, params=PARAMS)
def without_record() -> None:
    """Send a message without a record, and fail."""
    FailingAfterSending(task_id="send", durable=False, **MESSAGE)


@dag(schedule=None, params=PARAMS)
def failing_after_sending_to_each() -> None:
    """Send a message in each of two mapped tasks, and fail."""
    message = {name: value for name, value in MESSAGE.items() if name != "to"}
    FailingAfterSending.partial(task_id="send", **message).expand(to=["bob@corp.test", "carol@corp.test"])


@dag(schedule=None, params=PARAMS)
def all_or_nothing() -> None:
    """Send to all recipients or to none."""
    SendMailOperator(task_id="send", all_or_nothing=True, **MESSAGE)


failing_after_sending()
with_execution_timeout()
without_record()
failing_after_sending_to_each()
all_or_nothing()
