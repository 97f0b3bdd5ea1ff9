"""Many messages in one task: each is sent once, even if others fail, the session breaks or the worker is killed."""

from __future__ import annotations

import random
import re
from contextlib import contextmanager
from decimal import Decimal
from math import nan
from unittest.mock import ANY

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import ConnectError, SmtpError
from airflow_smtp_cm.smtp.group_limits import GROUP
from airflow_smtp_cm.smtp.reply import Reply
from airflow_smtp_cm.smtp.result import Refusal, SendResult
from airflow_smtp_cm.task.composition import FIELDS
from airflow_smtp_cm.task.delivery.ledger import Ledger
from airflow_smtp_cm.task.delivery.progress import Progress, _duration
from airflow_smtp_cm.task.delivery.result import Failure, MergeResult, MessagesFailed
from airflow_smtp_cm.task.delivery.states import Event, State, after
from airflow_smtp_cm.task.state_store import KEY, TaskRecord
from airflow_smtp_cm.testing import SmtpTestServer
from tests.airflow_versions import keeps_state
from tests.connections import anonymous, to_postfix
from tests.failing import fails_for_now, fails_permanently
from tests.operators.test_send_mail import FakeTaskInstance
from tests.servers.processes import free_ports
from tests.servers.scripted import expect, expect_content, reset, say, scripted_peer, wait_for_close
from tests.smtp.clock import Clock
from tests.task.delivery.records import message_ids_of, recorded_states
from tests.task.delivery.stores import Killed, Store

HELLO = [say("220 hi"), expect("EHLO"), say("250 hi")]
MOST_UNCERTAIN = 2 * GROUP
LIMIT = 65_535  # [state_store] max_value_storage_bytes


@pytest.fixture
def run(store):
    """Return a function that runs a try of a task, with the record of earlier tries."""

    def run(messages, *, ti=None, record=True, **fields):
        context = {"ti": ti or FakeTaskInstance()} | ({"task_state_store": store} if record else {})
        return SendMailOperator(task_id="send", messages=messages, **fields).execute(context)

    return run


def to(*names, **fields):
    return [{"to": f"{name}@corp.test", **fields} for name in names]


def numbered(count):
    return to(*(f"bob+{number}" for number in range(count)))


def dialogue(*messages, quits=True):
    """Return a script without extensions: for each message the replies to RCPT, and the final reply or None."""
    steps = list(HELLO)
    for *recipients, final in messages:
        steps += [expect("MAIL"), say("250 ok")]
        for reply in recipients:
            steps += [expect("RCPT"), say(reply)]
        if final:
            steps += [expect("DATA"), say("354 go on"), expect_content()]
            steps += [say(final) if isinstance(final, str) else final]
        else:
            steps += [expect("RSET"), say("250 ok")]
    return [*steps, *([expect("QUIT"), say("221 bye")] if quits else [])]


OK = ("250 ok", "250 2.0.0 queued")
NOBODY = ("550 5.1.1 nobody", None)
LATER = ("450 4.2.0 later", None)


@contextmanager
def played(define, *scripts):
    with scripted_peer(*scripts) as peer:
        define(anonymous(peer.port))
        yield peer


def recipients(peer):
    return [command.partition("<")[2].partition("@")[0] for command in peer.commands if command.startswith("RCPT")]


# --- messages


def test_fields_of_an_item_replace_those_of_the_task(server, run, tmp_path):
    (tmp_path / "b.csv").write_text("b")
    run(
        [
            {"to": "ann@corp.test", "subject": "For Ann", "message_source": "Dear Ann", "priority": "High"},
            {"to": "ben@corp.test", "attachments": str(tmp_path / "b.csv"), "headers": {"X-Number": 2}},
            {"cc": "cleo@corp.test", "from_email": "sales@corp.test", "html_content": "<p>Hi"},
        ],
        to="dave@corp.test",
        bcc="archive@corp.test",
        subject="For all",
        message_source="Dear customer",
    )

    ann, ben, cleo = server.outbox
    assert [received.recipients for received in server.outbox] == [
        ("ann@corp.test", "archive@corp.test"),
        ("ben@corp.test", "archive@corp.test"),
        ("dave@corp.test", "cleo@corp.test", "archive@corp.test"),
    ]
    assert [received.message["Subject"] for received in server.outbox] == ["For Ann", "For all", "For all"]
    assert ann.message.get_content() == "Dear Ann\n"
    assert (ann.message["X-Priority"], ben.message["X-Number"], cleo.sender) == ("1", "2", "sales@corp.test")
    assert [part.get_filename() for part in ben.message.iter_attachments()] == ["b.csv"]


@pytest.mark.parametrize("field", FIELDS)
def test_none_in_an_item_is_the_value_of_the_task(server, run, tmp_path, monkeypatch, field):
    """Rows of SQL have None for what is not set."""
    monkeypatch.setenv("AIRFLOW__SMTP_CM__SUBJECT_PREFIX", "[Test]")
    (tmp_path / "a.csv").write_text("a")
    own = {
        "from_email": "alice@corp.test",
        "to": "bob@corp.test",
        "cc": "carol@corp.test",
        "bcc": "dave@corp.test",
        "subject": "Hello",
        "priority": "High",
        "message_source_type": "FileConnection",
        "message_source": str(tmp_path / "a.csv"),
        "html_content": "<p>Hello",
        "text_part": False,
        "embed_images": True,
        "attachments": str(tmp_path / "a.csv"),
        "reply_to": "desk@corp.test",
        "headers": {"X-Report": "sales"},
        "house_style": False,
    }
    assert own.keys() == set(FIELDS)
    run([{}, {field: None}], **own)

    first, second = server.outbox
    assert (second.sender, second.recipients) == (first.sender, first.recipients)
    changing = {"date", "message-id", "content-type"}
    assert [(name, value) for name, value in second.message.items() if name.lower() not in changing] == [
        (name, value) for name, value in first.message.items() if name.lower() not in changing
    ]
    parts = [
        [part.get_payload() for part in mail.message.walk() if not part.is_multipart()] for mail in (first, second)
    ]
    assert parts[0] == parts[1]


def test_item_that_has_only_none_is_a_message_of_the_task(server, run):
    """It has the same recipients in the record: the second run is a retry that sends nothing."""
    run([dict.fromkeys(FIELDS)], to="bob@corp.test", subject="Hello")
    run([{"to": "bob@corp.test"}])

    assert len(server.outbox) == 1
    assert server.outbox[0].message["Subject"] == "Hello"


def test_result_has_the_number_of_sent_messages_and_no_list_of_them(server, run):
    result = run(numbered(50))

    assert result.pop("seconds") > 0
    assert result == {
        "messages": 50,
        "sent": 50,
        "assumed_sent": 0,
        "failed": 0,
        "deferred": 0,
        "uncertain": 0,
        "not_sent": 0,
        "failures": [],
    }
    assert len(server.outbox) == 50


def test_empty_list_needs_no_connection(run):
    assert run([], smtp_conn_id="nowhere")["messages"] == 0


def test_message_ids_are_the_same_in_every_try_and_different_for_each(server, run):
    for _ in range(2):
        run(to("ann", "ben"), record=False)

    ids = [received.message["Message-ID"] for received in server.outbox]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2


def test_all_messages_use_one_connection_unless_it_is_limited(define, run):
    with played(define, dialogue(OK, OK, OK)):
        assert run(numbered(3))["sent"] == 3
    with played(define, dialogue(OK, OK), dialogue(OK)):
        assert run(numbered(3), ti=FakeTaskInstance(max_tries=4), max_messages_per_connection=2)["sent"] == 3


def test_text_that_messages_share_is_read_once(server, run, tmp_path, monkeypatch):
    read = []
    text = tmp_path / "body.txt"
    text.write_text("Hello")
    monkeypatch.setattr(
        "airflow_smtp_cm.task.delivery.items.read_message",
        lambda _, source: (read.append(source), text.read_text())[1],
    )
    run(numbered(5), message_source_type="FileConnection", message_source=str(text))

    assert read == [str(text)]
    assert len(server.outbox) == 5


def test_disabled_task_sends_no_message(server, run):
    assert run(numbered(2), disable=True) is None
    assert server.outbox == []


# --- errors before anything is sent


@pytest.mark.parametrize(
    ("messages", "kind"), [("[{'to': 'a@x.test'}]", "str"), ({"to": "a@x.test"}, "dict"), (5, "int")]
)
def test_value_that_is_not_a_list_is_an_error(server, run, messages, kind):
    with fails_permanently(match=rf"^messages: It must be a list of mappings, not {kind}\.") as caught:
        run(messages)
    assert ("Pass the output of the task itself (XComArg)" in str(caught.value)) == (kind == "str")

    assert server.outbox == []


def test_none_as_messages_is_an_error(server):
    """It must not send a message made of the task's own fields. A task that returns nothing returns None."""
    operator = SendMailOperator(task_id="send", to="bob@corp.test", messages="{{ none }}")
    operator.messages = None
    with fails_permanently(match="It must be a list of mappings, not NoneType"):
        operator.execute({})

    assert server.outbox == []


def test_key_of_email_operator_is_an_error_that_names_the_new_one(server, run):
    with fails_permanently(match="Instead of files: use attachments"):
        run([{"to": "bob@corp.test", "files": ["/data/a.csv"]}])

    assert server.outbox == []


def test_all_problems_are_reported_with_the_index_before_anything_is_sent(server, run):
    messages = [
        *to("ann", "ben", subject="Hi"),
        {"to": "carl"},
        "dave@corp.test",
        {"recipient": "a@x", "from": "b@x"},
        {"to": "eve@corp.test", "subject": "a\0b"},
    ]
    with fails_permanently() as caught:
        run([*messages, {"to": [None], "subject": b"Hi", "html_content": nan}])

    problems = str(caught.value).splitlines()
    assert [problem.partition(":")[0] for problem in problems[:-1]] == [
        f"messages[{index}]" for index in (2, 3, 4, 5, 6, 6, 6)
    ]
    assert 'messages[2]: to: The address "carl" is malformed.' in problems[0]
    assert problems[1] == "messages[3]: It must be a mapping, not str."
    assert problems[2].startswith(
        "messages[4]: It has unknown keys: from, recipient. The fields are from_email, to, "
    )
    assert problems[4:-1] == [
        "messages[6]: to: A line of addresses must be text, not NoneType.",
        "messages[6]: subject: It must be text, not bytes.",
        "messages[6]: html_content: It must be text, not float nan.",
    ]
    assert problems[-1] == "Invalid messages: 5 of 7. No message was sent in this try."
    assert server.outbox == []


def test_about_a_hundred_problems_are_reported_at_most(server, run):
    with fails_permanently() as caught:
        run(to(*range(1000), subject="a\0b"))

    assert len(str(caught.value).splitlines()) == 101
    assert "Invalid messages: 100 of 100; the other 900 were not checked." in str(caught.value)
    assert server.outbox == []


def test_problems_with_the_connection_are_reported_once(run):
    with fails_for_now() as caught:
        run(numbered(100), smtp_conn_id="nowhere")

    assert str(caught.value).count("does not exist") == 1


@pytest.mark.parametrize("limit", ["messages_per_minute", "max_messages_per_connection"])
@pytest.mark.parametrize("most", [0, -1, "5", Decimal(5)])
def test_limit_that_is_not_a_positive_number_is_an_error_when_the_dag_is_parsed(limit, most):
    with pytest.raises(ValueError, match=re.escape(f"{limit} must be a positive number, not {most!r}.")):
        SendMailOperator(task_id="send", messages=[], **{limit: most})


@pytest.mark.parametrize("limit", ["messages_per_minute", "max_messages_per_connection"])
def test_limit_without_messages_is_an_error_when_the_dag_is_parsed(limit):
    with pytest.raises(ValueError, match=f"{limit} has an effect only on messages, which is not set"):
        SendMailOperator(task_id="send", to="bob@corp.test", **{limit: 5})


def test_safety_settings_apply_to_each_message(server, run, monkeypatch):
    monkeypatch.setenv("AIRFLOW__SMTP_CM__ALLOWED_RECIPIENT_DOMAINS", "corp.test")
    with fails_permanently(match=r"messages\[1\]: This Airflow must not send mail to eve@evil.test"):
        run([*to("ann"), {"to": "eve@evil.test"}])
    assert server.outbox == []

    monkeypatch.setenv("AIRFLOW__SMTP_CM__REDIRECT_ALL_TO", "dev@corp.test")
    run([*to("ann", "ben")])
    assert [received.recipients for received in server.outbox] == [("dev@corp.test",)] * 2


# --- failed messages


def test_other_messages_are_sent_and_the_failed_ones_are_named(postfix, certificates, define, run):
    define(to_postfix(postfix, certificates))
    ti = FakeTaskInstance(run_id="failed ones")
    with fails_permanently() as caught:
        run([*numbered(30), *to("refused"), *numbered(30)], ti=ti)

    result = ti.pushed["return_value"]
    (failure,) = result["failures"]
    assert (result["messages"], result["sent"], result["failed"]) == (61, 60, 1)
    assert (failure["index"], failure["state"], failure["recipients"]) == (30, "failed", ["refused@corp.test"])
    assert "550 5.1.1" in failure["reason"]
    assert str(caught.value).startswith("60 of 61 messages were sent, in ")
    assert f"1 cannot be delivered: messages[30] {failure['message_id']} to refused@corp.test: " in str(caught.value)


def test_error_names_some_failed_messages_and_the_log_names_all(define, run, caplog):
    with played(define, dialogue(*[NOBODY] * 8)), fails_permanently() as caught:
        run(numbered(8))

    assert str(caught.value).count("messages[") == 5
    assert "; and 3 more (see the log)." in str(caught.value)
    assert [f"Failed: messages[{index}] " in caplog.text for index in range(8)] == [True] * 8


def test_equal_reasons_and_what_to_do_about_them_are_reported_once(define, run, caplog):
    with SmtpTestServer(personality="exchange", send_as={}) as server, fails_permanently() as caught:
        define(server.airflow_connection())
        run(numbered(3))

    error = str(caught.value)
    assert error.count("550 5.7.60") == 1
    assert error.count("messages[") == 3
    assert error.count("The account may not use this sender") == 1
    assert "Send As" in error
    assert caplog.text.count("The account may not use this sender") == 1


def test_retry_sends_only_the_deferred_messages(define, run):
    messages = to("ann", "ben", "cleo", "dave")
    with played(define, dialogue(OK, LATER, NOBODY, OK), dialogue(LATER), dialogue(OK)) as peer:
        for _ in range(2):
            with pytest.raises(MessagesFailed, match=r"2 of 4 messages .* 1 were deferred: messages\[1\]") as caught:
                run(messages)
            assert caught.value.transient
        with fails_permanently(match=r"3 of 4 messages .* 1 cannot be delivered: messages\[2\]"):
            run(messages)
    assert recipients(peer) == ["ann", "ben", "cleo", "dave", "ben", "ben"]

    with fails_permanently(match=r"3 of 4 messages"):  # which needs no server
        run(messages)


@keeps_state
def test_retry_delay_is_that_of_the_reply_that_deferred_messages(define, run):
    with played(define, dialogue(OK, LATER)), pytest.raises(MessagesFailed) as caught:
        run(to("ann", "ben"))

    policy = SendMailOperator(task_id="send").retry_policy
    decision = policy.evaluate(caught.value, try_number=1, max_tries=3)
    assert (decision.action.value, decision.retry_delay.total_seconds()) == ("retry", 360)


@pytest.mark.parametrize(
    ("ti", "record", "outlook"),
    [
        (
            FakeTaskInstance(try_number=3, max_tries=3),
            True,
            "A retry sends only the messages that may still be delivered.",
        ),
        (
            FakeTaskInstance(try_number=4, max_tries=3),
            True,
            "No automatic retry follows. If the task is cleared, all messages are sent again, delivered or not.",
        ),
        (FakeTaskInstance(try_number=4, max_tries=3), False, "cleo@corp.test: 450 4.2.0 later."),
    ],
    ids=["last but one", "last", "without a record"],
)
def test_error_says_whether_a_retry_sends_the_deferred_messages(define, run, ti, record, outlook):
    with played(define, dialogue(OK, LATER)), pytest.raises(Exception) as caught:  # noqa: PT011 - compared below
        run(to("ann", "cleo"), ti=ti, record=record)

    assert str(caught.value).endswith(outlook)


def test_retry_sends_a_message_only_to_its_deferred_recipients(define, run):
    message = [{"to": "ann@corp.test; ben@corp.test; cleo@corp.test; dave@corp.test"}]
    partly = ("250 ok", "450 4.2.0 later", "550 5.1.1 nobody", "450 4.2.0 later", "250 ok")
    with played(define, dialogue(partly), dialogue(("250 ok", "450 4.2.0 later", "250 ok")), dialogue(OK)) as peer:
        for _ in range(2):
            with pytest.raises(MessagesFailed) as caught:
                run(message)
            assert caught.value.transient
        with fails_permanently(match=r"0 of 1 messages .* to cleo@corp\.test: 550 5\.1\.1 nobody"):
            run(message)

    assert recipients(peer)[4:] == ["ben", "dave", "dave"]


def test_all_or_nothing_applies_to_each_message(define, run):
    both = [{"to": "ann@corp.test; ben@corp.test"}]
    with played(define, dialogue(("250 ok", "450 4.2.0 later", None)), dialogue(("250 ok", *OK))) as peer:
        with pytest.raises(MessagesFailed):
            run(both, all_or_nothing=True)
        assert run(both, all_or_nothing=True)["sent"] == 1

    assert recipients(peer) == ["ann", "ben"] * 2


def test_without_a_record_the_task_is_not_retried_if_a_message_was_delivered(define, run):
    with played(define, dialogue(OK, LATER)), pytest.raises(AirflowFailException, match="1 of 2 messages were sent"):
        run(to("ann", "ben"), record=False)


def test_without_a_record_the_task_is_retried_if_no_message_was_delivered(define, run):
    with played(define, dialogue(LATER, LATER)), pytest.raises(MessagesFailed) as caught:
        run(to("ann", "ben"), record=False)

    assert caught.value.transient


def test_attachment_that_was_deleted_after_the_check_fails_only_its_message(server, run, tmp_path, monkeypatch):
    files = [tmp_path / f"{number}.csv" for number in range(3)]
    for file in files:
        file.write_text("x")
    monkeypatch.setattr("airflow_smtp_cm.task.delivery.items.Items.check", lambda *_: files[1].unlink())
    with fails_permanently(match=r"2 of 3 messages .* messages\[1\] .*1\.csv"):
        run([{"to": "ann@corp.test", "attachments": str(file)} for file in files])

    assert len(server.outbox) == 2


# --- the server or the network fails


def test_all_messages_are_left_to_the_retry_if_the_server_is_unavailable(define, run, store):
    define(anonymous(free_ports(1)[0]))
    with pytest.raises(ConnectError):
        run(numbered(3))

    assert store.writes == 0


def test_retry_sends_the_rest_after_the_server_closed_the_connection(define, run, server):
    closing = [expect("MAIL"), say("421 4.7.0 enough for now")]
    ti = FakeTaskInstance()
    with (
        # A new session ends at its first message; so does the next one, at the message after it.
        played(define, [*dialogue(OK, quits=False), *closing], *[[*HELLO, *closing]] * 2),
        pytest.raises(MessagesFailed, match=r"enough for now.* 1 of 50 messages were sent") as caught,
    ):
        run(numbered(50), ti=ti)
    assert caught.value.transient
    assert caught.value.code == 421
    result = ti.pushed["return_value"]
    assert (result["deferred"], result["not_sent"]) == (1, 48)

    define(server.airflow_connection())
    assert run(numbered(50))["sent"] == 50
    assert [received.recipients for received in server.outbox] == [(f"bob+{n}@corp.test",) for n in range(1, 50)]


LOST = [dialogue(OK, ("250 ok", reset()), quits=False), dialogue(OK)]


def test_uncertain_message_is_not_sent_again_but_others_are(define, run):
    with played(define, *LOST) as peer, fails_permanently(match=r"1 may have been delivered or not.* messages\[1\]"):
        run(to("ann", "ben", "cleo"))
    with fails_permanently(match=r"2 of 3 messages"):
        run(to("ann", "ben", "cleo"))

    assert recipients(peer) == ["ann", "ben", "cleo"]


def test_retry_sends_an_uncertain_message_again_with_resend(define, run):
    with played(define, *LOST, dialogue(OK)) as peer:
        with pytest.raises(MessagesFailed) as caught:
            run(to("ann", "ben", "cleo"), on_uncertain="resend")
        assert caught.value.transient
        assert run(to("ann", "ben", "cleo"), on_uncertain="resend")["sent"] == 3

    assert recipients(peer) == ["ann", "ben", "cleo", "ben"]


def test_uncertain_message_is_assumed_to_be_sent_with_assume_sent(define, run, caplog):
    with played(define, *LOST):
        result = run(to("ann", "ben", "cleo"), on_uncertain="assume_sent")

    assert (result["sent"], result["assumed_sent"]) == (3, 1)
    (assumed,) = [message for message in caplog.messages if message.startswith("Assumed sent: ")]
    assert re.match(r"Assumed sent: messages\[1\] <\S+>( to ben@corp\.test)?: The whole message ", assumed)


def test_log_has_how_many_messages_are_assumed_to_be_sent():
    counts = dict.fromkeys(State, 0) | {State.SENT: 2, State.ASSUMED_SENT: 1}
    result = MergeResult(messages=3, counts=counts, failures=(), seconds=0.5)

    assert str(result) == "3 of 3 messages were sent (1 of them without a final reply), in 0.5 s."


# --- the worker is killed


@pytest.mark.parametrize("on_uncertain", ["fail", "resend", "assume_sent"])
@pytest.mark.parametrize("writes", [0, 1, 2, 3, 6, 9, 12])
def test_retry_continues_where_the_killed_worker_ended(postfix, certificates, define, writes, on_uncertain):
    """No message is lost, and only uncertain ones are sent twice, with resend, whenever the worker is killed."""
    define(to_postfix(postfix, certificates))
    store, ti = Store(), FakeTaskInstance(run_id=f"killed {writes} {on_uncertain}")
    messages = to(*["bob"] * 200)

    def attempt():
        operator = SendMailOperator(task_id="send", messages=messages, on_uncertain=on_uncertain)
        return operator.execute({"ti": ti, "task_state_store": store})

    store.writes_left = writes
    with pytest.raises(Killed):
        attempt()
    store.writes_left = None
    uncertain = recorded_states(store, 200).count(State.SENDING)
    assert uncertain <= MOST_UNCERTAIN
    if on_uncertain == "fail" and uncertain:
        with fails_permanently(match=f"{uncertain} may have been delivered or not"):
            attempt()
        result = ti.pushed["return_value"]
        assert (result["sent"], result["uncertain"]) == (200 - uncertain, uncertain)
        assert len(result["failures"]) == uncertain
    else:
        assert attempt()["sent"] == 200

    postfix.wait_until_idle()
    copies = postfix.copies("bob")
    ours = message_ids_of(len(messages), ti)
    counts = [copies[message_id] for message_id in ours]
    assert sum(count != 1 for count in counts) <= uncertain
    assert max(counts) <= (2 if on_uncertain == "resend" else 1)
    if on_uncertain == "resend":
        assert min(counts) >= 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_after_an_interruption_only_messages_in_flight_are_uncertain(
    postfix, certificates, define, store, interrupt_after, error
):
    """For example by the execution_timeout. The record has the outcomes up to the interruption."""
    define(to_postfix(postfix, certificates))
    interrupt_after(50, error)
    ti = FakeTaskInstance(run_id=f"interrupted by {error.__name__}")
    operator = SendMailOperator(task_id="send", messages=to(*["bob"] * 200), on_uncertain="assume_sent")
    with pytest.raises(error):
        operator.execute({"ti": ti, "task_state_store": store})
    states = recorded_states(store, 200)
    assert states[:50] == bytes([State.SENT]) * 50
    assert 0 < states.count(State.SENDING) <= MOST_UNCERTAIN
    assert states.count(State.SENT) + states.count(State.SENDING) + states.count(State.WAITING) == 200

    result = operator.execute({"ti": ti, "task_state_store": store})
    assert (result["sent"], result["assumed_sent"]) == (200, states.count(State.SENDING))
    postfix.wait_until_idle()
    copies = postfix.copies("bob")
    counts = [copies[message_id] for message_id in message_ids_of(200, ti)]
    assert {count for count, state in zip(counts, states, strict=True) if state != State.SENDING} == {1}
    assert max(counts) == 1


def test_record_is_written_once_for_a_group_of_messages(postfix, certificates, define, run, store, monkeypatch):
    """As long as the server is fast."""
    monkeypatch.setattr("airflow_smtp_cm.task.delivery.window.time", Clock())
    define(to_postfix(postfix, certificates))
    run(to(*["bob"] * 400), ti=FakeTaskInstance(run_id="writes"))

    assert store.writes < 400 / GROUP + 10


def test_outcomes_of_slow_messages_are_recorded_at_once(define, run, store, monkeypatch):
    """No message is uncertain while the task waits for the next."""
    clock = Clock()
    seen = []

    def sleep(seconds):
        clock.now += seconds
        seen.append(recorded_states(store, 4).count(State.SENDING))

    clock.sleep = sleep
    for module in ("smtp.bulk", "smtp.client", "task.delivery.window"):
        monkeypatch.setattr(f"airflow_smtp_cm.{module}.time", clock)
    with played(define, dialogue(OK, OK, OK, OK)):
        run(numbered(4), messages_per_minute=30)

    assert seen == [0, 0, 0]


def test_cleared_task_sends_all_messages_again_with_new_message_ids(server, run):
    run(numbered(3))
    run(numbered(3), ti=FakeTaskInstance(max_tries=4))

    assert len({received.message["Message-ID"] for received in server.outbox}) == 6


@pytest.mark.usefixtures("server")
def test_only_try_reads_and_writes_no_record(run, store):
    assert run(numbered(3), ti=FakeTaskInstance(try_number=1, max_tries=0))["sent"] == 3
    assert store.calls == []


BEYOND_THE_LAST = FakeTaskInstance(try_number=2, max_tries=0)  # see ``task.state_store``


def test_messages_are_uncertain_after_a_try_without_a_record(server, run):
    with fails_permanently(match=r"2 may have been delivered or not, .*: An earlier try may have sent the"):
        run(to("ann", "ben"), ti=BEYOND_THE_LAST)

    assert server.outbox == []


@pytest.mark.parametrize(("on_uncertain", "assumed", "sent"), [("resend", 0, 2), ("assume_sent", 2, 0)])
def test_on_uncertain_applies_to_all_messages_after_a_try_without_a_record(server, run, on_uncertain, assumed, sent):
    result = run(to("ann", "ben"), ti=BEYOND_THE_LAST, on_uncertain=on_uncertain)

    assert (result["sent"], result["assumed_sent"], len(server.outbox)) == (2, assumed, sent)


def test_messages_that_an_earlier_try_settled_are_not_uncertain_after_a_try_without_a_record(define, run):
    with played(define, dialogue(OK, NOBODY, LATER)), pytest.raises(MessagesFailed):
        run(numbered(3), ti=FakeTaskInstance(try_number=1, max_tries=1))

    ti = FakeTaskInstance(try_number=3, max_tries=1)
    with fails_permanently(match="1 may have been delivered or not"):
        run(numbered(3), ti=ti)
    result = ti.pushed["return_value"]
    assert (result["sent"], result["failed"], result["uncertain"]) == (1, 1, 1)


def test_uncertain_message_after_a_try_without_a_record_names_those_who_have_it(define, run):
    message = [{"to": "ann@corp.test; ben@corp.test"}]
    with played(define, dialogue(("250 ok", *LATER[:1], OK[1]))), pytest.raises(MessagesFailed):
        run(message, ti=FakeTaskInstance(try_number=1, max_tries=1))

    with fails_permanently(match=r"kept no record; the record before has that ann@corp\.test got it"):
        run(message, ti=FakeTaskInstance(try_number=3, max_tries=1))


@pytest.mark.parametrize("other", [numbered(3), numbered(5), list(reversed(numbered(4)))])
def test_messages_that_differ_from_the_earlier_try_are_not_sent(define, run, server, other):
    with played(define, dialogue(OK, OK, OK, LATER)), pytest.raises(MessagesFailed):
        run(numbered(4))
    define(server.airflow_connection())
    with fails_permanently(match=r"They are not those of an earlier try of this task: the number \(then 4\), "):
        run(other)

    assert server.outbox == []


def test_fields_other_than_the_recipients_may_differ_from_the_earlier_try(define, run, server):
    """For example, a subject that contains the number of the try."""
    with played(define, dialogue(OK, LATER)), pytest.raises(MessagesFailed):
        run(to("ann", "ben", subject="Try 1"))
    define(server.airflow_connection())

    assert run(to("ann", "ben", subject="Try 2"))["sent"] == 2
    assert len(server.outbox) == 1


# --- the record


def test_record_of_a_hundred_thousand_messages_is_below_airflows_limit():
    """This also holds for a random mixture of states and the greatest number of failures."""
    store, count, chance = Store(), 100_000, random.Random(1)
    record = TaskRecord({"ti": FakeTaskInstance(), "task_state_store": store}, durable=True)
    ledger = Ledger(record, count, "0" * 64)
    ledger.begin()
    ledger._window.size = GROUP  # as in a fast dialogue
    ledger._states[:] = bytes([State.SENDING]) * count
    for index in range(count):
        event = chance.choice([Event.ACCEPTED, Event.DEFERRED, Event.REJECTED, None])
        if event is None:
            continue
        addresses = [f"somebody-of-some-name-{index}-{other}@customer{index}.example" for other in range(2)]
        result = SendResult(
            message_id=f"<{chance.getrandbits(128):032x}@corp.example>",
            accepted=(addresses[0],),
            refused=(
                Refusal(addresses[1], Reply(450, (f"4.2.0 <{addresses[1]}>: Recipient address rejected: later",))),
            ),
            reply=Reply(250, (f"2.0.0 Ok: queued as {chance.getrandbits(40):X}",)),
            size=chance.randrange(100_000),
            seconds=chance.random(),
        )
        failure = Failure(
            index=index,
            state=after(State.SENDING, event),
            message_id=result.message_id,
            recipients=(addresses[1],),
            reason=f"mail.corp.example:587 refused 1 of 1 recipients: {addresses[1]}: 550 5.1.1 User unknown" * 5,
        )
        partly = event is Event.DEFERRED and ledger.has_room_for_result(index)
        ledger.settle(
            index,
            event,
            result=result if partly else None,
            failure=failure if event is not Event.ACCEPTED else None,
        )
    ledger.mark_unsent(0)
    ledger.save()

    assert len(store.kept[KEY]) < LIMIT
    again = Ledger(record, count, "0" * 64)
    assert again.summary().as_json() == ledger.summary().as_json() | {"seconds": ANY}
    assert len(again.results) == 100
    assert {index: result.as_json() for index, result in again.results.items()} == {
        index: result.as_json() for index, result in ledger.results.items()
    }
    with pytest.raises(InvalidMessage):
        Ledger(record, count, "1" * 64)


@pytest.mark.usefixtures("server")
def test_record_of_messages_that_were_sent_is_small(run, store):
    run(numbered(300))

    assert len(store.kept[KEY]) < 300


@pytest.mark.parametrize("writes_left", [0, 1])
def test_no_further_message_is_sent_after_an_error_of_the_store(define, run, store, writes_left):
    """Else a retry would send it again. Messages that were sent before are recorded."""
    store.writes_left, store.fault = writes_left, OSError("the supervisor is gone")
    not_sent = [expect("MAIL"), say("250 ok"), expect("RCPT"), say("250 ok"), expect("DATA"), say("354 go on")]
    with (
        played(define, [*dialogue(*[OK] * writes_left, quits=False), *not_sent, wait_for_close()]) as peer,
        pytest.raises(SmtpError, match="so nothing more is sent") as raised,
    ):
        run(numbered(10))

    assert raised.value.transient
    assert len(recipients(peer)) == writes_left + 1
    assert peer.received.count(b"\r\nMessage-ID: ") == writes_left


# --- the log


def test_progress_is_logged_at_intervals(monkeypatch, caplog):
    clock = Clock()
    monkeypatch.setattr("airflow_smtp_cm.task.delivery.progress.time", clock)
    caplog.set_level("INFO")
    progress = Progress(200, 10_000)
    for _ in range(4_000):
        clock.now += 1 / 64
        progress.one_more()

    assert caplog.messages == [
        "SendMailTaskInfo: 1,160 of 10,000 messages, 64 a second, 2 min 18 s left.",
        "SendMailTaskInfo: 2,120 of 10,000 messages, 64 a second, 2 min 3 s left.",
        "SendMailTaskInfo: 3,080 of 10,000 messages, 64 a second, 1 min 48 s left.",
        "SendMailTaskInfo: 4,040 of 10,000 messages, 64 a second, 1 min 33 s left.",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (200_000, "55 h 33 min")]
)
def test_remaining_time_is_logged_in_hours_minutes_and_seconds(seconds, words):
    assert _duration(seconds) == words
