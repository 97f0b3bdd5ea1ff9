"""`airflow smtp-cm`, run as a command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_smtp_cm import standard_output
from tests.airflow_versions import AIRFLOW

COMMAND = (Path(sys.executable).with_name("airflow"),)
MODULE = (sys.executable, "-m", "airflow")
CONNECTION_STRING = "SmtpServer=mail.corp.test;UseWindowsAuthentication=True;EnableSsl=True;Timeout=5000;"
pytestmark = pytest.mark.skipif(AIRFLOW < (3, 2), reason="Airflow below 3.2 knows no commands of providers")


@pytest.fixture(scope="module")
def airflow(migrated_db, tmp_path_factory):
    """Return a function that runs an airflow command in a separate Airflow; its output and errors are text."""
    home = tmp_path_factory.mktemp("airflow")
    shutil.copy(migrated_db, home)
    own = os.environ | {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__UNIT_TEST_MODE": "False"}

    def airflow(
        *arguments: str, program: tuple[Path | str, ...] = COMMAND, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, *arguments], env=own | environment, capture_output=True, text=True, check=False
        )

    return airflow


def test_test_logs_in_and_sends_a_message_with_to(airflow, server):
    outcome = airflow(
        "smtp-cm", "test", "mail", "--to", "bob@corp.test", "--trace", AIRFLOW_CONN_MAIL=server.airflow_connection()
    )
    assert outcome.returncode == 0, outcome.stderr
    assert [line.split()[0] for line in outcome.stdout.splitlines()] == ["Connected", "Logged", "Maximum", "Sent"]
    assert "C: AUTH NTLM ********" in outcome.stderr
    assert server.outbox[-1].recipients == ("bob@corp.test",)


def test_invisible_characters_around_the_address_are_removed(airflow, server):
    connection = {"AIRFLOW_CONN_MAIL": server.airflow_connection(from_email="\ufeffalice@corp.test")}
    outcome = airflow("smtp-cm", "test", "mail", "--to", "\ufeffbob@corp.test\u200b", **connection)
    assert outcome.returncode == 0, outcome.stderr
    assert (server.outbox[-1].sender, server.outbox[-1].recipients) == ("alice@corp.test", ("bob@corp.test",))

    outcome = airflow("smtp-cm", "test", "mail", "--to", "bob\u200b@corp.test", **connection)
    assert outcome.returncode == 1
    assert "U+200B ZERO WIDTH SPACE" in outcome.stderr


def test_failed_test_shows_the_reason_without_the_password(airflow, server):
    outcome = airflow("smtp-cm", "test", "mail", AIRFLOW_CONN_MAIL=server.airflow_connection(password="not-this-one"))
    assert outcome.returncode == 1
    assert "refused the login by NTLM" in outcome.stderr
    assert "not-this-one" not in outcome.stdout + outcome.stderr


def test_an_unknown_connection_is_an_error(airflow):
    outcome = airflow("smtp-cm", "test", "nowhere")
    assert outcome.returncode == 1
    assert "nowhere" in outcome.stderr


def test_a_connection_string_is_added_and_shown_again(airflow):
    added = airflow("smtp-cm", "add", "packaged", CONNECTION_STRING)
    assert (added.returncode, added.stdout) == (0, ""), added.stderr
    assert "Successfully added" in added.stderr
    shown = airflow("smtp-cm", "connection-string", "packaged")
    assert (shown.returncode, shown.stdout) == (0, f"{CONNECTION_STRING}\n"), shown.stderr


def test_an_invalid_connection_string_is_not_added(airflow):
    outcome = airflow("smtp-cm", "add", "packaged2", "SmtpServer=mail.corp.test;EnableSsl=Perhaps;")
    assert outcome.returncode == 1
    assert "EnableSsl" in outcome.stderr


# --- standard output has only the result; Airflow's log and warnings are on standard error


@pytest.mark.parametrize(
    ("program", "environment", "early"),
    [
        # Airflow reads it before it parses its arguments, and warns, as it always does on Python 3.14.
        (COMMAND, {"AIRFLOW__WEBSERVER__SECRET_KEY": "moved"}, "The secret_key option in [webserver] has been moved"),
        (COMMAND, {"AIRFLOW__LOGGING__JSON_LOGS": "True"}, ""),
        (MODULE, {"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}, "Setting up DB connection pool"),
    ],
    ids=["warning", "log in JSON", "python -m airflow, log of everything"],
)
def test_only_the_connection_string_is_on_stdout(airflow, program, environment, early):
    mail = json.dumps({"conn_type": "smtp_cm", "host": "mail.corp.test"})
    outcome = airflow("smtp-cm", "connection-string", "mail", program=program, AIRFLOW_CONN_MAIL=mail, **environment)

    assert outcome.stdout == "SmtpServer=mail.corp.test;UseWindowsAuthentication=False;EnableSsl=False;\n"
    assert early in outcome.stderr
    assert "Connection schemes (type: smtp_cm) shall not contain '_'" in outcome.stderr


def test_help_is_on_stdout(airflow):
    outcome = airflow("smtp-cm", "import", "--help")

    assert outcome.returncode == 0, outcome.stderr
    assert "--overwrite" in outcome.stdout


def test_result_that_cannot_be_written_is_an_error():
    write = "from airflow_smtp_cm import standard_output; standard_output.write('Result')"
    with Path("/dev/full").open("w") as full:
        outcome = subprocess.run(
            [sys.executable, "-c", write], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    # Python 3.13 tries again when it exits, and then exits with 120.
    assert outcome.returncode in {1, 120}
    assert "No space left on device" in outcome.stderr


def test_stdout_of_other_programs_and_commands_is_not_changed():
    assert standard_output.is_our_command(["/usr/bin/airflow", "smtp-cm", "import"])
    assert standard_output.is_our_command(["-m", "smtp-cm"])
    others = (
        [],
        [""],
        ["airflow"],
        ["airflow", "connections"],
        ["airflow", "dags", "smtp-cm"],
        ["pytest", "smtp-cm"],
    )
    assert not any(map(standard_output.is_our_command, others))
