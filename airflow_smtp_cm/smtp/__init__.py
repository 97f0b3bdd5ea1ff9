"""The SMTP conversation with Windows authentication: no Airflow, no MIME, one protocol for every transport."""
