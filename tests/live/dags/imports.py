"""A DAG that returns what its task imports."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG

from airflow_smtp_cm.operators.send_mail import SendMailOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class WatchedSendMailOperator(SendMailOperator):
    """Returns the modules that are imported while it sends."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Send the message."""
        before = set(sys.modules)
        super().execute(context)
        return {"imported": sorted(set(sys.modules) - before)}


with DAG("imports_of_a_task", schedule=None):
    WatchedSendMailOperator(
        task_id="send",
        smtp_conn_id="of_workers",
        to="carol@corp.test",
        subject="Imports",
        html_content="<p>See what is imported.</p>",
    )
