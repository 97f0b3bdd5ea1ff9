"""SSIS packages and their mail, on their way to Airflow (``airflow smtp-cm import``)."""
