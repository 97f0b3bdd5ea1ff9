"""The mail of the SSIS package NightlyMaster."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TaskGroup
from airflow_smtp_cm.macros import ssis
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator

tell_operations = SendMailNotifier(
    smtp_conn_id="mail",
    from_email="etl@harbourpine.example",
    to="{{ params.OperationsTeam }}",
    subject="{{ dag.dag_display_name }} failed at {{ ssis.date_text(ssis.local(dag_run.start_date)) }}",
    priority="High",
    message_source=(
        "Package: {{ dag.dag_display_name }}\n"
        "Task: {{ task.task_display_name }}\n"
        "Error {{ ssis.error_code(exception|default(none)) }}: "
        "{{ exception|default(reason)|default('')|string }}\n"
        "On: {{ ti.hostname }}"
    ),
)

with DAG(
    dag_id="nightly_master",
    dag_display_name="NightlyMaster",
    description="Runs the night: customers and sales side by side, then the reports",
    schedule=None,
    default_args={"on_failure_callback": tell_operations},
    params={
        "OperationsTeam": Param(type="string", description="Who is told when something fails"),
        "Sender": Param(
            "etl@harbourpine.example", type="string", description="Sender of everything this package mails"
        ),
        "SalesTeam": Param(
            "sales@harbourpine.example; shops@harbourpine.example",
            type="string",
            description="Who reads the daily figures",
        ),
    },
    user_defined_macros={"ssis": ssis},
):
    with TaskGroup(group_id="load", group_display_name="Load") as load:
        EmptyOperator(
            task_id="load_customers",
            task_display_name="Load customers",
            doc_md="Execute Package task (Microsoft.ExecutePackageTask)\n\nRuns LoadCustomers.dtsx.",
        )
        EmptyOperator(
            task_id="load_sales",
            task_display_name="Load sales",
            doc_md="Execute Package task (Microsoft.ExecutePackageTask)\n\nRuns LoadSales.dtsx.",
        )
    publish_reports = EmptyOperator(
        task_id="publish_reports",
        task_display_name="Publish reports",
        doc_md="Execute Package task (Microsoft.ExecutePackageTask)\n\nRuns PublishReports.dtsx.",
    )
    tell_sales = SendMailOperator(
        task_id="tell_sales",
        task_display_name="Tell sales",
        smtp_conn_id="mail",
        from_email="{{ params.Sender }}",
        to="{{ params.SalesTeam }}",
        subject="Sales of {{ ssis.dateadd('day', -1, ssis.local(dag_run.start_date)).date() }} are ready",
        message_source="Good morning,\n\nyesterday's sales are in the warehouse.\n\nYour ETL",
        doc_md="Good morning to the sales team",
    )
    load >> publish_reports >> tell_sales
