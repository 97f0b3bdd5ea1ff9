"""The mail of the SSIS package PublishReports."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param
from airflow_smtp_cm.macros import ssis
from airflow_smtp_cm.operators.precedence import PackageFailureOperator, PrecedenceOperator
from airflow_smtp_cm.operators.send_mail import SendMailOperator

with DAG(
    dag_id="publish_reports",
    dag_display_name="PublishReports",
    schedule=None,
    params={
        "SalesTeam": Param(
            "sales@harbourpine.example; shops@harbourpine.example",
            type="string",
            description="Who reads the daily figures",
        ),
        "SendReports": Param(default=True, type="boolean", description="False on test machines"),
    },
    user_defined_macros={"ssis": ssis},
):
    render_report = EmptyOperator(
        task_id="render_report", task_display_name="Render report", doc_md="Script task (Microsoft.ScriptTask)"
    )
    copy_to_intranet = EmptyOperator(
        task_id="copy_to_intranet",
        task_display_name="Copy to intranet",
        doc_md="File System task (Microsoft.FileSystemTask)",
    )
    send_report = SendMailOperator(
        task_id="send_report",
        task_display_name="Send report",
        smtp_conn_id="mail",
        from_email="reports@harbourpine.example",
        to="{{ params.SalesTeam }}",
        subject="Your daily sales report",
        message_source_type="FileConnection",
        message_source="\\\\files01\\etl\\reports\\cover letter.txt",
        attachments=(
            "\\\\files01\\etl\\reports\\sales-{{ ssis.local(dag_run.start_date).year }}"
            "{{ ('0' ~ ssis.local(dag_run.start_date).month)[-2:] }}"
            "{{ ('0' ~ ssis.local(dag_run.start_date).day)[-2:] }}"
            ".pdf|\\\\files01\\etl\\reports\\explanations.pdf"
        ),
        disable="{{ not params.SendReports }}",
        doc_md="The report as an attachment, for the shops",
    )
    before_report_is_missing = PrecedenceOperator(
        task_id="before_report_is_missing", condition="{{ failed('render_report') or failed('copy_to_intranet') }}"
    )
    report_is_missing = SendMailOperator(
        task_id="report_is_missing",
        task_display_name="Report is missing",
        smtp_conn_id="mail",
        from_email="reports@harbourpine.example",
        cc="operations@harbourpine.example",
        subject="The daily sales report is missing",
        message_source="It could not be rendered, or not be copied to the intranet.",
    )
    render_report >> [copy_to_intranet, before_report_is_missing]
    copy_to_intranet >> [send_report, before_report_is_missing]
    before_report_is_missing >> report_is_missing
    [render_report, copy_to_intranet] >> PackageFailureOperator(task_id="package_failure")
