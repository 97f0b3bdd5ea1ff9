"""The mail of the SSIS package MonthEnd."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TaskGroup
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.precedence import PackageFailureOperator, PrecedenceOperator
from airflow_smtp_cm.operators.send_mail import SendMailOperator

journal_failed = SendMailNotifier(
    smtp_conn_id="month_end_mail",
    from_email="close@ledger.example",
    to="finance@ledger.example",
    subject="A journal failed",
    message_source=(
        "Journal {{ params.Journal }} failed.\n{{ params.Note if params.Note|length > 0 else 'No note.' }}"
    ),
)

with DAG(
    dag_id="month_end",
    dag_display_name="MonthEnd",
    schedule=None,
    params={
        "Closed": Param(default=False, type="boolean"),
        "Journal": Param(type="string"),
        "Note": Param("", type="string"),
        "Try": Param(0, type="integer"),
        "Domain": Param("ledger.example", type="string"),
    },
):
    with TaskGroup(
        group_id="wait_for_the_ledger",
        group_display_name="Wait for the ledger",
        tooltip="For Loop container of SSIS. Ten tries",
    ) as wait_for_the_ledger:
        is_it_closed = EmptyOperator(
            task_id="is_it_closed",
            task_display_name="Is it closed",
            doc_md="Execute SQL task (Microsoft.SqlServer.Dts.Tasks.ExecuteSQLTask.ExecuteSQLTask)",
        )
        before_still_open = PrecedenceOperator(
            task_id="before_still_open",
            condition="{{ completed('wait_for_the_ledger.is_it_closed') and params.Closed == false }}",
        )
        still_open = SendMailOperator(
            task_id="still_open",
            task_display_name="Still open",
            smtp_conn_id="month_end_mail",
            from_email="close@ledger.example",
            cc="finance@ledger.example; controlling@ledger.example",
            subject="Ledger still open, try {{ params.Try }}",
            message_source="Please close the period.",
            disable="{{ params.Try < 3 }}",
        )
        is_it_closed >> before_still_open >> still_open
    wait_for_the_ledger_succeeded = PrecedenceOperator(
        task_id="wait_for_the_ledger_succeeded", condition="{{ succeeded('wait_for_the_ledger') }}"
    )
    with TaskGroup(
        group_id="journals",
        group_display_name="Journals",
        tooltip="Foreach Loop container of SSIS. Every journal of the month",
    ) as journals:
        load_journal = EmptyOperator(
            task_id="load_journal",
            task_display_name="Load journal",
            doc_md="Data Flow task (SSIS.Pipeline.2)",
            on_failure_callback=journal_failed,
        )
        archive_journal = EmptyOperator(
            task_id="archive_journal",
            task_display_name="Archive journal",
            doc_md="File System task (Microsoft.SqlServer.Dts.Tasks.FileSystemTask.FileSystemTask)",
        )
        load_journal >> archive_journal
    journals_completed = PrecedenceOperator(task_id="journals_completed", condition="{{ completed('journals') }}")
    close_report = SendMailOperator(
        task_id="close_report",
        task_display_name="Close report",
        smtp_conn_id="month_end_mail",
        from_email="close@{{ params.Domain }}",
        to="board@ledger.example",
        subject="Month end",
        message_source_type="FileConnection",
        message_source="D:\\close\\cover.txt",
        attachments="D:\\close\\report.xls|D:\\close\\journals.txt",
    )
    wait_for_the_ledger >> wait_for_the_ledger_succeeded >> journals >> journals_completed >> close_report
    [is_it_closed, still_open, archive_journal] >> PackageFailureOperator(task_id="package_failure")
