"""The hook for Airflow connections of type ``smtp_cm``."""
