"""The notifier: the default subject and text, the recipients, and that an instance does not change."""

from __future__ import annotations

import asyncio
import inspect
import socket
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException

from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import ConnectError
from tests.airflow_versions import AIRFLOW, renders_to_nothing, since_3_1
from tests.smtp.addresses import resolving_to, silent

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def task_context(**changes) -> dict:
    ti = {
        "dag_id": "sales",
        "task_id": "load",
        "run_id": "manual__1",
        "map_index": -1,
        "try_number": 2,
        "max_tries": 3,
        "state": "failed",
        "start_date": START,
        "end_date": START + timedelta(seconds=61),
        "log_url": "http://airflow.test/dags/sales/runs/manual__1/tasks/load?try_number=2",
    }
    run = SimpleNamespace(dag_id="sales", run_id="manual__1", state="running", start_date=START, end_date=None)
    return {
        "dag": DAG("sales", schedule=None),
        "ti": SimpleNamespace(**ti | changes),
        "dag_run": run,
        "run_id": "manual__1",
        "exception": ValueError("No <b>rows</b> & no hope"),
    }


def dag_context() -> dict:
    run = SimpleNamespace(
        dag_id="sales", run_id="manual__1", state="failed", start_date=START, end_date=START + timedelta(hours=1)
    )
    dag = DAG("sales", schedule=None)
    return {"dag": dag, "dag_run": run, "run_id": "manual__1", "reason": "task_failure", "ti": None}


def run_context_with_its_last_task() -> dict:
    return task_context(state=None) | {"dag_run": dag_context()["dag_run"], "reason": "task_failure"}


def question_context(state="running") -> dict:
    task = SimpleNamespace(
        generate_link_to_ui=None, subject="Release\nit?", body=None, options=["Approve", "Reject"], defaults=None
    )
    return task_context(state=state) | {"task": task}


def deadline_context() -> dict:
    return {
        "dag_run": {"dag_id": "sales", "dag_run_id": "manual__1", "state": "running", "start_date": None},
        "deadline": {"id": "1", "deadline_time": "2026-01-02T03:04:05Z"},
    }


def texts(received) -> tuple[str, str]:
    body = received.message.get_body
    return body(("plain",)).get_content(), body(("html",)).get_content()


def test_a_task_is_named_with_state_try_exception_duration_and_links(smtp_cm_server):
    SendMailNotifier(to="ops@corp.test")(task_context())
    (received,) = smtp_cm_server.outbox
    assert received.message["Subject"] == "sales.load: failed (try 2)"
    text, html = texts(received)
    for fact in (
        "DAG: sales",
        "Task: load",
        "Run: manual__1",
        "Try: 2 of 4",
        "State: failed",
        "Exception: ValueError: No <b>rows</b> & no hope",
        "Duration: 0:01:01",
        "Log: http://airflow.test/dags/sales/runs/manual__1/tasks/load?try_number=2",
    ):
        assert fact in text
    assert "No &lt;b&gt;rows&lt;/b&gt; &amp; no hope" in html
    assert '<a href="http://airflow.test/dags/sales/runs/manual__1/tasks/load?try_number=2">' in html


def test_the_runs_page_is_linked(smtp_cm_server, monkeypatch):
    section, page = ("API", "runs/manual__1") if AIRFLOW >= (3, 0) else ("WEBSERVER", "grid?dag_run_id=manual__1")
    monkeypatch.setenv(f"AIRFLOW__{section}__BASE_URL", "http://airflow.test/mail/")
    SendMailNotifier(to="ops@corp.test")(task_context())
    assert f"Run in Airflow: http://airflow.test/mail/dags/sales/{page}\n" in texts(smtp_cm_server.outbox[0])[0]


def test_a_mapped_task_shows_its_index(smtp_cm_server):
    SendMailNotifier(to="ops@corp.test")(task_context(map_index=7))
    assert smtp_cm_server.outbox[0].message["Subject"] == "sales.load[7]: failed (try 2)"


@pytest.mark.parametrize(
    ("context", "subject"),
    [
        pytest.param(dag_context(), "sales: failed", id="a run's"),
        pytest.param(run_context_with_its_last_task(), "sales: failed", id="with its last task"),
        pytest.param({"dag": DAG("sales", schedule=None), "reason": "timed_out"}, "sales: timed_out", id="without"),
        pytest.param(question_context(), "sales.load: Release it?", id="a question's"),
        pytest.param(question_context(state="failed"), "sales.load: failed (try 2)", id="one that failed"),
        pytest.param(deadline_context(), "sales: deadline missed", id="a deadline's", marks=since_3_1),
        pytest.param({}, "Airflow: notice", id="an empty one", marks=since_3_1),
    ],
)
def test_other_contexts_have_a_subject_too(smtp_cm_server, context, subject):
    SendMailNotifier(to="ops@corp.test")(context)
    assert smtp_cm_server.outbox[0].message["Subject"] == subject


@since_3_1
def test_the_id_of_the_run_is_a_template_for_a_deadline_too(smtp_cm_server):
    """Airflow's context has it only as dag_run.dag_run_id."""

    async def main():
        await SendMailNotifier(to="ops@corp.test", subject="{{ run_id }} is late", context=deadline_context())

    asyncio.run(main())
    SendMailNotifier(to="ops@corp.test", subject="{{ run_id }} is late")(deadline_context())
    assert [one.message["Subject"] for one in smtp_cm_server.outbox] == ["manual__1 is late"] * 2


@since_3_1
def test_the_async_path_sends_the_same(smtp_cm_server):
    async def main():
        await SendMailNotifier(to="ops@corp.test", context=deadline_context())

    asyncio.run(main())
    (received,) = smtp_cm_server.outbox
    assert received.identity == r"CORP\airflow"
    assert received.message["Subject"] == "sales: deadline missed"


def test_given_subject_and_text_are_templates(smtp_cm_server):
    SendMailNotifier(
        to="{{ ti.task_id }}@corp.test",
        subject="{{ ti.task_id }} of {{ run_id }}",
        message_source="Look: {{ ti.log_url }}",
    )(task_context())
    (received,) = smtp_cm_server.outbox
    assert received.recipients == ("load@corp.test",)
    assert received.message["Subject"] == "load of manual__1"
    assert received.message.get_content_type() == "text/plain"


class Unprintable(Exception):
    """An exception that has no text."""

    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("exception", "shown"),
    [
        (ValueError("No\0 rows"), "ValueError: No rows"),
        (ValueError("No \ud800rows"), "ValueError: No \ufffdrows"),
        (ValueError("\x1b[31mNo rows\x1b[0m\nat all"), "ValueError: No rows\nat all"),
        (Unprintable(), "Unprintable: (its text is not available: RuntimeError)"),
    ],
)
def test_no_exception_stops_the_default_text(smtp_cm_server, exception, shown):
    SendMailNotifier(to="ops@corp.test")(task_context() | {"exception": exception})
    text, html = texts(smtp_cm_server.outbox[0])
    assert f"\nException: {shown}\n" in text
    assert f"<td>{shown}</td>".replace("\n", "<br>\n") in html


def test_no_exception_stops_a_template_that_names_it(smtp_cm_server):
    """In subject, text, HTML and headers."""
    template = "{{ exception }}"
    notifier = SendMailNotifier(
        to="ops@corp.test",
        subject=template,
        message_source=template,
        html_content=template,
        headers={"X-Error": template},
    )
    context = task_context() | {"exception": ValueError("\x1b[31mNo\0 rows\ud800\x1b[0m\n\tat all\n")}

    notifier(context)

    (received,) = smtp_cm_server.outbox
    assert received.message["Subject"] == received.message["X-Error"] == "No rows\ufffd at all"
    assert texts(received) == ("No rows\ufffd\n\tat all\n",) * 2


def test_no_character_in_a_file_stops_it(smtp_cm_server, tmp_path):
    file = tmp_path / "error.log"
    file.write_bytes(b"\x1b[31mNo\0 rows\x1b[0m\n\tat all\n")

    SendMailNotifier(to="ops@corp.test", message_source_type="FileConnection", message_source=str(file))(
        task_context()
    )

    assert smtp_cm_server.outbox[0].message.get_content() == "No rows\n\tat all\n"


def test_no_character_in_a_variable_stops_it(smtp_cm_server, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_LAST_ERROR", "\x1b[31mNo rows\x9b0m\x07")

    SendMailNotifier(to="ops@corp.test", message_source_type="Variable", message_source="last_error")(task_context())

    assert smtp_cm_server.outbox[0].message.get_content() == "No rows\n"


@pytest.mark.parametrize("name", [*inspect.signature(SendMailNotifier.__init__).parameters][1:-1])
def test_none_is_the_default_of_every_argument(smtp_cm_server, name):
    given = {"to": "ops@corp.test", "cc": "dba@corp.test", "subject": "Failed", "message_source": "No rows"}
    given.pop(name, None)
    for fields in (given, given | {name: None}):
        SendMailNotifier(**fields)(task_context())

    missing, none = smtp_cm_server.outbox
    assert none.recipients == missing.recipients
    assert none.message["Subject"] == missing.message["Subject"]
    assert none.message["X-Priority"] == missing.message["X-Priority"]


@pytest.mark.parametrize("question", ["Release\0 it?\n", "Release\t\x1b[1mit?", "Release it?"])
def test_no_question_stops_the_default_subject(smtp_cm_server, question):
    context = question_context()
    context["task"].subject = context["task"].body = question
    SendMailNotifier(to="ops@corp.test")(context)
    assert smtp_cm_server.outbox[0].message["Subject"] == "sales.load: Release it?"


def test_one_instance_serves_many_contexts(smtp_cm_server):
    notifier = SendMailNotifier(to="ops@corp.test", subject="{{ ti.task_id }}")
    notifier(task_context(task_id="one"))
    notifier(task_context(task_id="two"))
    assert [received.message["Subject"] for received in smtp_cm_server.outbox] == ["one", "two"]
    assert notifier.subject == "{{ ti.task_id }}"


def test_a_dag_without_a_template_environment_is_supported(smtp_cm_server):
    """For example, the serialized DAG of `airflow dags test`."""
    dag = SimpleNamespace(dag_id="sales", render_template_as_native_obj=False)
    SendMailNotifier(to="ops@corp.test", subject="{{ dag.dag_id }}")({"dag": dag})
    assert smtp_cm_server.outbox[0].message["Subject"] == "sales"


@pytest.mark.usefixtures("smtp_cm_server")
@pytest.mark.parametrize(
    "notify", [lambda one: one, lambda one: lambda context: asyncio.run(one.async_notify(context))]
)
def test_a_disabled_one_sends_nothing(smtp_cm_server, notify):
    notify(SendMailNotifier(to="ops@corp.test", disable=True))(task_context())
    SendMailNotifier(to="ops@corp.test", disable="{{ ti.try_number < 3 }}")(task_context())

    assert smtp_cm_server.outbox == []


@pytest.mark.parametrize(
    ("template", "subject"),
    [
        ("{{ exception }}", "nan"),
        ("{{ [ti.try_number] }}", "[2]"),
        ("{{ ti.try_number }}", "2"),
        ("{{ 'b\"x\"' }}", "x"),
        pytest.param("{{ none }}", "sales.load: failed (try 2)", marks=renders_to_nothing),
    ],
)
def test_no_value_of_a_native_template_stops_a_notification(smtp_cm_server, template, subject):
    dag = DAG("sales", schedule=None, render_template_as_native_obj=True)
    notifier = SendMailNotifier(to="ops@corp.test", subject=template, message_source=template)

    notifier(task_context() | {"dag": dag, "exception": ValueError("nan")})

    assert smtp_cm_server.outbox[0].message["Subject"] == subject


@pytest.mark.parametrize(
    "changes",
    [
        {"start_date": START.replace(tzinfo=None)},
        {"end_date": START.replace(tzinfo=None)},
        {"start_date": "yesterday", "end_date": 5},
    ],
)
def test_time_that_cannot_be_read_is_left_out(smtp_cm_server, changes):
    """Contexts that people make have such times."""
    SendMailNotifier(to="ops@corp.test")(task_context(**changes))

    assert "State: failed" in texts(smtp_cm_server.outbox[0])[0]
    assert "Duration" not in texts(smtp_cm_server.outbox[0])[0]


def test_question_and_options_may_be_of_any_type(smtp_cm_server):
    """Templates of a DAG with ``render_template_as_native_obj`` are rendered as numbers, too."""
    context = question_context()
    context["task"].subject, context["task"].options, context["task"].defaults = 5, [1, 2], [1]

    SendMailNotifier(to="ops@corp.test")(context)

    assert smtp_cm_server.outbox[0].message["Subject"] == "sales.load: 5"
    assert "Options: 1, 2\nDefault: 1\n" in texts(smtp_cm_server.outbox[0])[0]


def test_unknown_number_of_the_try_is_left_out(smtp_cm_server):
    SendMailNotifier(to="ops@corp.test")(task_context(try_number=None))
    assert smtp_cm_server.outbox[0].message["Subject"] == "sales.load: failed"


def test_disable_that_is_neither_true_nor_false_is_an_error_and_nothing_is_sent(smtp_cm_server):
    with pytest.raises(InvalidMessage, match=r'^disable: "perhaps" is neither True nor False'):
        SendMailNotifier(to="ops@corp.test", disable="perhaps").notify(task_context())

    assert smtp_cm_server.outbox == []


def test_all_problems_are_reported_at_once():
    with pytest.raises(InvalidMessage) as raised:
        SendMailNotifier(to="nobody", attachments="/no/such/file").notify(task_context())
    assert "nobody" in str(raised.value)
    assert "/no/such/file" in str(raised.value)


def test_a_missing_connection_is_reported():
    with pytest.raises((AirflowException, InvalidMessage), match="does not exist"):
        SendMailNotifier(to="ops@corp.test", smtp_conn_id="nowhere").notify(task_context())


def test_an_unavailable_server_is_reported(monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_SMTP_CM_DEFAULT",
        '{"conn_type": "smtp_cm", "host": "127.0.0.1", "port": 1, "extra": {"from_email": "a@corp.test"}}',
    )
    with pytest.raises(ConnectError):
        SendMailNotifier(to="ops@corp.test").notify(task_context())
    with pytest.raises(ConnectError):
        asyncio.run(SendMailNotifier(to="ops@corp.test").async_notify(task_context()))


def test_an_alert_reaches_a_server_whose_first_address_is_silent(monkeypatch, smtp_cm_server):
    """As a deadline alert in the triggerer does."""
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", smtp_cm_server.airflow_connection(host="mail.test"))
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to("127.0.0.2", smtp_cm_server.host))
    with silent("127.0.0.2", smtp_cm_server.port):
        asyncio.run(SendMailNotifier(to="ops@corp.test").async_notify(task_context()))
    assert len(smtp_cm_server.outbox) == 1


@pytest.mark.usefixtures("smtp_cm_server")
def test_a_notifier_takes_no_longer_than_a_minute(monkeypatch):
    seen = []
    monkeypatch.setattr(SmtpClient, "open", lambda settings: seen.append(settings.timeouts.total) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        SendMailNotifier(to="ops@corp.test").notify(task_context())
    assert seen == [60.0]
