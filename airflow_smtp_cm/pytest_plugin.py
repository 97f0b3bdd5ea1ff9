"""pytest's fixture ``smtp_cm_server``: what a DAG mails lands in an outbox, and goes nowhere else.

::

    def test_the_report_is_mailed(smtp_cm_server):
        dag.test()
        (received,) = smtp_cm_server.outbox
        assert received.message["Subject"] == "Report"

pytest finds this module by itself, wherever the package is installed, and imports it at every start: what the fixture
needs is imported when a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_smtp_cm.testing import SmtpTestServer


@pytest.fixture
def smtp_cm_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpTestServer]:
    """An SMTP server with Windows authentication; the Airflow connection ``smtp_cm_default`` leads to it."""
    try:
        from airflow_smtp_cm.testing import SmtpTestServer  # noqa: PLC0415 - as the module says
    except ModuleNotFoundError as error:
        pytest.fail(f"It needs the extra: pip install 'airflow-smtp-cm[testing]' ({error}).", pytrace=False)
    with SmtpTestServer() as server:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", server.airflow_connection())
        yield server
