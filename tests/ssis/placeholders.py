"""What stands in for a placeholder of a generated DAG: a task that does something, and fails when a test says so."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.sdk import BaseOperator


class Placeholder(BaseOperator):
    """Succeeds, but for those whose ids are in ``failing``."""

    failing: ClassVar[set[str]] = set()

    def execute(self, context: Any) -> None:  # noqa: ARG002 - Airflow hands it over
        if self.task_id in self.failing:
            raise RuntimeError(f"{self.task_id} is made to fail")
