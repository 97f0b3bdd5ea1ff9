"""The mail of the SSIS package Joiners."""

from airflow.sdk import DAG, Param, TaskGroup
from airflow_smtp_cm.macros import ssis
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.precedence import PackageFailureOperator, PrecedenceOperator
from airflow_smtp_cm.operators.send_mail import SendMailOperator

call_the_desk = SendMailNotifier(
    smtp_conn_id="people_mail",
    from_email="people@alderwick.example",
    to="desk@alderwick.example",
    subject="Facilities were not told",
    priority="High",
    message_source="",
)

with DAG(
    dag_id="joiners",
    dag_display_name="Joiners",
    description="Welcomes who starts today",
    schedule=None,
    params={
        "Address": Param(type="string"),
        "Welcome": Param(type="string"),
        "FirstDay": Param(type="string", format="date-time"),
    },
    user_defined_macros={"ssis": ssis},
):
    with TaskGroup(
        group_id="each_joiner", group_display_name="Each joiner", tooltip="Foreach Loop container of SSIS"
    ) as each_joiner:
        welcome = SendMailOperator(
            task_id="welcome",
            task_display_name="Welcome",
            smtp_conn_id="people_mail",
            from_email="people@alderwick.example",
            to="{{ params.Address }}",
            subject="Willkommen bei Alderwick – schön, dass Sie da sind",
            message_source="{{ params.Welcome }}",
        )
    each_joiner_completed = PrecedenceOperator(
        task_id="each_joiner_completed", condition="{{ completed('each_joiner') }}"
    )
    tell_facilities = SendMailOperator(
        task_id="tell_facilities",
        task_display_name="Tell facilities",
        smtp_conn_id="people_mail",
        from_email="people@alderwick.example",
        cc="facilities@alderwick.example; reception@alderwick.example",
        subject="Joiners of {{ ssis.dt_date(params.FirstDay).date() }}",
        message_source="Please have keys and badges ready.",
        attachments="C:\\people\\joiners.xls",
        on_failure_callback=call_the_desk,
    )
    each_joiner >> each_joiner_completed >> tell_facilities
    welcome >> PackageFailureOperator(task_id="package_failure")
