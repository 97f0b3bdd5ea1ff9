"""The operator in DAGs that Airflow runs: templates, XCom, mapped tasks, retries."""

import re
import sqlite3
from contextlib import closing

import pytest
from airflow.models.variable import Variable

from airflow_smtp_cm.testing import SmtpTestServer
from tests.airflow_versions import AIRFLOW, clear_and_run, load_dags
from tests.connections import anonymous, to_postfix, to_test_server
from tests.servers.people import ALICE
from tests.servers.scripted import expect, expect_content, say, scripted_peer


@pytest.fixture(scope="session")
def dags(airflow_db):
    return load_dags(airflow_db.parent / "dags")


@pytest.fixture
def server(monkeypatch):
    """The server in this process, which the tests' and the example's connections lead to."""
    with SmtpTestServer(users={ALICE.down_level: ALICE.password}) as server:
        for name in ("MAIL", "SMTP_CM_DEFAULT"):
            monkeypatch.setenv(f"AIRFLOW_CONN_{name}", to_test_server(server))
        yield server


def outcome(run, task_id="send", map_index=-1):
    """Return a task instance's state, number of tries and XCom."""
    ti = run.get_task_instance(task_id, map_index=map_index)
    return ti.state, ti.try_number, ti.xcom_pull(task_ids=task_id, map_indexes=map_index)


def headers(name, octets):
    return re.findall(rb"^%b: (.*)\r$" % name, octets, re.MULTILINE)


def test_example_mails_its_report(dags, server):
    run = dags["send_mail"].test()

    (received,) = server.outbox
    message = received.message
    assert run.state == "success"
    assert received.identity == ALICE.down_level
    assert received.recipients == ("john@corp.test", "sales@corp.test", "archive@corp.test")
    assert message["From"] == "Reports <reports@corp.test>"
    assert message["To"] == '"Doe, John" <john@corp.test>, sales@corp.test'
    assert message["Subject"] == f"Sales, {run.run_id}"
    assert message["Importance"] == "high"
    assert message.get_body().get_content().endswith(f"Run: {run.run_id}")
    (report,) = message.iter_attachments()
    assert report.get_filename() == "sales.csv"
    assert report.get_content().splitlines() == ["region,sales", "North,1200", "South,950"]
    state, tries, result = outcome(run, "send_report")
    assert (state, tries) == ("success", 1)
    assert result["message_id"] == message["Message-ID"]
    assert result["size"] == len(received.content)


@pytest.mark.parametrize("dag", ["mapped", "mapped_over_a_task"])
def test_mapped_tasks_send_a_message_each(dags, server, dag):
    run = dags[dag].test()

    sent = {received.recipients: received.message["Message-ID"] for received in server.outbox}
    assert run.state == "success"
    assert len(set(sent.values())) == len(sent) == len(server.outbox) > 1
    results = [outcome(run, map_index=index)[2] for index in range(len(sent))]
    assert {tuple(result["accepted"]): result["message_id"] for result in results} == sent


def test_lists_that_other_tasks_return_are_recipients_and_attachments(dags, server):
    assert dags["composed"].test().state == "success"

    (received,) = server.outbox
    assert received.recipients == ("bob@corp.test", "carol@corp.test", "dave@corp.test")
    attached = {part.get_filename(): part.get_payload(decode=True) for part in received.message.iter_attachments()}
    assert attached == {"one.txt": b"one.txt", "two.bin": b"two.bin"}


def test_native_templates_work(dags, server):
    assert dags["native"].test().state == "success"

    (received,) = server.outbox
    message = received.message
    assert received.recipients == ("bob@corp.test", "carol@corp.test", "dave@corp.test")
    assert [message[name] for name in ("Subject", "X-Priority", "X-Try")] == ["2026", "1", "1"]
    assert message.get_body().get_content() == "12"
    assert [part.get_filename() for part in message.iter_attachments()] == ["one.txt", "two.bin"]


def test_text_comes_from_a_variable_of_airflows_database(dags, server):
    Variable.set("terms", "Thirty days.")

    assert dags["from_variable"].test().state == "success"
    assert server.outbox[0].message.get_content() == "Thirty days.\n"


def test_missing_variable_is_not_tried_again(dags, server):
    Variable.delete("terms")

    assert outcome(dags["from_variable"].test()) == ("failed", 1, None)
    assert server.outbox == []


INTRODUCTION = [say("220 hi"), expect("EHLO"), say("250 hi")]
MESSAGE = [
    *(expect("MAIL"), say("250 ok"), expect("RCPT"), say("250 ok")),
    *(expect("DATA"), say("354 go on"), expect_content()),
]


def test_passing_refusal_is_tried_again_with_the_same_message_id(dags, monkeypatch):
    """Should the server have kept the message all the same, it sees the second one as the same."""
    tries = [[*INTRODUCTION, *MESSAGE, say(reply)] for reply in ("451 4.3.0 later", "250 ok")]
    with scripted_peer(*tries) as peer:
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", anonymous(peer.port))
        run = dags["retried"].test()

    state, tried, result = outcome(run)
    assert (state, tried) == ("success", 2)
    assert headers(b"Subject", peer.received) == [f"Try {number} of {run.run_id}".encode() for number in (1, 2)]
    assert headers(b"Message-ID", peer.received) == [result["message_id"].encode()] * 2


def test_message_that_a_user_sends_again_is_a_new_one(dags, server):
    """By clearing the task: a server that drops duplicates must not drop it."""
    dag = dags["retried"]
    (ti,) = dag.test().get_task_instances()
    clear_and_run(dag, ti)

    first, second = (received.message["Message-ID"] for received in server.outbox)
    assert first != second


def test_other_runs_have_other_message_ids(dags, server):
    for _ in range(2):
        dags["retried"].test()

    first, second = (received.message["Message-ID"] for received in server.outbox)
    assert first != second


def test_permanent_refusal_is_not_tried_again(dags, monkeypatch):
    with scripted_peer([*INTRODUCTION, expect("MAIL"), say("550 5.7.1 no")]) as peer:
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", anonymous(peer.port))
        run = dags["retried"].test()

    assert outcome(run) == ("failed", 1, None)


@pytest.mark.parametrize("to", ["", "bob", "bob@corp.test\nBcc: eve@evil.test"], ids=repr)
def test_wrong_field_is_not_tried_again(dags, server, to):
    assert outcome(dags["retried"].test(run_conf={"to": to})) == ("failed", 1, None)
    assert server.outbox == []


def test_missing_connection_is_not_tried_again(dags, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_MAIL", raising=False)

    assert outcome(dags["retried"].test()) == ("failed", 1, None)


def test_refusal_that_does_not_pass_takes_every_try(dags, postfix, certificates, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", to_postfix(postfix, certificates))

    assert outcome(dags["retried"].test(run_conf={"to": "later@corp.test"})) == ("failed", 3, None)


@pytest.mark.parametrize("other", ["refused@corp.test", "later@corp.test"])
def test_who_has_the_message_is_known_though_the_task_fails(dags, postfix, certificates, monkeypatch, other):
    """And nobody gets it twice, whatever the reply to the others."""
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", to_postfix(postfix, certificates))
    state, tries, result = outcome(dags["retried"].test(run_conf={"to": f"bob@corp.test; {other}"}))

    assert (state, tries) == ("failed", 1)
    assert result["accepted"] == ["bob@corp.test"]
    assert [refusal["address"] for refusal in result["refused"]] == [other]
    postfix.wait_for_message(result["message_id"])


def test_password_is_not_in_the_database(dags, airflow_db, server):
    """Neither in rendered fields nor in XCom nor anywhere else."""
    run = dags["composed"].test()

    with closing(sqlite3.connect(airflow_db)) as database:
        dump = "\n".join(database.iterdump())
    # Airflow 2 keeps XCom as octets.
    dump += "".join(bytes.fromhex(octets).decode("latin-1") for octets in re.findall("X'([0-9A-F]+)'", dump))
    assert run.run_id in dump
    assert server.outbox[0].message["Message-ID"] in dump
    assert ALICE.password not in dump


def test_a_decorated_function_mails_what_it_returns(dags, server):
    run = dags["decorated"].test()

    by_subject = {received.message["Subject"]: received for received in server.outbox}
    assert by_subject.keys() == {f"A text from {run.run_id}", "Fields", "A message"}
    text = by_subject[f"A text from {run.run_id}"]
    assert text.message.get_content() == "Hello, Bob. {{ not a template }}\n"
    assert by_subject["Fields"].recipients == ("bob@corp.test", "carol@corp.test")
    assert by_subject["A message"].recipients == ("dave@corp.test",)
    assert outcome(run, "nonsense")[0] == "failed"


def test_a_failed_task_is_reported_by_its_notifier(dags, server):
    dags["failing"].test()

    (received,) = server.outbox
    assert received.message["Subject"] == "failing.fail: failed (try 1)"
    if not (3, 0) <= AIRFLOW < (3, 3):  # their dag.test() does not hand the exception over; their workers do
        assert "Exception: ValueError: No rows" in received.message.get_body(("plain",)).get_content()
