"""DAGs that send one message with Airflow's own operator and with this one, to compare their calls."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.smtp.operators.smtp import EmailOperator

from airflow_smtp_cm.operators.send_mail import SendMailOperator

TO, SUBJECT = "bob@corp.test", "Report"

with DAG("calls_of_email_operator", schedule=None):
    EmailOperator(
        task_id="send", conn_id="own", to=TO, subject=SUBJECT, html_content="Hello.", from_email="r@corp.test"
    )

for retries in (0, 1):
    with DAG(f"calls_with_{retries}_retries", schedule=None):
        SendMailOperator(
            task_id="send",
            smtp_conn_id="mail",
            to=TO,
            subject=SUBJECT,
            message_source="Hello.",
            retries=retries,
            retry_delay=timedelta(0),
        )
