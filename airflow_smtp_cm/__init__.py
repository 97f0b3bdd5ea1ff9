"""The SMTP connection manager and the Send Mail task of SQL Server Integration Services, for Apache Airflow."""

__version__ = "0.1.0"
