"""`airflow smtp-cm preview`: the message of a task, and the errors that sending it would have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from tests.airflow_versions import AIRFLOW
from tests.connections import connection
from tests.servers.processes import free_ports

pytestmark = pytest.mark.skipif(AIRFLOW < (3, 2), reason="Airflow below 3.2 knows no commands of providers")

DAGS = Path(__file__).parent / "dags"
ROOT = Path(__file__).parent.parent.parent
NO_PREVIEW = "Only the message of a SendMailOperator has a preview"


def conf(**parameters):
    return "--conf", json.dumps(parameters)


@pytest.fixture(scope="module")
def outcomes(migrated_db, tmp_path_factory):
    """The outcomes of all commands, by name; each has written into a folder of its name.

    No server listens on the port of the connection, so that an attempt to connect would be an error.
    """
    home = tmp_path_factory.mktemp("airflow")
    shutil.copy(migrated_db, home)
    (home / "figures.csv").write_text("region,sales\n")
    (port,) = free_ports(1)
    previews = {
        "date": ("report", "send"),
        "conf": ("report", "send", *conf(region="<South>", file=str(home / "figures.csv"))),
        "database": ("report", "from_database"),
        "mapped": ("report", "mapped", "--map-index", "1"),
        "run": ("invoices", "send", "--run-id", "RUN"),
        "disabled": ("report", "send", *conf(region="nowhere")),
        "start": ("report", "start"),
        "no results": ("invoices", "list"),
        "missing file": ("report", "send", *conf(file="/no/such/file.csv")),
        "no run": ("invoices", "send"),
        "unknown run": ("invoices", "send", "--run-id", "never"),
        "no index": ("report", "mapped"),
        "unknown task": ("report", "nothing"),
        "unknown dag": ("nothing", "send"),
        "other task": ("report", "empty"),
        "function": ("report", "function"),
        "no json": ("report", "send", "--conf", "{"),
        "no object": ("report", "send", "--conf", "[]"),
        "run and conf": ("report", "send", "--run-id", "RUN", *conf(region="South")),
    }
    stored = {"conn_type": "smtp_cm", "host": "mail.corp.test", "extra": {"from_email": "stored@corp.test"}}
    commands = [
        ["connections", "add", "stored", "--conn-json", json.dumps(stored)],
        ["variables", "set", "season", "summer"],
        *(["smtp-cm", "preview", *one, "--output", str(home / name)] for name, one in previews.items()),
    ]
    environment = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__SMTP_CM__REDIRECT_ALL_TO": "staging@corp.test",
        "AIRFLOW_CONN_SMTP_CM_DEFAULT": connection(host="127.0.0.1", port=port, from_email="reports@corp.test"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.previews"],
        cwd=ROOT,
        env=environment,
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *_, line = done.stdout.splitlines()
    found = json.loads(line)[2:]
    return {name: outcome | {"folder": home / name} for name, outcome in zip(previews, found, strict=True)}


@pytest.fixture
def written(outcomes):
    """Return a function that returns a message and its page, as a command has written them."""

    def written(name, file="message"):
        outcome = outcomes[name]
        assert outcome["status"] is None, outcome
        source = outcome["folder"] / f"{file}.eml"
        assert f"{source.with_suffix('.html')}\n" in outcome["output"]
        page = source.with_suffix(".html").read_text(encoding="utf-8")
        return message_from_bytes(source.read_bytes(), policy=policy.default), page

    return written


def test_message_is_composed_with_parameters_variables_and_the_date_of_today(written):
    message, page = written("date")

    assert message["From"] == "reports@corp.test"
    assert message["Subject"].startswith("[to sales@corp.test, boss@corp.test] Sales of North, 20")
    assert message.get_body(("plain",)).get_content() == "Season: summer"
    assert "&lt;b&gt;North&lt;/b&gt;" in page


def test_conf_replaces_the_parameters(written):
    message, page = written("conf")

    assert "Sales of <South>, 20" in message["Subject"]
    assert [part.get_filename() for part in message.iter_attachments()] == ["figures.csv"]
    assert "<td>figures.csv</td>" in page
    assert "&lt;South&gt;" in page
    assert "<South>" not in page


def test_page_shows_what_the_safety_settings_change(written):
    message, page = written("date")

    assert message["To"] == "staging@corp.test"
    assert "[smtp_cm] redirect_all_to: The message goes only to staging@corp.test." in page
    assert "<th>X-Original-Bcc</th><td>boss@corp.test</td>" in page


def test_connection_of_the_database_is_found(written):
    assert written("database")[0]["From"] == "stored@corp.test"


def test_mapped_task_is_previewed_by_its_index(written):
    assert written("mapped")[0]["X-Original-To"] == "ben@corp.test"


def test_the_start_of_the_task_is_a_template_and_is_now(written):
    message, _ = written("start")

    start = datetime.fromisoformat(message.get_content().strip())
    assert timedelta() <= message["Date"].datetime - start.replace(microsecond=0) < timedelta(days=1)


def test_page_says_that_results_of_other_tasks_are_missing_without_a_run(written):
    note = "--run-id: No run is named, so that results of other tasks (customers) are missing here."

    assert note in written("no results")[1]
    assert note not in written("run", "message-9")[1]
    assert "--run-id" not in written("date")[1]


def test_run_has_its_own_results_and_the_first_ten_messages_are_written(outcomes, written):
    message, _ = written("run", "message-9")

    assert message["X-Original-To"] == "customer9@corp.test"
    assert message.get_content().startswith("Run manual__")
    files = sorted(path.name for path in outcomes["run"]["folder"].glob("*.eml"))
    assert files == [f"message-{index}.eml" for index in range(10)]
    assert outcomes["run"]["output"].count("\n") == 10


def test_page_of_a_disabled_task_says_so(written):
    assert "disable: The task is disabled, and sends nothing." in written("disabled")[1]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing file", 'attachments: Either the file "/no/such/file.csv" does not exist or you do not have'),
        ("no run", "name a run that has them with --run-id"),
        ("unknown run", "never"),
        ("no index", "No map_index passed to mapped task. The index of a mapped task is named with --map-index."),
        ("unknown task", "nothing"),
        ("unknown dag", "nothing"),
        ("other task", f"The task is of type EmptyOperator. {NO_PREVIEW}"),
        ("function", NO_PREVIEW),
        ("no json", "--conf is not JSON"),
        ("no object", "--conf must be a JSON object"),
        ("run and conf", "Give --run-id or --conf, not both"),
    ],
)
def test_error_has_the_reason_and_nothing_is_written(outcomes, name, reason):
    outcome = outcomes[name]

    assert reason in outcome["status"]
    assert outcome["output"] == ""
    assert not outcome["folder"].exists()
