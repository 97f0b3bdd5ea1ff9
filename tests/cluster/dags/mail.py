"""DAGs that send mail from two workers; the tests define the connections."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_smtp_cm.operators.send_mail import SendMailOperator
from tests.cluster.scale import CONNECTIONS, SERVERS, WORKERS, dag_id_of, messages_of

# More tries than a failure of the network takes, so that the last one, which writes no record, is never reached.
AGAIN: dict[str, Any] = {"retries": 20, "retry_delay": timedelta(seconds=3)}


@task
def address(**context: Any) -> list[dict[str, str]]:
    """Return the messages; the connections log in with a keytab and with a ticket in turn."""
    params = context["params"]
    messages = [
        {"to": f"carol+{params['name']}-{number}@corp.test", "smtp_conn_id": ("by_keytab", "by_ticket")[number % 2]}
        for number in range(params["messages"])
    ]
    if params["held"]:
        messages[0] |= {"smtp_conn_id": params["held"], "attachments": params["attachment"]}
    return messages


with DAG("mapped", schedule=None, params={"name": "run", "messages": 4, "held": "", "attachment": ""}):
    SendMailOperator.partial(task_id="send", subject="Payslip", message_source="Hello.\n", **AGAIN).expand_kwargs(
        address()
    )

for server in SERVERS:
    for workers in range(1, len(WORKERS) + 1):
        for connections in CONNECTIONS:
            with DAG(dag_id_of(server, workers, connections), schedule=None):
                for worker in WORKERS[:workers]:
                    SendMailOperator(
                        task_id=worker,
                        queue=worker,
                        smtp_conn_id=server,
                        messages=messages_of(server, worker, workers, connections),
                        message_source="Hello.\n",
                        connections=connections,
                        **AGAIN,
                    )
