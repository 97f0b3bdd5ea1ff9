"""`airflow smtp-cm`, run as people run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.airflow_versions import AIRFLOW

COMMAND = Path(sys.executable).with_name("airflow")
pytestmark = pytest.mark.skipif(AIRFLOW < (3, 2), reason="Airflow below 3.2 knows no commands of providers")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    """Return a function that runs an airflow command in an Airflow of its own; its output and errors are texts."""
    own = os.environ | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }

    def airflow(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments], env=own | environment, capture_output=True, text=True, check=False
        )

    assert airflow("db", "migrate").returncode == 0
    return airflow


def test_test_logs_in_and_sends_when_asked(airflow, server):
    outcome = airflow(
        "smtp-cm", "test", "mail", "--to", "bob@corp.test", "--trace", AIRFLOW_CONN_MAIL=server.airflow_connection()
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "Logged in by NTLM" in outcome.stdout
    assert "Sent <" in outcome.stdout
    assert "C: AUTH NTLM ********" in outcome.stderr
    assert server.outbox[-1].recipients == ("bob@corp.test",)


def test_test_fails_with_the_reason_and_without_the_password(airflow, server):
    outcome = airflow("smtp-cm", "test", "mail", AIRFLOW_CONN_MAIL=server.airflow_connection(password="not-this-one"))
    assert outcome.returncode == 1
    assert "refused the login by NTLM" in outcome.stderr
    assert "not-this-one" not in outcome.stdout + outcome.stderr


def test_an_unknown_connection_is_an_error(airflow):
    outcome = airflow("smtp-cm", "test", "nowhere")
    assert outcome.returncode == 1
    assert "nowhere" in outcome.stderr


def test_a_connection_string_is_added_and_shown_again(airflow):
    text = "SmtpServer=mail.corp.test;UseWindowsAuthentication=True;EnableSsl=True;Timeout=5000;"
    added = airflow("smtp-cm", "add", "packaged", text)
    assert added.returncode == 0, added.stderr
    shown = airflow("smtp-cm", "connection-string", "packaged")
    assert text in shown.stdout.splitlines()


def test_a_connection_string_that_is_wrong_is_not_added(airflow):
    outcome = airflow("smtp-cm", "add", "packaged2", "SmtpServer=mail.corp.test;EnableSsl=Perhaps;")
    assert outcome.returncode == 1
    assert "EnableSsl" in outcome.stderr
