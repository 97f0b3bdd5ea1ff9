"""Neither lost nor sent twice: what a retry does after a try that has sent something, or may have."""

import json
import os
import re
import signal
import sqlite3
from contextlib import closing

import pytest

from airflow_smtp_cm.delivery import KEY
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import Phase
from airflow_smtp_cm.smtp.settings import Timeouts
from tests.airflow_versions import keeps_state
from tests.connections import anonymous
from tests.patience import SOON
from tests.servers.processes import PATIENCE_SECONDS
from tests.servers.scripted import Step, expect, expect_content, reset, say, scripted_peer, wait_for_close

BOB, CAROL, DAVE = "bob@corp.test", "carol@corp.test", "dave@corp.test"


def dialogue(*replies, final="250 2.0.0 Ok: queued"):
    """Return a script with these replies to the recipients; ``final`` is a reply or a step of its own."""
    recipients = [step for reply in replies for step in (expect("RCPT"), say(reply))]
    content = [expect("DATA"), say("354 go on"), expect_content(), say(final) if isinstance(final, str) else final]
    return [
        *(say("220 hi"), expect("EHLO"), say("250 hi")),
        *(expect("MAIL"), say("250 ok"), *recipients),
        *(content if final else [expect("RSET"), say("250 ok")]),
    ]


@pytest.fixture
def record(airflow_db):
    """Return a function that returns the record of the run that is going on, or that ended last."""

    def record():
        with closing(sqlite3.connect(airflow_db)) as database:
            rows = database.execute(
                "SELECT value FROM task_state_store WHERE key = ? ORDER BY dag_run_id DESC LIMIT 1", [KEY]
            ).fetchall()
        return json.loads(rows[0][0]) if rows else None

    return record


@pytest.fixture
def play(dags, monkeypatch):
    """Return a function that runs a DAG against a server that plays a script for each try.

    It returns the state, the number of tries, the XCom and the server. If the server is ``silent``, the first wait
    for a final reply is given up soon.
    """

    def play(dag, *scripts, to=(BOB,), silent=False, **params):
        waits = {Phase.FINAL: [SOON]} if silent else {}
        monkeypatch.setattr(
            Timeouts, "of", lambda _, phase: waits[phase].pop() if waits.get(phase) else PATIENCE_SECONDS
        )
        with scripted_peer(*scripts) as peer:
            monkeypatch.setenv("AIRFLOW_CONN_MAIL", anonymous(peer.port))
            run = dags[dag].test(run_conf={"to": "; ".join(to), **params})
        ti = run.get_task_instance("send")
        return ti.state, ti.try_number, ti.xcom_pull(task_ids="send"), peer

    return play


def recipients_of(peer):
    return [command.removeprefix("RCPT TO:") for command in peer.commands if command.startswith("RCPT")]


def headers(name, peer):
    return re.findall(rb"^%b: (.*)\r$" % name.encode(), peer.received, re.MULTILINE)


# --- sent


@keeps_state
def test_retry_of_a_try_that_sent_the_message_sends_nothing_and_returns_its_result(play):
    state, tries, result, peer = play("failing_after_sending", dialogue("250 ok"))

    assert (state, tries) == ("success", 2)
    assert result["accepted"] == [BOB]
    assert result["reply"] == "250 2.0.0 Ok: queued"
    assert headers("Message-ID", peer) == [result["message_id"].encode()]


@keeps_state
def test_it_does_so_in_every_further_try(play):
    state, tries, _, peer = play("failing_after_sending", dialogue("250 ok"), failures=2)

    assert (state, tries) == ("success", 3)
    assert len(headers("Message-ID", peer)) == 1


@keeps_state
def test_record_is_written_before_the_content_leaves_and_after_the_final_reply(play, record):
    before, seen = record(), []
    look = Step("look", lambda _: seen.append(record()))
    *until_data, go_ahead, content, final = dialogue("250 ok")
    _, _, result, _ = play("in_doubt_fail", [*until_data, look, go_ahead, content, look, final])

    at_data, at_final = seen
    assert at_data == before
    assert at_final["state"] == "sending"
    assert at_final["message_id"] == result["message_id"]
    assert at_final["recipients"] == [BOB]
    assert len(at_final["digest"]) == 64
    assert record()["state"] == "sent"
    assert record()["result"] == result


@keeps_state
def test_every_mapped_task_has_a_record_of_its_own(dags, smtp_cm_server, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", smtp_cm_server.airflow_connection())
    run = dags["failing_after_sending_to_each"].test()

    assert run.state == "success"
    assert sorted(received.recipients for received in smtp_cm_server.outbox) == [(BOB,), (CAROL,)]


def test_without_a_record_a_retry_sends_the_message_again_under_the_same_id(play):
    state, tries, result, peer = play("forgetful", dialogue("250 ok"), dialogue("250 ok"))

    assert (state, tries) == ("success", 2)
    assert headers("Message-ID", peer) == [result["message_id"].encode()] * 2


# --- sent to some


@keeps_state
def test_retry_sends_only_to_those_who_were_put_off(play):
    state, tries, result, peer = play(
        "in_doubt_fail",
        dialogue("250 ok", "451 4.7.1 greylisted", "250 ok"),
        dialogue("250 ok"),
        to=[BOB, CAROL, DAVE],
    )

    assert (state, tries) == ("success", 2)
    assert recipients_of(peer) == [f"<{BOB}>", f"<{CAROL}>", f"<{DAVE}>", f"<{CAROL}>"]
    assert result["accepted"] == [BOB, DAVE, CAROL]
    assert result["refused"] == []
    assert len(set(headers("Message-ID", peer))) == 1


@keeps_state
def test_retry_leaves_out_those_who_were_refused_for_good_and_names_them_at_last(play):
    state, tries, result, peer = play(
        "in_doubt_fail",
        dialogue("250 ok", "451 4.7.1 greylisted", "550 5.1.1 nobody of that name"),
        dialogue("250 ok"),
        to=[BOB, CAROL, DAVE],
    )

    assert (state, tries) == ("failed", 2)
    assert recipients_of(peer)[3:] == [f"<{CAROL}>"]
    assert result["accepted"] == [BOB, CAROL]
    assert [(refusal["address"], refusal["code"]) for refusal in result["refused"]] == [(DAVE, 550)]


@keeps_state
def test_those_who_are_put_off_every_time_are_named_when_the_tries_are_up(play):
    state, tries, result, _ = play(
        "in_doubt_fail",
        dialogue("250 ok", "450 4.2.0 later"),
        dialogue("450 4.2.0 later", final=None),
        dialogue("450 4.2.0 later", final=None),
        to=[BOB, CAROL],
    )

    assert (state, tries) == ("failed", 3)
    assert result["accepted"] == [BOB]
    assert [refusal["address"] for refusal in result["refused"]] == [CAROL]


def test_refused_for_good_is_not_tried_again(play):
    state, tries, result, _ = play(
        "in_doubt_fail", dialogue("250 ok", "550 5.1.1 nobody of that name"), to=[BOB, CAROL]
    )

    assert (state, tries) == ("failed", 1)
    assert result["accepted"] == [BOB]


@keeps_state
def test_retry_tries_everybody_if_nobody_was_accepted_and_some_may_be_later(play):
    state, tries, result, _ = play(
        "in_doubt_fail",
        dialogue("550 5.1.1 nobody of that name", "450 4.2.0 later", final=None),
        dialogue("550 5.1.1 nobody of that name", "250 ok"),
        to=[BOB, CAROL],
    )

    assert (state, tries) == ("failed", 2)
    assert result["accepted"] == [CAROL]


def test_all_or_nothing_goes_to_all_in_the_retry(play):
    state, tries, result, _ = play(
        "all_or_nothing",
        dialogue("250 ok", "450 4.2.0 later", final=None),
        dialogue("250 ok", "250 ok"),
        to=[BOB, CAROL],
    )

    assert (state, tries) == ("success", 2)
    assert result["accepted"] == [BOB, CAROL]


# --- nobody knows


LOST = {"lost": reset(), "silent": wait_for_close(), "closing": say("421 4.3.0 going down")}


@pytest.mark.parametrize("end", LOST)
def test_message_in_doubt_fails_the_task_and_is_not_sent_again(play, end):
    state, tries, result, peer = play("in_doubt_fail", dialogue("250 ok", final=LOST[end]), silent=end == "silent")

    assert (state, tries, result) == ("failed", 1, None)
    assert len(headers("Message-ID", peer)) == 1


@pytest.mark.parametrize("end", LOST)
def test_message_in_doubt_is_sent_again_under_the_same_id_if_that_is_asked_for(play, end):
    scripts = [dialogue("250 ok", final=LOST[end]), dialogue("250 ok")]
    state, tries, result, peer = play("in_doubt_resend", *scripts, silent=end == "silent")

    assert (state, tries) == ("success", 2)
    assert headers("Message-ID", peer) == [result["message_id"].encode()] * 2


@pytest.mark.parametrize("end", LOST)
def test_message_in_doubt_counts_as_sent_if_that_is_asked_for(play, end):
    script = dialogue("250 ok", final=LOST[end])
    state, tries, result, peer = play("in_doubt_assume_sent", script, silent=end == "silent")

    assert (state, tries) == ("success", 1)
    assert result["accepted"] == [BOB]
    assert result["reply"] is None
    assert headers("Message-ID", peer) == [result["message_id"].encode()]


@keeps_state
def test_retry_of_a_try_that_was_ended_while_it_waited_for_the_reply_sends_nothing_and_fails(play, record, capsys):
    time_is_up = Step("time is up", lambda _: os.kill(os.getpid(), signal.SIGALRM))
    state, tries, _, peer = play("impatient", [*dialogue("250 ok", final=time_is_up), wait_for_close()])

    assert (state, tries) == ("failed", 2)
    assert len(headers("Message-ID", peer)) == 1
    assert record()["state"] == "sending"
    said = capsys.readouterr().out
    assert f"ended while it was sending the message {record()['message_id']}" in said
    assert "clear the task to send the message again" in said


@keeps_state
def test_doubt_about_those_who_were_put_off_does_not_touch_the_others(play):
    state, tries, result, peer = play(
        "in_doubt_resend",
        dialogue("250 ok", "450 4.2.0 later"),
        dialogue("250 ok", final=reset()),
        dialogue("250 ok"),
        to=[BOB, CAROL],
    )

    assert (state, tries) == ("success", 3)
    assert recipients_of(peer) == [f"<{BOB}>", f"<{CAROL}>", f"<{CAROL}>", f"<{CAROL}>"]
    assert result["accepted"] == [BOB, CAROL]


@keeps_state
def test_message_that_broke_off_for_certain_is_sent_by_the_retry(play, record):
    broken = dialogue("250 ok", final="451 4.3.0 disk full")
    state, tries, _, peer = play("in_doubt_fail", broken, dialogue("250 ok"))

    assert (state, tries) == ("success", 2)
    assert len(headers("Message-ID", peer)) == 2
    assert record()["result"]["accepted"] == [BOB]


def test_unknown_choice_is_refused_when_the_dag_is_parsed():
    with pytest.raises(ValueError, match=r"on_uncertain must be one of fail, resend, assume_sent, not 'retry'\."):
        SendMailOperator(task_id="send", on_uncertain="retry")
