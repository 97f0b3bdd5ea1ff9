"""The mail of the SSIS package Inventory."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TaskGroup
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator

count_failed = SendMailNotifier(
    smtp_conn_id="inventory_mail",
    from_email="stock@cooperage.example",
    to="it@cooperage.example",
    subject="The count failed",
    message_source="Nothing was counted.\nLook at the log.{{ '\\n' }}",
)

with DAG(
    dag_id="inventory",
    dag_display_name="Inventory",
    schedule=None,
    default_args={"on_failure_callback": count_failed},
    params={
        "Buyers": Param("buyers@cooperage.example; planning@cooperage.example", type="string"),
        "Warehouse": Param("North", type="string"),
        "Limit": Param(40, type="integer"),
    },
):
    with TaskGroup(group_id="count", group_display_name="Count") as count:
        count_stock = EmptyOperator(
            task_id="count_stock",
            task_display_name="Count stock",
            doc_md="Execute SQL task (Microsoft.ExecuteSQLTask)",
        )
        stock_is_low = SendMailOperator(
            task_id="stock_is_low",
            task_display_name="Stock is low",
            smtp_conn_id="inventory_mail",
            from_email="stock@cooperage.example",
            to="{{ params.Buyers }}",
            subject="Stock is low",
            priority="High",
            message_source="Warehouse {{ params.Warehouse }}:\nless than {{ params.Limit }} barrels.{{ '\\n' }}",
        )
        count_stock >> stock_is_low
    archive_the_count = EmptyOperator(
        task_id="archive_the_count",
        task_display_name="Archive the count",
        doc_md="File System task (Microsoft.FileSystemTask)",
    )
    count >> archive_the_count
