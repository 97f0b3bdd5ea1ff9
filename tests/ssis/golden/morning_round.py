"""The mail of the SSIS package MorningRound."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG
from airflow_smtp_cm.operators.precedence import PackageFailureOperator
from airflow_smtp_cm.operators.send_mail import SendMailOperator

with DAG(dag_id="morning_round", dag_display_name="MorningRound", schedule=None):
    remind = TriggerDagRunOperator(
        task_id="remind",
        task_display_name="Remind",
        trigger_dag_id="remind_all",
        wait_for_completion=True,
        poke_interval=10,
    )
    archive = EmptyOperator(
        task_id="archive",
        task_display_name="Archive",
        doc_md="Execute Package task (DTS.ExecutePackageTask.1)\n\nRuns Archive.dtsx.",
    )
    morning_is_done = SendMailOperator(
        task_id="morning_is_done",
        task_display_name="Morning is done",
        smtp_conn_id="ticket_mail",
        from_email="tickets@bramblefield.example",
        to="desk@bramblefield.example",
        subject="The morning is done",
        message_source="All tickets are reminded and archived.",
    )
    reminding_failed = SendMailOperator(
        task_id="reminding_failed",
        task_display_name="Reminding failed",
        smtp_conn_id="ticket_mail",
        from_email="tickets@bramblefield.example",
        to="ops@bramblefield.example",
        subject="Reminding failed",
        priority="High",
        message_source="Look at the log.",
        trigger_rule="one_failed",
    )
    remind >> [archive, reminding_failed]
    archive >> morning_is_done
    remind >> PackageFailureOperator(task_id="package_failure")
