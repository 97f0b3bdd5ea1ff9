"""The mail of the SSIS package EncryptSensitiveWithPassword."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow_smtp_cm.operators.send_mail import SendMailOperator

with DAG(dag_id="encrypt_sensitive_with_password", dag_display_name="EncryptSensitiveWithPassword", schedule=None):
    SendMailOperator(
        task_id="send",
        task_display_name="Send",
        smtp_conn_id="encrypt_sensitive_with_password_mail",
        from_email="orders@example.com",
        to="desk@example.com",
        subject="Orders",
    )
    EmptyOperator(task_id="fetch", task_display_name="Fetch", doc_md="FTP task (Microsoft.FtpTask)")
