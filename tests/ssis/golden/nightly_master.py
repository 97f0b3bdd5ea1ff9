"""The mail of the SSIS package NightlyMaster."""

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
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
        "MinimumRows": Param(100, type="integer", description="Fewer rows than this are suspicious"),
        "SalesTeam": Param(
            "sales@harbourpine.example; shops@harbourpine.example",
            type="string",
            description="Who reads the daily figures",
        ),
        "SendReports": Param(default=True, type="boolean", description="False on test machines"),
        "Sender": Param(
            "etl@harbourpine.example", type="string", description="Sender of everything this package mails"
        ),
    },
    user_defined_macros={"ssis": ssis},
):
    with TaskGroup(group_id="load", group_display_name="Load") as load:
        TriggerDagRunOperator(
            task_id="load_customers",
            task_display_name="Load customers",
            trigger_dag_id="load_customers",
            conf='{"OperationsTeam": {{ params.OperationsTeam|tojson }}}',
            wait_for_completion=True,
            poke_interval=10,
        )
        TriggerDagRunOperator(
            task_id="load_sales",
            task_display_name="Load sales",
            trigger_dag_id="load_sales",
            conf=(
                '{"MinimumRows": {{ params.MinimumRows|tojson }}, "OperationsTeam": '
                '{{ params.OperationsTeam|tojson }}, "SalesTeam": {{ params.SalesTeam|tojson }}}'
            ),
            wait_for_completion=True,
            poke_interval=10,
        )
    publish_reports = TriggerDagRunOperator(
        task_id="publish_reports",
        task_display_name="Publish reports",
        trigger_dag_id="publish_reports",
        conf=('{"SalesTeam": {{ params.SalesTeam|tojson }}, "SendReports": {{ params.SendReports|tojson }}}'),
        wait_for_completion=True,
        poke_interval=10,
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
