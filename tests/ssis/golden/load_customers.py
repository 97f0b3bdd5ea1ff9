"""The mail of the SSIS package LoadCustomers."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param
from airflow_smtp_cm.operators.precedence import PackageFailureOperator, PrecedenceOperator
from airflow_smtp_cm.operators.send_mail import SendMailOperator

with DAG(
    dag_id="load_customers",
    dag_display_name="LoadCustomers",
    schedule=None,
    params={
        "Rejected": Param(0, type="integer"),
        "OperationsTeam": Param(type="string", description="Who is told when something fails"),
    },
):
    empty_staging_table = EmptyOperator(
        task_id="empty_staging_table",
        task_display_name="Empty staging table",
        doc_md="Execute SQL task (Microsoft.ExecuteSQLTask)",
    )
    customers_from_crm = EmptyOperator(
        task_id="customers_from_crm",
        task_display_name="Customers from CRM",
        doc_md="Data Flow task (Microsoft.Pipeline)",
    )
    before_tell_data_stewards = PrecedenceOperator(
        task_id="before_tell_data_stewards", condition="{{ succeeded('customers_from_crm') and params.Rejected > 0 }}"
    )
    tell_data_stewards = SendMailOperator(
        task_id="tell_data_stewards",
        task_display_name="Tell data stewards",
        smtp_conn_id="mail",
        from_email="etl@harbourpine.example",
        to="data-stewards@harbourpine.example",
        cc="crm@harbourpine.example",
        subject="Rejected customers",
        priority="{{ {1: 'High', 5: 'Low'}.get(1 if params.Rejected > 100 else 3, 'Normal') }}",
        message_source="Customers rejected: {{ params.Rejected }}\nSee stage.CustomerRejected.",
        attachments=["\\\\files01\\etl\\customers\\rejected.csv", "\\\\files01\\etl\\customers\\how to correct.pdf"],
        doc_md="Rejected rows must be corrected in the CRM",
    )
    before_tell_operations = PrecedenceOperator(
        task_id="before_tell_operations",
        condition="{{ failed('customers_from_crm') or failed('empty_staging_table') }}",
    )
    tell_operations = SendMailOperator(
        task_id="tell_operations",
        task_display_name="Tell operations",
        smtp_conn_id="mail",
        from_email="etl@harbourpine.example",
        to="{{ params.OperationsTeam }}",
        subject="Customers were not loaded",
        priority="High",
        message_source="The CRM could not be read or the staging table could not be emptied.",
    )
    customers_from_crm_completed = PrecedenceOperator(
        task_id="customers_from_crm_completed", condition="{{ completed('customers_from_crm') }}"
    )
    tell_the_old_team = SendMailOperator(
        task_id="tell_the_old_team",
        task_display_name="Tell the old team",
        smtp_conn_id="mail",
        from_email="etl@harbourpine.example",
        to="bi-team@harbourpine.example",
        subject="Customers: done",
        priority="Low",
        disable=True,
    )
    empty_staging_table >> [customers_from_crm, before_tell_operations]
    customers_from_crm >> [before_tell_data_stewards, before_tell_operations, customers_from_crm_completed]
    before_tell_data_stewards >> tell_data_stewards
    before_tell_operations >> tell_operations
    customers_from_crm_completed >> tell_the_old_team
    [empty_staging_table, customers_from_crm] >> PackageFailureOperator(task_id="package_failure")
