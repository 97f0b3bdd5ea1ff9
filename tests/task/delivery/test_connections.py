"""Many messages of a task over several connections: record, order, retries and limits hold as with one."""

from __future__ import annotations

import threading

import pytest

from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import RecordError
from airflow_smtp_cm.smtp.group_limits import GROUP
from airflow_smtp_cm.task.delivery.items import Items
from airflow_smtp_cm.task.delivery.result import MessagesFailed
from airflow_smtp_cm.task.delivery.states import State
from airflow_smtp_cm.testing import SmtpTestServer
from tests.connections import anonymous, to_postfix
from tests.failing import fails_permanently
from tests.operators.test_send_mail import FakeTaskInstance
from tests.servers.processes import PATIENCE_SECONDS
from tests.servers.sessions import CLOSE, sessions, together
from tests.smtp.clock import Clock
from tests.task.delivery.records import message_ids_of, recorded_states
from tests.task.delivery.stores import Killed, Store

CONNECTIONS = 4
TOO_MANY = "421 4.3.2 The maximum number of concurrent connections has exceeded a limit"


def numbered(count):
    return [{"to": f"bob+{number}@corp.test"} for number in range(count)]


def to_bob(count):
    return [{"to": "bob@corp.test"}] * count


@pytest.fixture
def run(store):
    """Return a function that runs a try of a task, with the record of earlier tries."""

    def run(messages, *, ti=None, connections=CONNECTIONS, **fields):
        operator = SendMailOperator(task_id="send", messages=messages, connections=connections, **fields)
        return operator.execute({"ti": ti or FakeTaskInstance(), "task_state_store": store})

    return run


# --- the argument


@pytest.mark.parametrize("connections", [0, -1, 2.5, "4", True])
def test_number_that_is_not_a_positive_integer_is_an_error_when_the_dag_is_parsed(connections):
    with pytest.raises(ValueError, match=r"connections must be a positive integer, not "):
        SendMailOperator(task_id="send", messages=[], connections=connections)


def test_connections_without_messages_are_an_error_when_the_dag_is_parsed():
    with pytest.raises(ValueError, match="connections has an effect only on messages, which is not set"):
        SendMailOperator(task_id="send", to="bob@corp.test", connections=2)


@pytest.mark.parametrize("connections", [None, 1])
def test_none_and_one_are_the_default(connections):
    assert SendMailOperator(task_id="send", to="bob@corp.test", connections=connections).connections == 1


# --- the outcome


def test_messages_are_sent_over_as_many_connections(define, run):
    with sessions(together(CONNECTIONS)) as server:
        define(anonymous(server.port))
        assert run(numbered(CONNECTIONS))["sent"] == CONNECTIONS

    assert server.by == dict.fromkeys(range(1, CONNECTIONS + 1), 1)


@pytest.mark.parametrize("messages", [1, 2])
def test_no_more_connections_are_opened_than_messages_are_sent(define, run, messages):
    with sessions() as server:
        define(anonymous(server.port))
        assert run(numbered(messages), connections=8)["sent"] == messages

    assert server.sessions <= messages


def test_login_is_that_of_each_connection(define, run):
    with SmtpTestServer(users={"CORP\\alice": "secret"}, personality="exchange") as server:
        define(server.airflow_connection())
        assert run(numbered(20))["sent"] == 20

    assert len(server.outbox) == 20


def test_refused_login_fails_the_task_before_anything_is_sent(define, run):
    with SmtpTestServer(users={"CORP\\alice": "secret"}, personality="exchange") as server:
        define(server.airflow_connection(password="wrong"))
        with fails_permanently(match="Cannot log in|refused"):
            run(numbered(20))
        assert server.outbox == []


def test_with_the_limit_of_exchange_fewer_connections_send_all(define, run):
    with SmtpTestServer(personality="exchange", max_inbound_connection_per_source=2) as server:
        define(server.airflow_connection())
        assert run(numbered(20))["sent"] == 20

    assert len(server.outbox) == 20


def test_failures_are_in_the_order_of_the_messages(define, run):
    """Also if the first one is the last to fail."""
    others_failed = threading.Semaphore(0)

    def reply(session, word):
        if word != "RCPT":
            return None
        if session == 1 and not seen:
            seen.append(word)
            for _ in range(5):
                assert others_failed.acquire(timeout=PATIENCE_SECONDS)
        else:
            others_failed.release()
        return "550 5.1.1 nobody"

    seen = []
    ti = FakeTaskInstance()
    with sessions(reply) as server, fails_permanently():
        define(anonymous(server.port))
        run(numbered(8), ti=ti, connections=2)

    assert [failure["index"] for failure in ti.pushed["return_value"]["failures"]] == list(range(8))


# --- the record


def test_message_of_a_broken_connection_is_uncertain_and_a_retry_sends_the_rest(define, run):
    """Both connections end in the first try."""
    both = together(2)

    def reply(session, word):
        if session > 2:
            return TOO_MANY
        both(session, word)
        return CLOSE if word == "content" and server.by[session] == 4 else None

    with sessions(reply) as server:
        define(anonymous(server.port))
        with pytest.raises(MessagesFailed, match=r"8 of 40 messages were sent.* 2 may have been delivered") as caught:
            run(numbered(40), connections=2)
        assert caught.value.transient
        assert server.delivered.total() == 8

        server.reply = lambda *_: None
        ti = FakeTaskInstance()
        with fails_permanently(match="38 of 40 messages were sent"):
            run(numbered(40), ti=ti)
    result = ti.pushed["return_value"]
    assert (result["sent"], result["uncertain"]) == (38, 2)
    assert set(server.delivered.values()) == {1}
    assert len(server.delivered) == 38


@pytest.mark.parametrize("on_uncertain", ["fail", "resend", "assume_sent"])
@pytest.mark.parametrize("writes", [0, 1, 4, 9])
def test_retry_continues_where_the_killed_worker_ended(postfix, certificates, define, writes, on_uncertain):
    define(to_postfix(postfix, certificates))
    store, ti = Store(), FakeTaskInstance(run_id=f"connections, killed {writes} {on_uncertain}")

    def attempt():
        operator = SendMailOperator(
            task_id="send", messages=to_bob(200), connections=CONNECTIONS, on_uncertain=on_uncertain
        )
        return operator.execute({"ti": ti, "task_state_store": store})

    store.writes_left = writes
    with pytest.raises(Killed):
        attempt()
    store.writes_left = None
    uncertain = recorded_states(store, 200).count(State.SENDING)
    assert uncertain <= CONNECTIONS * 2 * GROUP
    if on_uncertain == "fail" and uncertain:
        with fails_permanently(match=f"{uncertain} may have been delivered or not"):
            attempt()
        assert ti.pushed["return_value"]["sent"] == 200 - uncertain
    else:
        assert attempt()["sent"] == 200

    postfix.wait_until_idle()
    copies = postfix.copies("bob")
    counts = [copies[message_id] for message_id in message_ids_of(200, ti)]
    assert sum(count != 1 for count in counts) <= uncertain
    assert max(counts) <= (2 if on_uncertain == "resend" else 1)
    if on_uncertain == "resend":
        assert min(counts) >= 1


@pytest.fixture
def open_from_the_start(monkeypatch):
    """The client of a task has its further connections before it sends: each holds messages, whichever is faster."""
    get_conn = SmtpCmHook.get_conn

    def opened(hook):
        client = get_conn(hook)
        client.further += [client.open_another() for _ in range(CONNECTIONS - 1)]
        return client

    monkeypatch.setattr(SmtpCmHook, "get_conn", opened)


@pytest.mark.usefixtures("open_from_the_start")
def test_after_an_interruption_the_record_has_the_outcomes_up_to_it(
    postfix, certificates, define, store, interrupt_after
):
    define(to_postfix(postfix, certificates))
    interrupt_after(50, KeyboardInterrupt)
    ti = FakeTaskInstance(run_id="connections, interrupted")
    operator = SendMailOperator(
        task_id="send", messages=to_bob(200), connections=CONNECTIONS, on_uncertain="assume_sent"
    )
    with pytest.raises(KeyboardInterrupt):
        operator.execute({"ti": ti, "task_state_store": store})
    states = recorded_states(store, 200)
    assert states.count(State.SENT) == 50
    assert 0 < states.count(State.SENDING) <= CONNECTIONS * 2 * GROUP
    assert set(states) == {State.SENT, State.SENDING, State.WAITING}

    result = operator.execute({"ti": ti, "task_state_store": store})
    assert (result["sent"], result["assumed_sent"]) == (200, states.count(State.SENDING))
    postfix.wait_until_idle()
    copies = postfix.copies("bob")
    counts = [copies[message_id] for message_id in message_ids_of(200, ti)]
    assert {count for count, state in zip(counts, states, strict=True) if state != State.SENDING} == {1}
    assert max(counts) == 1


def test_record_is_written_as_rarely_as_with_one_connection(define, run, store, monkeypatch):
    """As long as the server is fast, once for a group of messages."""
    monkeypatch.setattr("airflow_smtp_cm.task.delivery.window.time", Clock())
    with sessions(extensions=("PIPELINING",)) as server:
        define(anonymous(server.port))
        run(numbered(400))

    assert store.writes < 400 / GROUP + 10


def test_of_slow_messages_only_those_that_are_sent_are_recorded_as_sending(define, run, store, monkeypatch):
    """Not those that a connection holds ready. Each outcome is recorded at once."""
    monkeypatch.setattr("airflow_smtp_cm.task.delivery.window.time", Clock(tick=1))
    most = []
    replies = together(2)

    def reply(session, word):
        replies(session, word)
        if word == "content":
            most.append(recorded_states(store, 12).count(State.SENDING))

    with sessions(reply) as server:
        define(anonymous(server.port))
        assert run(numbered(12), connections=2)["sent"] == 12

    assert max(most) == 2
    assert store.writes >= 2 * 12 - 2


def test_no_further_message_is_sent_after_an_error_of_the_store(define, run, store):
    store.writes_left, store.fault = 0, OSError("the supervisor is gone")
    with sessions() as server:
        define(anonymous(server.port))
        with pytest.raises(RecordError, match="so nothing more is sent: the supervisor is gone"):
            run(numbered(40))

    assert server.delivered == {}


def test_message_that_cannot_be_composed_is_deferred_while_another_connection_sends(define, run, store, monkeypatch):
    """It is not recorded as being sent together with the message of the other connection."""
    monkeypatch.setattr("airflow_smtp_cm.task.delivery.window.time", Clock())
    second_is_handed, third_failed = threading.Event(), threading.Event()

    def reply(session, word):
        if (session, word) == (1, "content"):
            assert second_is_handed.wait(PATIENCE_SECONDS)
        if (session, word) == (2, "RCPT"):
            second_is_handed.set()
            assert third_failed.wait(PATIENCE_SECONDS)

    def compose(self, index, hook):
        if index == 2:
            checked.append(index)
            if len(checked) == 2:
                third_failed.set()
                raise FileNotFoundError("deleted")
        return real_compose(self, index, hook)

    checked, real_compose = [], Items.compose
    monkeypatch.setattr(Items, "compose", compose)
    with sessions(reply) as server:
        define(anonymous(server.port))
        with pytest.raises(MessagesFailed, match=r"1 were deferred: .*deleted") as caught:
            run(numbered(3), connections=2)

    assert caught.value.transient
    assert recorded_states(store, 3) == bytes([State.SENT, State.SENT, State.DEFERRED])
