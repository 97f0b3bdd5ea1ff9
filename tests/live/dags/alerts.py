"""DAGs with notifiers and alerts; the tests define the connections."""

from __future__ import annotations

import socket
from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference, SyncCallback, task

from airflow_smtp_cm.notifications.send_mail import SendMailNotifier


@task
def fail() -> None:
    """Fail."""
    raise ValueError("No rows")


@task
def succeed() -> None:
    """Do nothing."""


@task
def wait(port: str) -> None:
    """Connect to a port, and wait until the connection is closed."""
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        connection.recv(1)


def at_once(callback: AsyncCallback | SyncCallback) -> DeadlineAlert:
    """Return a deadline alert for every run, at once."""
    return DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(0), callback=callback)


with DAG(
    "late",
    schedule=None,
    deadline=[
        at_once(SyncCallback(SendMailNotifier, kwargs={"to": "ops@corp.test", "smtp_conn_id": "of_workers"})),
        at_once(SyncCallback(SendMailNotifier, kwargs={"to": "ops@corp.test"})),
        at_once(AsyncCallback(SendMailNotifier, kwargs={"to": "ops@corp.test", "smtp_conn_id": "elsewhere"})),
    ],
):
    succeed()

with DAG(
    "unanswered", schedule=None, deadline=at_once(AsyncCallback(SendMailNotifier, kwargs={"to": "ops@corp.test"}))
):
    ApprovalOperator(task_id="release", subject="Release the report?")

with DAG("failed_run", schedule=None, on_failure_callback=SendMailNotifier(to="ops@corp.test")):
    fail()

with DAG("approval", schedule=None):
    ApprovalOperator(
        task_id="release",
        subject="Release the report of {{ run_id }}?",
        body="It has **12** rows.",
        defaults="Reject",
        response_timeout=timedelta(hours=1),
        notifiers=SendMailNotifier(to="boss@corp.test"),
    )

with DAG("one_notifies", schedule=None):
    fail.override(
        on_failure_callback=[
            SendMailNotifier(to="ops@corp.test", smtp_conn_id="elsewhere"),
            SendMailNotifier(to="ops@corp.test", smtp_conn_id="silent"),
            SendMailNotifier(to="ops@corp.test"),
        ]
    )()

with DAG("old_alerts", schedule=None):
    fail.override(
        email=["ops@corp.test", "dba@corp.test"],
        email_on_failure=True,
        email_on_retry=True,
        retries=1,
        retry_delay=timedelta(0),
    )()

for dag_id, retries in {"killed": 0, "killed_with_retries": 2, "crashed": 0}.items():
    with DAG(dag_id, schedule=None, on_failure_callback=SendMailNotifier(to="ops@corp.test")):
        wait.override(
            retries=retries,
            retry_delay=timedelta(0),
            on_retry_callback=SendMailNotifier(to="ops@corp.test"),
            on_failure_callback=SendMailNotifier(to="ops@corp.test"),
        )("{{ dag_run.conf['port'] }}")
