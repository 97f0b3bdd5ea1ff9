"""Airflow with CeleryExecutor on machines of its own: ``make test-cluster``."""
