"""SSIS packages on their way to Airflow."""
