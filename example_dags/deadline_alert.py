"""Mails the people on duty when a run has not ended in time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from airflow_smtp_cm.notifications.send_mail import SendMailNotifier

deadline: dict[str, Any] = {}
if AIRFLOW_V_3_1_PLUS:  # older versions have no deadlines; from 3.2 on, these three are in airflow.sdk
    from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

    deadline["deadline"] = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=5),
        callback=AsyncCallback(SendMailNotifier, kwargs={"to": "ops@corp.test"}),
    )


@task
def close_books() -> None:
    """Take longer than allowed."""
    time.sleep(15)


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), tags=["mail"], **deadline)
def deadline_alert() -> None:
    """Send the mail five seconds after the run was queued, while it is still running."""
    close_books()


deadline_alert()
