"""The mail of the SSIS package LoadSales."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, task_group
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.foreach import ForeachFileOperator
from airflow_smtp_cm.operators.precedence import PackageFailureOperator, PrecedenceOperator
from airflow_smtp_cm.operators.send_mail import SendMailOperator

tell_operations = SendMailNotifier(
    smtp_conn_id="mail",
    from_email="etl@harbourpine.example",
    to="{{ params.OperationsTeam }}",
    subject="Task {{ task.task_display_name }} of {{ dag.dag_display_name }} failed",
    message_source="Please look at the log of the night.",
)
tell_the_shops = SendMailNotifier(
    smtp_conn_id="mail",
    from_email="etl@harbourpine.example",
    to="shops@harbourpine.example",
    cc="operations@harbourpine.example",
    bcc="audit@harbourpine.example",
    subject="A sales file could not be read",
    message_source=(
        "The file {{ ti.xcom_pull(task_ids='for_each_shop_files')[ti.map_index] }} could not be "
        "read: {{ exception|default(reason)|default('')|string }}"
    ),
)

with DAG(
    dag_id="load_sales",
    dag_display_name="LoadSales",
    description="Sales files of the shops into the warehouse",
    schedule=None,
    default_args={"on_failure_callback": tell_operations},
    params={
        "RowsLoaded": Param(0, type="integer"),
        "MinimumRows": Param(100, type="integer", description="Fewer rows than this are suspicious"),
        "OperationsTeam": Param(type="string", description="Who is told when something fails"),
        "SalesTeam": Param(
            "sales@harbourpine.example; shops@harbourpine.example",
            type="string",
            description="Who reads the daily figures",
        ),
    },
):
    for_each_shop_files = ForeachFileOperator(
        task_id="for_each_shop_files", folder="\\\\files01\\etl\\sales\\in", file_spec="shop-*.csv"
    )

    @task_group(
        group_id="for_each_shop", group_display_name="For each shop", tooltip="Foreach Loop container of SSIS"
    )
    def for_each_shop(_item):
        load_file = EmptyOperator(
            task_id="load_file",
            task_display_name="Load file",
            doc_md="Data Flow task (Microsoft.Pipeline)",
            on_failure_callback=[tell_the_shops, tell_operations],
        )
        move_file_away = EmptyOperator(
            task_id="move_file_away",
            task_display_name="Move file away",
            doc_md="File System task (Microsoft.FileSystemTask)",
        )
        load_file >> move_file_away

    for_each_shop = for_each_shop.expand(_item=for_each_shop_files.output)
    for_each_shop_succeeded = PrecedenceOperator(
        task_id="for_each_shop_succeeded",
        condition="{{ succeeded('for_each_shop_files') and not failed('for_each_shop') }}",
    )
    count_rows = EmptyOperator(
        task_id="count_rows", task_display_name="Count rows", doc_md="Execute SQL task (Microsoft.ExecuteSQLTask)"
    )
    before_sales_are_in = PrecedenceOperator(
        task_id="before_sales_are_in",
        condition="{{ succeeded('count_rows') and params.RowsLoaded >= params.MinimumRows }}",
    )
    sales_are_in = SendMailOperator(
        task_id="sales_are_in",
        task_display_name="Sales are in",
        smtp_conn_id="mail",
        from_email="etl@harbourpine.example",
        to="operations@harbourpine.example",
        subject="Sales: {{ params.RowsLoaded }} rows",
        message_source="Rows loaded: {{ params.RowsLoaded }}\nShops: all",
    )
    before_too_few_sales = PrecedenceOperator(
        task_id="before_too_few_sales",
        condition="{{ completed('count_rows') and params.RowsLoaded < params.MinimumRows }}",
    )
    too_few_sales = SendMailOperator(
        task_id="too_few_sales",
        task_display_name="Too few sales",
        smtp_conn_id="mail",
        from_email="etl@harbourpine.example",
        to="{{ params.OperationsTeam }}; {{ params.SalesTeam }}",
        subject="Suspiciously few sales",
        priority="High",
        message_source="Only {{ params.RowsLoaded }} rows were loaded, at least {{ params.MinimumRows }} are usual.",
    )
    (
        for_each_shop_files
        >> for_each_shop
        >> for_each_shop_succeeded
        >> count_rows
        >> [before_sales_are_in, before_too_few_sales]
    )
    before_sales_are_in >> sales_are_in
    before_too_few_sales >> too_few_sales
    [for_each_shop, count_rows] >> PackageFailureOperator(task_id="package_failure")
