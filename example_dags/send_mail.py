"""Mails a report with an attachment through the connection `smtp_cm_default`."""

from __future__ import annotations

import csv
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import dag, task

from airflow_smtp_cm.operators.send_mail import SendMailOperator


@task
def write_report() -> str:
    """Write the file to be mailed, and return its path."""
    path = Path(tempfile.mkdtemp()) / "sales.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("region", "sales"), ("North", 1200), ("South", 950)])
    return str(path)


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), tags=["mail"])
def send_mail() -> None:
    """Send a mail like SSIS's Send Mail task: a line of recipients, a text, a file."""
    SendMailOperator(
        task_id="send_report",
        to='"Doe, John" <john@corp.test>; sales@corp.test',
        cc="archive@corp.test",
        subject="Sales, {{ run_id }}",
        message_source="The sales of yesterday are in the attached file.\n\nRun: {{ run_id }}\n",
        priority="High",
        attachments=[write_report()],
    )


send_mail()
