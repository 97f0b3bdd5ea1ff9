"""The mail of the SSIS package CheckFeeds."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TaskGroup
from airflow_smtp_cm.macros import ssis
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.precedence import PackageFailureOperator, PrecedenceOperator
from airflow_smtp_cm.operators.send_mail import SendMailOperator

package_failed = SendMailNotifier(
    smtp_conn_id="mail_relay",
    from_email="feeds@ledger.example",
    to="{{ params.Operators }}",
    subject="CheckFeeds failed",
    message_source="{{ task.task_display_name }}: {{ exception|default(reason)|default('')|string }}",
)
feeds_done = SendMailNotifier(
    smtp_conn_id="mail_relay",
    from_email="feeds@ledger.example",
    to="log@ledger.example",
    subject="{{ task.task_display_name }} done at {{ ssis.timestamp_text(ssis.getdate()) }}",
    priority="Low",
    message_source="",
)

with DAG(
    dag_id="check_feeds",
    dag_display_name="CheckFeeds",
    description="Feeds of the finance department",
    schedule=None,
    default_args={"on_failure_callback": package_failed},
    params={
        "ForceDigest": Param(default=False, type="boolean"),
        "Operators": Param("it@ledger.example; duty@ledger.example;", type="string"),
        "Digest": Param("Feeds of the week:\nall of them.", type="string"),
    },
    user_defined_macros={"ssis": ssis},
):
    with TaskGroup(
        group_id="feeds",
        group_display_name="Feeds",
        tooltip="All feeds of the day",
        default_args={"on_failure_callback": [package_failed, feeds_done], "on_success_callback": feeds_done},
    ) as feeds:
        with TaskGroup(group_id="bank", group_display_name="Bank", tooltip="Statements of the bank") as bank:
            load_statements = EmptyOperator(
                task_id="load_statements",
                task_display_name="Load statements",
                doc_md="Data Flow task (DTS.Pipeline.1)",
            )
            statements_are_in = SendMailOperator(
                task_id="statements_are_in",
                task_display_name="Statements are in",
                smtp_conn_id="mail_relay",
                from_email="feeds@ledger.example",
                to="cash@ledger.example",
                subject="Bank statements",
                message_source="Loaded.",
            )
            load_statements >> statements_are_in
        check_totals = EmptyOperator(
            task_id="check_totals",
            task_display_name="Check totals",
            doc_md="Execute SQL task (Microsoft.SqlServer.Dts.Tasks.ExecuteSQLTask.ExecuteSQLTask)",
        )
        bank >> check_totals
    feeds_are_good = SendMailOperator(
        task_id="feeds_are_good",
        task_display_name="Feeds are good",
        smtp_conn_id="mail_relay",
        from_email="feeds@ledger.example",
        to="finance@ledger.example;controlling@ledger.example",
        subject="All feeds are in",
        message_source="Bank, cards and payroll.\nTotals agree.{{ '\\n' }}",
    )
    feeds_failed = PrecedenceOperator(task_id="feeds_failed", condition="{{ failed('feeds') }}")
    feeds_are_bad = SendMailOperator(
        task_id="feeds_are_bad",
        task_display_name="Feeds are bad",
        smtp_conn_id="mail_relay",
        from_email="feeds@ledger.example",
        to="finance@ledger.example",
        cc="it@ledger.example",
        bcc="audit@ledger.example",
        subject="Feeds: totals do not agree",
        priority="High",
        message_source="See the attached lists.",
        attachments=["D:\\feeds\\differences.txt", "D:\\feeds\\statements & totals.csv"],
        doc_md="Somebody must look",
    )
    feeds_completed = PrecedenceOperator(task_id="feeds_completed", condition="{{ completed('feeds') }}")
    write_log = EmptyOperator(
        task_id="write_log",
        task_display_name="Write log",
        doc_md="Execute SQL task (Microsoft.SqlServer.Dts.Tasks.ExecuteSQLTask.ExecuteSQLTask)",
    )
    before_weekly_digest = PrecedenceOperator(
        task_id="before_weekly_digest",
        condition=(
            "{{ succeeded('write_log') and ssis.datepart('weekday', ssis.getdate()) == 6 or "
            "succeeded('feeds_are_good') or completed('feeds_are_good') and params.ForceDigest }}"
        ),
    )
    weekly_digest = SendMailOperator(
        task_id="weekly_digest",
        task_display_name="Weekly digest",
        smtp_conn_id="mail_relay",
        from_email="feeds@ledger.example",
        to="finance@ledger.example",
        subject="Weekly digest",
        message_source="{{ params.Digest }}",
    )
    old_address = SendMailOperator(
        task_id="old_address",
        task_display_name="Old address",
        smtp_conn_id="mail_relay",
        from_email="feeds@ledger.example",
        to="old@ledger.example",
        subject="Feeds",
        disable=True,
        doc_md="Nobody reads this any more",
    )
    feeds >> [feeds_are_good, feeds_failed, feeds_completed]
    feeds_are_good >> before_weekly_digest >> weekly_digest
    feeds_failed >> feeds_are_bad
    feeds_completed >> write_log >> [before_weekly_digest, old_address]
    [check_totals, feeds_are_good, write_log] >> PackageFailureOperator(task_id="package_failure")
