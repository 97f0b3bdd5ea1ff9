"""DAGs that are tried again after they have sent, or may have; the tests play the server of ``mail``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

from airflow.providers.common.compat.sdk import DAG, Param, dag

from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.task.state_store import OnUncertain

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
    """Sends, and fails its first tries, as a worker does that is killed right after the message has left."""

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Fail, as often as the run's parameter says."""
        super().post_execute(context, result)
        if context["ti"].try_number <= context["params"]["failures"]:
            raise RuntimeError("The message was sent, and the task fails all the same.")


for on_uncertain in get_args(OnUncertain):
    with DAG(f"uncertain_{on_uncertain}", schedule=None, params=PARAMS):
        SendMailOperator(task_id="send", on_uncertain=on_uncertain, **MESSAGE)


@dag(schedule=None, params=PARAMS)
def failing_after_sending() -> None:
    """Send a message, and fail."""
    FailingAfterSending(task_id="send", **MESSAGE)


@dag(schedule=None, params=PARAMS)
def impatient() -> None:
    """Send a message, and be ended by Airflow if that takes too long."""
    SendMailOperator(task_id="send", execution_timeout=timedelta(hours=1), **MESSAGE)


@dag(schedule=None, params=PARAMS)
def forgetful() -> None:
    """The same, without a record."""
    FailingAfterSending(task_id="send", durable=False, **MESSAGE)


@dag(schedule=None, params=PARAMS)
def failing_after_sending_to_each() -> None:
    """The same, for a mapped task."""
    message = {name: value for name, value in MESSAGE.items() if name != "to"}
    FailingAfterSending.partial(task_id="send", **message).expand(to=["bob@corp.test", "carol@corp.test"])


@dag(schedule=None, params=PARAMS)
def all_or_nothing() -> None:
    """Send to everybody or nobody."""
    SendMailOperator(task_id="send", all_or_nothing=True, **MESSAGE)


failing_after_sending()
impatient()
forgetful()
failing_after_sending_to_each()
all_or_nothing()
