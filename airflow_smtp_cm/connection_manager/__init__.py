"""The SMTP connection manager: its properties, its connection string and their validation."""

from airflow_smtp_cm.connection_manager.manager import SmtpConnectionManager

__all__ = ["SmtpConnectionManager"]
