"""DAGs with notifiers and alerts; the tests define the connections."""

from __future__ import annotations

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
