"""An SMTP server in this process that only accepts Windows authentication, to test the mail of DAGs.

    with SmtpTestServer() as server:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", server.airflow_connection())
        ...  # run the DAG
        assert server.outbox[0].message["Subject"] == "Report"

The fixture ``smtp_cm_server`` replaces the first two lines (see ``pytest_plugin``). This package needs the extra
``airflow-smtp-cm[testing]``. Logins with NTLM are verified by pyspnego, channel bindings included.
"""

from airflow_smtp_cm.testing.devices import (
    esmtp_inspection,
    hang_up_at_bdat,
    one_bdat_per_session,
    stall_at_bdat,
)
from airflow_smtp_cm.testing.receive_connector import ReceiveConnector
from airflow_smtp_cm.testing.received import ReceivedMessage
from airflow_smtp_cm.testing.server import SmtpTestServer

__all__ = [
    "ReceiveConnector",
    "ReceivedMessage",
    "SmtpTestServer",
    "esmtp_inspection",
    "hang_up_at_bdat",
    "one_bdat_per_session",
    "stall_at_bdat",
]
