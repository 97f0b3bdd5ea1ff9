"""The notifier and Airflow's own alerts in every context that Airflow 3.3 makes, as its own code makes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from tests.airflow_versions import AIRFLOW
from tests.notifications import contexts as airflows

pytestmark = pytest.mark.skipif(AIRFLOW < (3, 3), reason="The contexts of each Airflow are its own")

KILLED = {"State": "failed (killed or lost)", "Host": "worker-7", "Try": "1 of 3"}
ENDED = {"State": "failed (killed or lost, or ended by its trigger)", "Host": "worker-7", "Try": "1 of 3"}
RUN = {"Reason": "task_failure"}

# The default subject, and facts in the default text.
DEFAULTS = {
    "a task that starts": ("alerts.load: running (try 3)", {"Try": "3 of 3"}),
    "a task with a retry": ("alerts.load: up_for_retry (try 2)", {"Exception": "ValueError: No rows"}),
    "a failed task": ("alerts.load: failed (try 3)", {"Try": "3 of 3", "Exception": "ValueError: No rows"}),
    "a mapped task": ("alerts.part[1]: failed (try 3)", {"Exception": "ValueError: No part 2"}),
    "a task that succeeded": ("alerts.succeed: success (try 1)", {"Try": "1 of 1"}),
    "a skipped task": ("alerts.skip: skipped (try 1)", {}),
    "a question": ("alerts_of_a_question.release: Release the report of {run_id}?", {"Options": "Approve, Reject"}),
    "a killed task": ("alerts.load: failed (killed or lost), try 1 of 3", KILLED),
    "a killed task with a retry": ("alerts.load: failed (killed or lost), try 1 of 3", KILLED),
    "a killed mapped task": ("alerts.part[1]: failed (killed or lost), try 1 of 3", KILLED),
    "a task that its trigger ended": (
        "alerts.load: failed (killed or lost, or ended by its trigger), try 1 of 3",
        ENDED,
    ),
    "a run": ("alerts: failed", RUN),
    "a run, in dags test": ("alerts: failed", RUN),
    "a run without a task": ("alerts: task_failure", RUN),
    "a deadline, in the triggerer": ("alerts: deadline missed", {}),
    "a deadline, in the executor": ("alerts: deadline missed", {}),
}
# The row of the table in docs/notifier.md, by the beginning of a context's name; the first that fits.
ROWS = {
    "a killed ": "a task that was killed or lost",
    "a task that its trigger ended": "a task that its trigger ended",
    "a question": "a question",
    "a run": "a run",
    "a deadline": "a deadline",
    "a ": "a task, in its worker",
}
FAILED = ("a task with a retry", "a failed task", "a mapped task")


@pytest.fixture(scope="module")
def contexts(dags):
    """The contexts, by what they are about."""
    return airflows.make_contexts(dags)


def promised(name: str) -> list[str]:
    """Return the templates that docs/notifier.md promises for a context."""
    page = (Path(__file__).parents[2] / "docs" / "notifier.md").read_text()
    rows = dict(re.findall(r"^\| ([^|]+) \| (.*`\{\{.*) \|$", page, re.MULTILINE))
    row = next(row for beginning, row in ROWS.items() if name.startswith(beginning))
    text = rows["a task, in its worker"].partition(";")[0] + rows[row] if name == "a question" else rows[row]
    found = ["{{ run_id }}", *re.findall(r"`(\{\{[^`]+\}\})`", text)]
    return [template for template in found if template != "{{ exception }}" or name in FAILED]


def test_every_context_is_made(contexts):
    assert contexts.keys() == DEFAULTS.keys()


@pytest.mark.parametrize("name", DEFAULTS)
def test_default_subject_and_text_say_what_happened(contexts, server, name):
    subject, facts = DEFAULTS[name]
    context = contexts[name]
    run_id = context.get("run_id") or context["dag_run"]["dag_run_id"]

    SendMailNotifier(to="ops@corp.test")(dict(context))

    (received,) = server.outbox
    assert received.message["Subject"] == subject.format(run_id=run_id)
    text = received.message.get_body(("plain",)).get_content()
    found = dict(line.split(": ", 1) for line in text.splitlines())
    assert found.items() >= {**facts, "Run": run_id, "DAG": subject.split(":")[0].split(".")[0]}.items()


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_documented_template_has_a_value(contexts, server, name):
    templates = promised(name)
    assert len(templates) > 2

    SendMailNotifier(to="ops@corp.test", subject=" | ".join(templates))(dict(contexts[name]))

    run_id, *others = server.outbox[0].message["Subject"].split(" | ")
    assert run_id.startswith("manual__")
    assert len(others) == len(templates) - 1
    assert not {"", "None"} & set(others)


def test_audit_log_of_a_killed_task_is_linked(contexts, server):
    """Its reason is only there."""
    SendMailNotifier(to="ops@corp.test")(dict(contexts["a killed mapped task"]))

    text = server.outbox[0].message.get_body(("plain",)).get_content()
    assert re.search(
        r"^Audit log: http://\S+/dags/alerts/runs/manual__\S+/tasks/part/mapped/1/events$", text, re.MULTILINE
    )


@pytest.fixture
def alert(dags, contexts, server, monkeypatch):
    """A function that lets the dag-processor send Airflow's own alert about a killed task, and returns the mail."""
    monkeypatch.setenv("AIRFLOW__EMAIL__EMAIL_BACKEND", "airflow_smtp_cm.email_backend.send_email")
    monkeypatch.setenv("AIRFLOW__EMAIL__EMAIL_CONN_ID", "mail")
    monkeypatch.setattr(dags["alerts"].get_task("load"), "email", "ops@corp.test")

    def alert():
        airflows.request_email(dags["alerts"], contexts["a killed task"])
        (received,) = server.outbox
        return received.message

    return alert


def test_airflows_own_alert_about_a_killed_task_is_readable(contexts, alert):
    message = alert()
    run_id = contexts["a killed task"]["run_id"]
    assert message["Subject"] == f"Airflow alert: alerts.load ({run_id}, try 1)"
    assert "Try 1 out of 3<br>Exception:<br>{&#x27;DAG Id" in message.get_body(("html",)).get_content()
    assert "Try 1 out of 3\nException:\n{'DAG Id" in message.get_body(("plain",)).get_content()


def test_template_files_of_airflows_own_alert_may_begin_with_comments(alert, monkeypatch, tmp_path):
    for name in ("subject", "html_content"):
        (tmp_path / name).write_text("{# Of the data team #}\n\n{# For all DAGs #}\n{{ ti.task_id }}\n\tfailed\n")
        monkeypatch.setenv(f"AIRFLOW__EMAIL__{name.upper()}_TEMPLATE", str(tmp_path / name))

    message = alert()

    assert message["Subject"] == "load failed"
    assert message.get_body(("html",)).get_content() == "\n\n\nload\n\tfailed"
