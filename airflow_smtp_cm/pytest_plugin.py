"""The pytest fixture ``smtp_cm_server``: a test server that keeps the mail of a DAG in an outbox.

::

    def test_the_report_is_mailed(smtp_cm_server):
        dag.test()
        (received,) = smtp_cm_server.outbox
        assert received.message["Subject"] == "Report"

pytest loads this plugin whenever it starts, if the package is installed. So the server is imported only when a test
uses the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_smtp_cm.testing import SmtpTestServer


@pytest.fixture
def smtp_cm_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpTestServer]:
    """An SMTP server with Windows authentication, to which the Airflow connection ``smtp_cm_default`` connects."""
    try:
        from airflow_smtp_cm.testing import SmtpTestServer  # noqa: PLC0415 - imported when it runs
    except ModuleNotFoundError as error:
        pytest.fail(
            f"The fixture smtp_cm_server needs the extra: pip install 'airflow-smtp-cm[testing]' ({error}).",
            pytrace=False,
        )
    with SmtpTestServer() as server:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", server.airflow_connection())
        yield server
