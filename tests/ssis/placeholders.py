"""Replaces the placeholders of a generated DAG by tasks that run, and fail if a test says so."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import DagRunTriggerException
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import BaseOperator


class Placeholder(BaseOperator):
    """Succeeds, unless its id is in ``failing``."""

    failing: ClassVar[set[str]] = set()

    def execute(self, context: Any) -> None:  # noqa: ARG002 - Airflow passes it
        if self.task_id in self.failing:
            raise RuntimeError(f"{self.task_id} is made to fail")


class Trigger(TriggerDagRunOperator):
    """Records the run that it would start, since ``dag.test`` runs one DAG only; fails as a placeholder does."""

    started: ClassVar[list[DagRunTriggerException]] = []

    def execute(self, context: Any) -> None:
        if self.task_id in Placeholder.failing:
            raise RuntimeError(f"{self.task_id} is made to fail")
        try:
            super().execute(context)
        except DagRunTriggerException as run:
            self.started.append(run)
