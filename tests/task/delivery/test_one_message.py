"""One message in a task: a retry neither loses it nor sends it twice."""

import json
import os
import re
import signal
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.utils.session import create_session

from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import DeliveryUncertain, Phase, RecipientsRefused, RecordError, Refused, SmtpError
from airflow_smtp_cm.smtp.settings import Timeouts
from airflow_smtp_cm.task.delivery.ledger import Ledger
from airflow_smtp_cm.task.delivery.states import State
from airflow_smtp_cm.task.state_store import KEY, TaskRecord
from tests.airflow_versions import clear_and_run, keeps_state, reset_and_run
from tests.connections import anonymous
from tests.failing import fails_permanently
from tests.operators.test_send_mail import FakeTaskInstance
from tests.patience import SOON
from tests.servers.processes import PATIENCE_SECONDS
from tests.servers.scripted import Step, expect, expect_content, reset, say, scripted_peer, wait_for_close

BOB, CAROL, DAVE = "bob@corp.test", "carol@corp.test", "dave@corp.test"


def dialogue(*replies, final="250 2.0.0 Ok: queued"):
    """Return a script with these replies to the recipients; ``final`` is a reply or a step."""
    recipients = [step for reply in replies for step in (expect("RCPT"), say(reply))]
    content = [expect("DATA"), say("354 go on"), expect_content(), say(final) if isinstance(final, str) else final]
    return [
        *(say("220 hi"), expect("EHLO"), say("250 hi")),
        *(expect("MAIL"), say("250 ok"), *recipients),
        *(content if final else [expect("RSET"), say("250 ok")]),
    ]


@pytest.fixture
def record(airflow_db):
    """Return a function that returns the record of the current or the last run."""

    def record():
        with closing(sqlite3.connect(airflow_db)) as database:
            rows = database.execute(
                "SELECT value FROM task_state_store WHERE key = ? ORDER BY dag_run_id DESC LIMIT 1", [KEY]
            ).fetchall()
        return json.loads(rows[0][0]) if rows else None

    return record


def read(record):
    """Return a record as the next try reads it."""
    ti = SimpleNamespace(try_number=2, max_tries=record["max_tries"])
    context = {"task_state_store": {KEY: record}, "ti": ti}
    return Ledger(TaskRecord(context, durable=True), 1)


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


# --- the message was sent


@keeps_state
def test_retry_of_a_try_that_sent_the_message_sends_nothing_and_returns_its_result(play):
    state, tries, result, peer = play("failing_after_sending", dialogue("250 ok"))

    assert (state, tries) == ("success", 2)
    assert result["accepted"] == [BOB]
    assert result["reply"] == "250 2.0.0 Ok: queued"
    assert headers("Message-ID", peer) == [result["message_id"].encode()]


@keeps_state
def test_further_retries_do_the_same(play):
    state, tries, _, peer = play("failing_after_sending", dialogue("250 ok"), failures=2)

    assert (state, tries) == ("success", 3)
    assert len(headers("Message-ID", peer)) == 1


@keeps_state
def test_record_is_written_before_the_content_is_transmitted_and_after_the_final_reply(play, record):
    before, seen = record(), []
    look = Step("look", lambda _: seen.append(record()))
    *until_data, go_ahead, content, final = dialogue("250 ok")
    _, _, result, _ = play("uncertain_fail", [*until_data, look, go_ahead, content, look, final])

    at_data, at_final = seen[0], read(seen[1])
    assert at_data == before
    assert at_final.state(0) is State.SENDING
    transmission = at_final.transmissions[0]
    assert (transmission.result.message_id, transmission.result.size) == (result["message_id"], result["size"])
    assert (transmission.result.accepted, transmission.result.uncertain, transmission.unsent) == ((), (BOB,), 0)
    assert at_final.results == {}
    assert len(at_final.digest) == 64
    at_last = read(record())
    assert at_last.state(0) is State.SENT
    assert at_last.results[0].as_json() == result


@keeps_state
def test_every_mapped_task_has_its_own_record(dags, smtp_cm_server, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", smtp_cm_server.airflow_connection())
    run = dags["failing_after_sending_to_each"].test()

    assert run.state == "success"
    assert sorted(received.recipients for received in smtp_cm_server.outbox) == [(BOB,), (CAROL,)]


def test_without_a_record_a_retry_sends_the_message_again_with_the_same_id(play):
    state, tries, result, peer = play("without_record", dialogue("250 ok"), dialogue("250 ok"))

    assert (state, tries) == ("success", 2)
    assert headers("Message-ID", peer) == [result["message_id"].encode()] * 2


# --- some recipients were refused


@keeps_state
def test_retry_sends_only_to_those_who_were_deferred(play):
    state, tries, result, peer = play(
        "uncertain_fail",
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
def test_retry_skips_permanently_rejected_recipients_and_the_last_error_names_them(play):
    state, tries, result, peer = play(
        "uncertain_fail",
        dialogue("250 ok", "451 4.7.1 greylisted", "550 5.1.1 nobody of that name"),
        dialogue("250 ok"),
        to=[BOB, CAROL, DAVE],
    )

    assert (state, tries) == ("failed", 2)
    assert recipients_of(peer)[3:] == [f"<{CAROL}>"]
    assert result["accepted"] == [BOB, CAROL]
    assert [(refusal["address"], refusal["code"]) for refusal in result["refused"]] == [(DAVE, 550)]


@keeps_state
def test_last_error_names_recipients_who_were_deferred_in_every_try(play):
    state, tries, result, _ = play(
        "uncertain_fail",
        dialogue("250 ok", "450 4.2.0 later"),
        dialogue("450 4.2.0 later", final=None),
        dialogue("450 4.2.0 later", final=None),
        to=[BOB, CAROL],
    )

    assert (state, tries) == ("failed", 3)
    assert result["accepted"] == [BOB]
    assert [refusal["address"] for refusal in result["refused"]] == [CAROL]


def test_permanent_rejection_is_not_retried(play):
    state, tries, result, _ = play(
        "uncertain_fail", dialogue("250 ok", "550 5.1.1 nobody of that name"), to=[BOB, CAROL]
    )

    assert (state, tries) == ("failed", 1)
    assert result["accepted"] == [BOB]


@keeps_state
def test_retry_sends_to_all_recipients_if_none_was_accepted_and_some_were_deferred(play):
    state, tries, result, _ = play(
        "uncertain_fail",
        dialogue("550 5.1.1 nobody of that name", "450 4.2.0 later", final=None),
        dialogue("550 5.1.1 nobody of that name", "250 ok"),
        to=[BOB, CAROL],
    )

    assert (state, tries) == ("failed", 2)
    assert result["accepted"] == [CAROL]


def test_retry_with_all_or_nothing_sends_to_all_recipients(play):
    state, tries, result, _ = play(
        "all_or_nothing",
        dialogue("250 ok", "450 4.2.0 later", final=None),
        dialogue("250 ok", "250 ok"),
        to=[BOB, CAROL],
    )

    assert (state, tries) == ("success", 2)
    assert result["accepted"] == [BOB, CAROL]


# --- delivery is uncertain


LOST = {"lost": reset(), "silent": wait_for_close(), "closing": say("421 4.3.0 going down")}


@pytest.mark.parametrize("end", LOST)
def test_uncertain_message_fails_the_task_and_is_not_sent_again(play, end):
    state, tries, result, peer = play("uncertain_fail", dialogue("250 ok", final=LOST[end]), silent=end == "silent")

    assert (state, tries, result) == ("failed", 1, None)
    assert len(headers("Message-ID", peer)) == 1


@pytest.mark.parametrize("end", LOST)
def test_uncertain_message_is_sent_again_with_the_same_id_with_resend(play, end):
    scripts = [dialogue("250 ok", final=LOST[end]), dialogue("250 ok")]
    state, tries, result, peer = play("uncertain_resend", *scripts, silent=end == "silent")

    assert (state, tries) == ("success", 2)
    assert headers("Message-ID", peer) == [result["message_id"].encode()] * 2


@pytest.mark.parametrize("end", LOST)
def test_uncertain_message_is_assumed_to_be_sent_with_assume_sent(play, end):
    script = dialogue("250 ok", final=LOST[end])
    state, tries, result, peer = play("uncertain_assume_sent", script, silent=end == "silent")

    assert (state, tries) == ("success", 1)
    assert result["accepted"] == [BOB]
    assert result["reply"] is None
    assert headers("Message-ID", peer) == [result["message_id"].encode()]


@keeps_state
def test_retry_of_a_try_that_was_killed_before_the_final_reply_sends_nothing_and_fails(play, record, capsys):
    time_is_up = Step("time is up", lambda _: os.kill(os.getpid(), signal.SIGALRM))
    state, tries, _, peer = play("with_execution_timeout", [*dialogue("250 ok", final=time_is_up), wait_for_close()])

    assert (state, tries) == ("failed", 2)
    assert len(headers("Message-ID", peer)) == 1
    at_last = read(record())
    assert at_last.state(0) is State.SENDING
    output = capsys.readouterr().out
    assert f"ended while it was sending the message {at_last.transmissions[0].result.message_id}" in output
    assert "clear the task to send the message again" in output


@keeps_state
def test_uncertain_delivery_to_deferred_recipients_does_not_concern_the_others(play):
    state, tries, result, peer = play(
        "uncertain_resend",
        dialogue("250 ok", "450 4.2.0 later"),
        dialogue("250 ok", final=reset()),
        dialogue("250 ok"),
        to=[BOB, CAROL],
    )

    assert (state, tries) == ("success", 3)
    assert recipients_of(peer) == [f"<{BOB}>", f"<{CAROL}>", f"<{CAROL}>", f"<{CAROL}>"]
    assert result["accepted"] == [BOB, CAROL]


@keeps_state
def test_message_that_was_certainly_not_delivered_is_sent_by_the_retry(play, record):
    broken = dialogue("250 ok", final="451 4.3.0 disk full")
    state, tries, _, peer = play("uncertain_fail", broken, dialogue("250 ok"))

    assert (state, tries) == ("success", 2)
    assert len(headers("Message-ID", peer)) == 2
    assert read(record()).results[0].accepted == (BOB,)


@keeps_state
def test_try_after_the_last_one_sends_nothing_until_the_task_is_cleared(dags, monkeypatch, capsys):
    """Airflow starts it after a crash of the scheduler, though the task has no retries."""
    dag, seen = dags["calls_with_0_retries"], []
    with scripted_peer(dialogue("250 ok"), dialogue("250 ok")) as peer:
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", anonymous(peer.port))
        run = dag.test()
        for again in (reset_and_run, clear_and_run):
            again(dag, run.get_task_instance("send"))
            ti = run.get_task_instance("send")
            seen.append((ti.state, ti.try_number, len(headers("Message-ID", peer))))

    assert seen == [("failed", 2, 1), ("success", 3, 2)]
    assert "That was the last try that the task's retries grant" in capsys.readouterr().out


@keeps_state
def test_last_try_sends_nothing_if_another_try_is_in_its_place(dags, monkeypatch, capsys):
    """As after a crash of the scheduler: Airflow then answers that there is no record, though there is one."""
    dag, pre_execute = dags["calls_with_1_retries"], SendMailOperator.pre_execute

    def replaced(operator, context):
        pre_execute(operator, context)
        if context["ti"].try_number == 2:
            with create_session() as session:
                session.get(TaskInstance, context["ti"].id).prepare_db_for_next_try(session)

    monkeypatch.setattr(SendMailOperator, "pre_execute", replaced)
    partly = dialogue("250 ok", "450 4.2.0 later")
    until_data = [*dialogue("250 ok", "250 ok", final=None)[:-2], expect("DATA"), say("354 go on"), wait_for_close()]
    with scripted_peer(partly, until_data) as peer:
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", anonymous(peer.port))
        monkeypatch.setattr(dag.task_dict["send"], "cc", CAROL)
        dag.test()

    assert len(headers("Message-ID", peer)) == 1
    assert "The record cannot be written, so nothing more is sent" in capsys.readouterr().out


# --- single tries, without a running Airflow


@pytest.fixture
def attempt(store, monkeypatch):
    """Return a function that runs a try with a server that plays a script; it returns the result and the peer."""

    def attempt(script, *, ti=None, to=(BOB,), record=True, reschedules=0, **fields):
        context = {"ti": ti or FakeTaskInstance(), "task_reschedule_count": reschedules}
        context |= {"task_state_store": store} if record else {}
        with scripted_peer(*([script] if script else [])) as peer:
            monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", anonymous(peer.port))
            operator = SendMailOperator(task_id="send", to="; ".join(to), **{"subject": "Report"} | fields)
            return operator.execute(context), peer

    return attempt


PARTLY = dialogue("250 ok", "450 4.2.0 later")
NOT_THE_SAME = "The message is not the same as in an earlier try."


ONLY = FakeTaskInstance(try_number=1, max_tries=0)
FIRST_OF_TWO = FakeTaskInstance(try_number=1, max_tries=1)
LAST_OF_TWO = FakeTaskInstance(try_number=2, max_tries=1)
BEYOND_THE_LAST = FakeTaskInstance(try_number=2, max_tries=0)


@pytest.mark.parametrize(
    ("ti", "calls"),
    [
        (ONLY, []),
        (FIRST_OF_TWO, ["set", "set"]),
        (FakeTaskInstance(try_number=2, max_tries=3), ["get", "set", "set"]),
        (LAST_OF_TWO, ["get", "set", "set"]),
        (FakeTaskInstance(try_number=0, max_tries=1), []),
        (FakeTaskInstance(try_number=1, max_tries=-1), []),
    ],
    ids=["only try", "first try", "a retry", "last try", "airflow tasks test", "negative retries"],
)
def test_store_is_read_after_an_earlier_try_and_written_before_a_later_one(attempt, store, ti, calls):
    """It is read first, and written before the content is transmitted and after the final reply."""
    result, _ = attempt(dialogue("250 ok"), ti=ti)

    assert result["accepted"] == [BOB]
    assert store.calls == calls


def test_last_try_only_reads_the_store_if_an_earlier_try_wrote_it(attempt, store):
    with pytest.raises(RecipientsRefused):
        attempt(PARTLY, ti=FIRST_OF_TWO, to=[BOB, CAROL])
    store.calls.clear()
    result, _ = attempt(dialogue("250 ok"), ti=LAST_OF_TWO, to=[BOB, CAROL])

    assert result["accepted"] == [BOB, CAROL]
    assert store.calls == ["get"]


def test_store_is_only_read_if_an_earlier_try_sent_the_message(attempt, store):
    attempt(dialogue("250 ok"), ti=FIRST_OF_TWO)
    attempt(None, ti=LAST_OF_TWO)

    assert store.calls == ["set", "set", "get"]


def test_store_is_read_in_a_first_try_that_was_rescheduled(attempt):
    attempt(dialogue("250 ok"), ti=FIRST_OF_TWO)
    result, _ = attempt(None, ti=FIRST_OF_TWO, reschedules=1)

    assert result["accepted"] == [BOB]


# Airflow runs a task once more than its retries grant if its scheduler crashed, or if the running task was cleared.


@pytest.mark.parametrize("before", [None, dialogue("250 ok")], ids=["not sent", "sent"])
def test_message_is_uncertain_after_a_try_without_a_record(attempt, before):
    sent = attempt(before, ti=ONLY)[0]["message_id"] if before else ""

    with fails_permanently(match=r"may have sent the message <.*>\. That was the last try .* clear") as caught:
        attempt(None, ti=BEYOND_THE_LAST)
    assert sent in str(caught.value)


def test_message_is_sent_again_with_the_same_id_after_a_try_without_a_record_with_resend(attempt):
    first, _ = attempt(dialogue("250 ok"), ti=ONLY)
    second, peer = attempt(dialogue("250 ok"), ti=BEYOND_THE_LAST, on_uncertain="resend")

    assert headers("Message-ID", peer) == [first["message_id"].encode()]
    assert second["message_id"] == first["message_id"]


def test_message_is_assumed_to_be_sent_after_a_try_without_a_record_with_assume_sent(attempt):
    result, _ = attempt(None, ti=BEYOND_THE_LAST, on_uncertain="assume_sent")

    assert (result["accepted"], result["reply"]) == ([BOB], None)


def test_message_that_an_earlier_try_sent_is_not_uncertain_after_a_try_without_a_record(attempt):
    attempt(dialogue("250 ok"), ti=FIRST_OF_TWO)
    result, _ = attempt(None, ti=FakeTaskInstance(try_number=3, max_tries=1))

    assert result["reply"] == "250 2.0.0 Ok: queued"


def test_only_the_deferred_recipients_are_uncertain_after_a_try_without_a_record(attempt):
    with pytest.raises(RecipientsRefused):
        attempt(PARTLY, ti=FIRST_OF_TWO, to=[BOB, CAROL])

    ti = FakeTaskInstance(try_number=3, max_tries=1)
    with fails_permanently(match="That was the last try") as caught:
        attempt(None, ti=ti, to=[BOB, CAROL])
    assert ti.pushed["return_value"]["accepted"] == [BOB]
    assert ti.pushed["return_value"]["uncertain"] == [CAROL]
    assert caught.value.__cause__.result.uncertain == (CAROL,)


def test_whoever_was_uncertain_before_a_try_without_a_record_gets_the_message_with_resend(attempt):
    """Also from an earlier transaction, in a try in which it was not resend."""
    too_many, to = "452 4.5.3 Too many recipients", [BOB, CAROL, DAVE]
    first, second = dialogue("250 ok", too_many, too_many), dialogue("250 ok", final=reset())
    with pytest.raises(DeliveryUncertain):
        attempt([*first, *second[3:]], ti=FIRST_OF_TWO, to=to)

    ti = FakeTaskInstance(try_number=3, max_tries=1)
    result, peer = attempt(dialogue("250 ok", "250 ok"), ti=ti, to=to, on_uncertain="resend")
    assert recipients_of(peer) == [f"<{CAROL}>", f"<{DAVE}>"]
    assert result["accepted"] == to


def test_message_is_sent_after_the_task_was_cleared_once_more(attempt):
    with fails_permanently(match="That was the last try"):
        attempt(None, ti=BEYOND_THE_LAST)

    result, _ = attempt(dialogue("250 ok"), ti=FakeTaskInstance(try_number=3, max_tries=2))
    assert result["accepted"] == [BOB]


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        ([say("421 busy")], ["get"]),
        (dialogue("450 4.2.0 later", final=None), ["get"]),
        (dialogue("250 ok", final="451 4.3.0 disk full"), ["get", "set", "set"]),
        (dialogue("250 ok", final=reset()), ["get", "set"]),
    ],
    ids=["no session", "deferred", "content refused", "uncertain"],
)
def test_record_is_not_written_if_it_would_not_change(attempt, store, script, calls):
    with pytest.raises((SmtpError, AirflowFailException)):
        attempt(script)

    assert store.calls == calls


GONE = OSError("the supervisor is gone")


def test_nothing_is_sent_if_the_record_cannot_be_written(attempt, store):
    store.writes_left, store.fault = 0, GONE
    with pytest.raises(RecordError, match="so nothing more is sent: the supervisor is gone"):
        attempt([*dialogue("250 ok", final=None)[:-2], expect("DATA"), say("354 go on"), wait_for_close()])


def test_error_of_the_store_does_not_replace_the_outcome(attempt, store, caplog):
    store.writes_left, store.fault = 1, GONE
    result, _ = attempt(dialogue("250 ok"))
    assert result["accepted"] == [BOB]
    assert "A retry may treat as uncertain what is known now (sent: the message)." in caplog.text

    with fails_permanently(match="ended while it was sending the message"):
        attempt(None)


def test_deferred_recipient_fails_the_task_permanently_only_without_a_record(attempt, store):
    with pytest.raises(RecipientsRefused) as caught:
        attempt(PARTLY, to=[BOB, CAROL])
    assert caught.value.transient
    assert str(caught.value).endswith("A retry sends it only to recipients who may be accepted later.")

    store.kept.clear()
    with pytest.raises(RecipientsRefused) as last:
        attempt(PARTLY, ti=LAST_OF_TWO, to=[BOB, CAROL])
    assert str(last.value).endswith(
        "No automatic retry follows. If the task is cleared, the message is sent to all recipients again."
    )

    with fails_permanently(match=r"refused 1 of 2 recipients: carol@corp\.test: 450 4\.2\.0 later") as forgotten:
        attempt(PARTLY, to=[BOB, CAROL], record=False)
    assert str(forgotten.value).endswith("was delivered to the other 1.")


def test_changed_message_is_logged_if_a_recipient_has_the_earlier_one(attempt, caplog):
    with pytest.raises(RecipientsRefused):
        attempt(PARTLY, to=[BOB, CAROL])
    assert NOT_THE_SAME not in caplog.text

    result, peer = attempt(dialogue("250 ok", "250 ok"), to=[BOB, CAROL, DAVE], subject="Another")
    assert NOT_THE_SAME in caplog.text
    assert recipients_of(peer) == [f"<{CAROL}>", f"<{DAVE}>"]
    assert result["accepted"] == [BOB, CAROL, DAVE]


def test_message_in_the_house_style_is_the_same_in_each_try(attempt, caplog, monkeypatch, tmp_path):
    (tmp_path / "house.html").write_text("{{ subject }}: {% block content %}{% endblock %}")
    monkeypatch.setenv("AIRFLOW__SMTP_CM__SUBJECT_PREFIX", "[Airflow]")
    monkeypatch.setenv("AIRFLOW__SMTP_CM__HTML_TEMPLATE", str(tmp_path / "house.html"))
    with pytest.raises(RecipientsRefused):
        attempt(PARTLY, to=[BOB, CAROL], html_content="<p>Hello</p>")
    _, peer = attempt(dialogue("250 ok"), to=[BOB, CAROL], html_content="<p>Hello</p>")

    assert recipients_of(peer) == [f"<{CAROL}>"]
    assert b"[Airflow] Report: <p>Hello</p>" in peer.received
    assert NOT_THE_SAME not in caplog.text


def test_changed_message_is_not_logged_if_no_recipient_has_the_earlier_one(attempt, caplog):
    with pytest.raises(Refused, match="disk full"):
        attempt(dialogue("250 ok", final="451 4.3.0 disk full"))

    attempt(dialogue("250 ok"), subject="Another")
    assert NOT_THE_SAME not in caplog.text


def test_nothing_is_sent_if_the_deferred_recipients_were_removed(attempt):
    with pytest.raises(RecipientsRefused):
        attempt(PARTLY, to=[BOB, CAROL])

    for _ in range(2):
        result, _ = attempt(None, to=[BOB])
        assert (result["accepted"], result["refused"]) == ([BOB], [])


def test_rejection_fails_the_task_even_if_the_deferred_recipients_were_removed(attempt):
    with pytest.raises(RecipientsRefused):
        attempt(dialogue("250 ok", "450 4.2.0 later", "550 5.1.1 nobody"), to=[BOB, CAROL, DAVE])

    for _ in range(2):
        with fails_permanently(match=r"refused 1 of 2 recipients: dave@corp\.test: 550 5\.1\.1 nobody"):
            attempt(None, to=[BOB, DAVE])


@pytest.mark.parametrize("messages", [[{}], [{}, {"subject": "Another"}]], ids=len)
def test_retry_of_a_task_with_one_message_does_not_send_many(attempt, messages):
    with pytest.raises(RecipientsRefused):
        attempt(PARTLY, to=[BOB, CAROL])

    with fails_permanently(match=r"They are not those of an earlier try of this task: the number \(then 1\), "):
        attempt(None, to=[BOB, CAROL], messages=messages)


def test_cleared_task_sends_the_message_again(attempt):
    for max_tries in (3, 5):
        result, _ = attempt(dialogue("250 ok"), ti=FakeTaskInstance(max_tries=max_tries))
        assert result["accepted"] == [BOB]


def test_unknown_on_uncertain_is_an_error_when_the_dag_is_parsed():
    with pytest.raises(
        ValueError, match=r"on_uncertain must be one of fail, resend, assume_sent, ask, not 'retry'\."
    ):
        SendMailOperator(task_id="send", on_uncertain="retry")
