"""The operator in DAGs that Airflow runs: templates, XCom, mapped tasks, retries."""

import json
import re
import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from airflow.models.variable import Variable

from tests.airflow_versions import AIRFLOW, DAG_TEST_TELLS_WHY, clear_and_run, keeps_state
from tests.connections import anonymous, to_postfix
from tests.servers.processes import LOOPBACK
from tests.servers.scripted import expect, expect_content, say, scripted_peer


def outcome(run, task_id="send", map_index=-1):
    """Return a task instance's state, number of tries and XCom."""
    ti = run.get_task_instance(task_id, map_index=map_index)
    return ti.state, ti.try_number, ti.xcom_pull(task_ids=task_id, map_indexes=map_index)


def headers(name, content):
    return re.findall(rb"^%b: (.*)\r$" % name, content, re.MULTILINE)


@pytest.mark.parametrize("dag", ["mapped", "mapped_over_a_task"])
def test_mapped_tasks_send_a_message_each(dags, server, dag):
    run = dags[dag].test()

    sent = {received.recipients: received.message["Message-ID"] for received in server.outbox}
    assert run.state == "success"
    assert len(set(sent.values())) == len(sent) == len(server.outbox) > 1
    results = [outcome(run, map_index=index)[2] for index in range(len(sent))]
    assert {tuple(result["accepted"]): result["message_id"] for result in results} == sent


def test_empty_column_of_a_row_is_the_default_of_an_argument(dags, server):
    run = dags["mapped_over_rows"].test()

    assert run.state == "success"
    assert {received.message["Subject"]: received.message["X-Priority"] for received in server.outbox} == {
        "Full": "1",
        "Empty": None,
    }


LABELS = [
    "To Bob <bob@corp.test>: Invoice 42",
    "To bob@corp.test; carol@corp.test: 2026",
    "To carol@corp.test: 2026",
    f"To somebody-0@corp.test; somebody-1@corp.test; somebody-2@corp…: {'Long ' * 11}Long…",
    "To bob@corp.test; carol@corp.test: ***",
    "To bob: {{ 1 / 0 }}",
    "To hidden recipients",
]


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("dag", "labels"),
    [
        ("mapped", ["To bob@corp.test: For you alone", "To carol@corp.test: For you alone"]),
        ("mapped_by_kwargs", LABELS),
        ("mapped_natively", LABELS),
        ("mapped_under_names", ["Mail for bob@corp.test", "Mail for carol@corp.test"]),
        ("mapped_function", ["To bob@corp.test: Hello", "To carol@corp.test: For carol"]),
    ],
)
def test_mapped_tasks_are_labelled_with_recipients_and_subject(dags, dag, labels):
    """This includes failed ones. Rendered values are not rendered again, and no label contains a secret."""
    run = dags[dag].test()

    tis = [run.get_task_instance("send", map_index=index) for index in range(len(labels))]
    assert [ti.rendered_map_index for ti in tis] == labels


def test_unmapped_task_has_no_label(dags, server):
    run = dags["retried"].test()

    assert len(server.outbox) == 1
    assert run.get_task_instance("send").rendered_map_index is None


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


def test_messages_that_another_task_returns_are_sent_in_one_task(dags, server):
    """The returned values are not rendered as templates; the task's own fields are."""
    run = dags["merged"].test()

    ann, ben = server.outbox
    assert (ann.recipients, ben.recipients) == (("ann@corp.test",), ("ben@corp.test",))
    assert ann.message["Subject"] == "Hello ann {{ 1 / 0 }}"
    assert ben.message.get_content() == f"Run {run.run_id}\n"
    assert outcome(run)[2]["sent"] == 2


def test_templates_in_messages_are_rendered(dags, server):
    run = dags["merged_templates"].test()

    first, _ = server.outbox
    assert first.recipients == ("merged_templates@corp.test",)
    assert first.message["X-Run"] == run.run_id


def test_messages_that_a_function_returns_are_sent(dags, server):
    run = dags["merged_function"].test()

    assert [received.recipients[0] for received in server.outbox] == ["ann@corp.test", "ben@corp.test"]
    assert server.outbox[1].message.get_content() == "{{ 1 / 0 }}\n"
    assert outcome(run)[2]["sent"] == 2


def test_mapped_tasks_may_send_many_each(dags, server):
    run = dags["merged_and_mapped"].test()

    assert run.state == "success"
    assert len({received.message["Message-ID"] for received in server.outbox}) == 3
    assert [outcome(run, map_index=index)[2]["sent"] for index in range(2)] == [1, 2]
    labels = [run.get_task_instance("send", map_index=index).rendered_map_index for index in range(2)]
    assert labels == ["To the recipients of 1 message: Hello", "To the recipients of 2 messages: Hello"]


@pytest.mark.parametrize("dag", ["disabled", "disabled_natively"])
def test_disabled_tasks_succeed_without_a_result(dags, dag):
    run = dags[dag].test()

    assert {outcome(run, task_id) for task_id in ("operator", "function", "fields")} == {("success", 1, None)}


def test_text_comes_from_a_variable_of_airflows_database(dags, server):
    Variable.set("terms", "Thirty days.")

    assert dags["from_variable"].test().state == "success"
    assert server.outbox[0].message.get_content() == "Thirty days.\n"


def test_missing_variable_is_retried(dags, server):
    """Airflow reports it as missing also while its database cannot be reached."""
    Variable.delete("terms")

    assert outcome(dags["from_variable"].test()) == ("failed", 3, None)
    assert server.outbox == []


INTRODUCTION = [say("220 hi"), expect("EHLO"), say("250 hi")]
MESSAGE = [
    *(expect("MAIL"), say("250 ok"), expect("RCPT"), say("250 ok")),
    *(expect("DATA"), say("354 go on"), expect_content()),
]


def test_transient_error_is_retried_with_the_same_message_id(dags, monkeypatch):
    """If the server has accepted the first message after all, it can recognize the second as a duplicate."""
    tries = [[*INTRODUCTION, *MESSAGE, say(reply)] for reply in ("451 4.3.0 later", "250 ok")]
    with scripted_peer(*tries) as peer:
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", anonymous(peer.port))
        run = dags["retried"].test()

    state, tried, result = outcome(run)
    assert (state, tried) == ("success", 2)
    assert headers(b"Subject", peer.received) == [f"Try {number} of {run.run_id}".encode() for number in (1, 2)]
    assert headers(b"Message-ID", peer.received) == [result["message_id"].encode()] * 2


def test_cleared_task_sends_a_new_message(dags, server):
    """A server that drops duplicates must not drop it."""
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


def test_permanent_error_is_not_retried(dags, monkeypatch):
    with scripted_peer([*INTRODUCTION, expect("MAIL"), say("550 5.7.1 no")]) as peer:
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", anonymous(peer.port))
        run = dags["retried"].test()

    assert outcome(run) == ("failed", 1, None)


@pytest.mark.parametrize("to", ["", "bob", "bob@corp.test\nBcc: eve@evil.test"], ids=repr)
def test_invalid_field_is_not_retried(dags, server, to):
    assert outcome(dags["retried"].test(run_conf={"to": to})) == ("failed", 1, None)
    assert server.outbox == []


def test_missing_connection_is_not_retried(dags, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_MAIL", raising=False)

    assert outcome(dags["retried"].test()) == ("failed", 1, None)


def test_transient_error_that_remains_uses_all_retries(dags, postfix, certificates, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", to_postfix(postfix, certificates))

    assert outcome(dags["retried"].test(run_conf={"to": "later@corp.test"})) == ("failed", 3, None)


@pytest.mark.parametrize(
    ("other", "tried"), [("refused@corp.test", 1), ("later@corp.test", 3 if AIRFLOW >= (3, 3) else 1)]
)
def test_result_names_who_has_the_message_even_if_the_task_fails(
    dags, postfix, certificates, monkeypatch, other, tried
):
    """No recipient gets it twice, whatever the reply to the others."""
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", to_postfix(postfix, certificates))
    state, tries, result = outcome(dags["retried"].test(run_conf={"to": f"bob@corp.test; {other}"}))

    assert (state, tries) == ("failed", tried)
    assert result["accepted"] == ["bob@corp.test"]
    assert [refusal["address"] for refusal in result["refused"]] == [other]
    postfix.wait_for_message(result["message_id"])


def test_password_is_not_in_the_database(dags, airflow_db, server):
    """It is neither in rendered fields nor in XCom nor anywhere else."""
    run = dags["composed"].test()

    with closing(sqlite3.connect(airflow_db)) as database:
        dump = "\n".join(database.iterdump())
    # Airflow 2 stores XCom as bytes.
    dump += "".join(bytes.fromhex(digits).decode("latin-1") for digits in re.findall("X'([0-9A-F]+)'", dump))
    assert run.run_id in dump
    assert server.outbox[0].message["Message-ID"] in dump
    (password,) = server.users.values()
    assert password not in dump


def test_a_decorated_function_mails_what_it_returns(dags, server):
    run = dags["decorated"].test()

    by_subject = {received.message["Subject"]: received for received in server.outbox}
    assert by_subject.keys() == {f"A text from {run.run_id}", "Fields", "A message"}
    text = by_subject[f"A text from {run.run_id}"]
    assert text.message.get_content() == "Hello, Bob. {{ not a template }}\n"
    assert by_subject["Fields"].recipients == ("bob@corp.test", "carol@corp.test")
    assert by_subject["A message"].recipients == ("dave@corp.test",)
    states = {task: outcome(run, task)[0] for task in ("text", "fields", "message", "invalid")}
    assert states == {"text": "success", "fields": "success", "message": "success", "invalid": "failed"}


def test_a_failed_task_is_reported_by_its_notifier(dags, server):
    dags["failing"].test()

    (received,) = server.outbox
    assert received.message["Subject"] == "failing.fail: failed (try 1)"
    if DAG_TEST_TELLS_WHY:
        assert "Exception: ValueError: No rows" in received.message.get_body(("plain",)).get_content()


# --- many messages in one task


def envelope(reply):
    return [expect("MAIL"), say("250 ok"), expect("RCPT"), say(reply)]


TAKEN = [*envelope("250 ok"), expect("DATA"), say("354 go on"), expect_content(), say("250 ok")]
PUT_OFF = [*envelope("450 4.2.0 later"), expect("RSET"), say("250 ok")]


@keeps_state
def test_retry_sends_only_the_deferred_messages(dags, monkeypatch):
    with scripted_peer([*INTRODUCTION, *PUT_OFF, *TAKEN], [*INTRODUCTION, *TAKEN]) as peer:
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", anonymous(peer.port))
        state, tries, result = outcome(dags["merged"].test())

    assert (state, tries, result["sent"]) == ("success", 2, 2)
    assert [command for command in peer.commands if command.startswith("RCPT")] == [
        f"RCPT TO:<{name}@corp.test>" for name in ("ann", "ben", "ann")
    ]
    assert len(set(headers(b"Message-ID", peer.received))) == 2


def test_permanently_rejected_messages_are_not_retried(dags, monkeypatch):
    refused = [*envelope("550 5.1.1 nobody"), expect("RSET"), say("250 ok")]
    with scripted_peer([*INTRODUCTION, *refused, *TAKEN]) as peer:
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", anonymous(peer.port))
        state, tries, result = outcome(dags["merged"].test())

    assert (state, tries) == ("failed", 1)
    assert (result["sent"], result["failures"][0]["recipients"]) == (1, ["ann@corp.test"])


@pytest.fixture
def calls(dags, monkeypatch):
    """Return a function that runs a DAG, and returns how often its task calls Airflow's API server, by kind."""

    def calls(dag_id):
        from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms  # noqa: PLC0415 - Airflow 3

        seen, send = Counter(), InProcessSupervisorComms.send

        def counted(self, msg):
            seen[type(msg).__name__] += 1
            return send(self, msg)

        with monkeypatch.context() as patch:
            patch.setattr(InProcessSupervisorComms, "send", counted)
            assert dags[dag_id].test().state == "success"
        return seen

    return calls


@keeps_state
@pytest.mark.parametrize(("retries", "writes"), [(0, 0), (1, 2)])
def test_message_costs_no_more_calls_than_with_airflows_own_operator_but_for_its_result_and_record(
    calls, define, retries, writes
):
    dialogue = [say("220 hi"), expect("(?i)EHLO"), say("250 hi"), expect("(?i)MAIL"), say("250 ok")]
    dialogue += [
        expect("(?i)RCPT"),
        say("250 ok"),
        expect("(?i)DATA"),
        say("354 go on"),
        expect_content(),
        say("250 ok"),
    ]
    with scripted_peer(dialogue, dialogue) as peer:
        define(anonymous(peer.port), "mail")
        options = {"disable_ssl": True, "disable_tls": True}
        define(json.dumps({"conn_type": "smtp", "host": LOOPBACK, "port": peer.port, "extra": options}), "own")
        ours, theirs = calls(f"calls_with_{retries}_retries"), calls("calls_of_email_operator")

    assert ours - theirs == Counter(SetXCom=1, SetTaskStateStore=writes) - Counter()
