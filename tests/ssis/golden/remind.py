"""The mail of the SSIS package Remind."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TaskGroup, task_group
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.foreach import ForeachFileOperator
from airflow_smtp_cm.operators.precedence import PackageFailureOperator, PrecedenceOperator
from airflow_smtp_cm.operators.send_mail import SendMailOperator

each_office_items = [
    {"Office": "Hill Street", "OfficeAddress": "hill@bramblefield.example"},
    {"Office": "Mill Lane", "OfficeAddress": "mill@bramblefield.example"},
]
counting_failed = SendMailNotifier(
    smtp_conn_id="tickets_mail",
    from_email="tickets@bramblefield.example",
    to="desk@bramblefield.example",
    subject="Tickets of {{ dag.dag_display_name }} are not counted",
    message_source="{{ exception|default(reason)|default('')|string }}",
    disable="{{ not (task.task_display_name == 'Count tickets') }}",
)
something_failed = SendMailNotifier(
    smtp_conn_id="tickets_mail",
    from_email="tickets@bramblefield.example",
    to="{{ params.Operations }}",
    subject="{{ task.task_display_name }} failed",
    message_source="Look at the log.",
    disable="{{ not (task.task_display_name != 'Count tickets' and params.Limit >= 0) }}",
)
no_text = SendMailNotifier(
    smtp_conn_id="tickets_mail",
    from_email="tickets@bramblefield.example",
    to="ops@bramblefield.example",
    subject="The text could not be built",
    message_source="Look at the log.",
    disable="To do: write disable (the failure of Package.EventHandlers[OnError]\\Build text)",
)

with DAG(
    dag_id="remind",
    dag_display_name="Remind",
    schedule=None,
    default_args={"on_failure_callback": [counting_failed, something_failed, no_text]},
    params={
        "Limit": Param(0, type="integer"),
        "Operations": Param(type="string", description="Who is told when something fails"),
        "Sender": Param("tickets@bramblefield.example", type="string"),
    },
    user_defined_macros={"each_office_items": each_office_items},
):
    with TaskGroup(
        group_id="each_region", group_display_name="Each region", tooltip="Foreach Loop container of SSIS"
    ) as each_region:
        SendMailOperator(
            task_id="remind_region",
            task_display_name="Remind region",
            smtp_conn_id="tickets_mail",
            from_email="{{ params.Sender }}",
            message_source="Please close them.\nThank you.",
            messages=[
                {
                    "to": "north@bramblefield.example",
                    "subject": "Open tickets in North, more than {{ params.Limit }}",
                },
                {
                    "to": "south@bramblefield.example; east@bramblefield.example",
                    "subject": "Open tickets in South & East, more than {{ params.Limit }}",
                },
            ],
        )

    @task_group(group_id="each_office", group_display_name="Each office", tooltip="Foreach Loop container of SSIS")
    def each_office(_item):
        count_tickets = EmptyOperator(
            task_id="count_tickets", task_display_name="Count tickets", doc_md="Data Flow task (Microsoft.Pipeline)"
        )
        tell_office = SendMailOperator(
            task_id="tell_office",
            task_display_name="Tell office",
            smtp_conn_id="tickets_mail",
            from_email="tickets@bramblefield.example",
            to="{{ each_office_items[ti.map_index]['OfficeAddress'] }}",
            subject="{{ each_office_items[ti.map_index]['Office'] }}: tickets are counted",
            message_source="See the board.",
        )
        count_tickets >> tell_office

    each_office = each_office.expand(_item=each_office_items)
    each_list_files = ForeachFileOperator(
        task_id="each_list_files", folder="\\\\files02\\tickets", file_spec="tickets-*.txt"
    )

    @task_group(group_id="each_list", group_display_name="Each list", tooltip="Foreach Loop container of SSIS")
    def each_list(_item):
        SendMailOperator(
            task_id="send_list",
            task_display_name="Send list",
            smtp_conn_id="tickets_mail",
            from_email="tickets@bramblefield.example",
            to="board@bramblefield.example",
            subject="Tickets",
            message_source="A list is attached.",
            attachments="{{ ti.xcom_pull(task_ids='each_list_files')[ti.map_index] }}",
        )

    each_list = each_list.expand(_item=each_list_files.output)
    each_list_succeeded = PrecedenceOperator(
        task_id="each_list_succeeded", condition="{{ succeeded('each_list_files') and not failed('each_list') }}"
    )
    all_are_reminded = SendMailOperator(
        task_id="all_are_reminded",
        task_display_name="All are reminded",
        smtp_conn_id="tickets_mail",
        from_email="tickets@bramblefield.example",
        to="desk@bramblefield.example",
        subject="Reminders are sent",
        message_source="Regions and offices are reminded.",
    )
    each_region >> each_office >> each_list_files >> each_list >> each_list_succeeded >> all_are_reminded
    each_list >> PackageFailureOperator(task_id="package_failure")
