"""A DAG whose task does nothing: what Airflow itself takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import DAG, BaseOperator

from benchmarks.task_costs import record

if TYPE_CHECKING:
    from airflow.sdk import Context


class NoMailOperator(BaseOperator):
    """Does nothing."""

    def execute(self, context: Context) -> None:
        """Do nothing."""


with DAG("speed_no_mail", schedule=None):
    NoMailOperator(task_id="send", on_success_callback=record)
