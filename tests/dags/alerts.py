"""DAGs whose callbacks keep their contexts."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, AirflowException, AirflowSkipException, task

from tests.airflow_versions import AIRFLOW
from tests.notifications.contexts import keep

with DAG("alerts", schedule=None, on_failure_callback=keep("a run, in dags test")):

    @task(
        retries=2,
        retry_delay=timedelta(0),
        on_execute_callback=keep("a task that starts"),
        on_retry_callback=keep("a task with a retry"),
        on_failure_callback=keep("a failed task"),
    )
    def load() -> None:
        """Fail."""
        raise ValueError("No rows")

    @task(retries=2, retry_delay=timedelta(0), on_failure_callback=keep("a mapped task"))
    def part(number: int) -> None:
        """Fail, if it is the second part."""
        if number > 1:
            raise ValueError(f"No part {number}")

    @task(on_success_callback=keep("a task that succeeded"))
    def succeed() -> None:
        """Do nothing."""

    @task(on_skipped_callback=keep("a skipped task"))
    def skip() -> None:
        """Skip."""
        raise AirflowSkipException

    load()
    part.expand(number=[1, 2])
    succeed()
    skip()

if AIRFLOW >= (3, 1):
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    def end(_: object) -> None:
        """End the task, which would wait for an answer."""
        raise AirflowException("Nobody answers.")

    with DAG("alerts_of_a_question", schedule=None):
        ApprovalOperator(
            task_id="release", subject="Release the report of {{ run_id }}?", notifiers=[keep("a question"), end]
        )
