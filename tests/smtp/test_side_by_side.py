"""Many messages over several connections at once: each is sent once, whatever becomes of a connection."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from airflow_smtp_cm.smtp.bulk import Pace
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.connection_thread import Connection
from airflow_smtp_cm.smtp.errors import ConnectError, DeliveryUncertain, Refused
from airflow_smtp_cm.smtp.group_limits import GROUP
from airflow_smtp_cm.smtp.result import SendResult
from airflow_smtp_cm.smtp.settings import Settings
from airflow_smtp_cm.smtp.side_by_side import send_each
from tests.servers.processes import LOOPBACK, PATIENCE_SECONDS, wait_until
from tests.servers.sessions import CLOSE, sessions, together
from tests.smtp.clock import Clock
from tests.smtp.outgoing import Note, RecordedNote

TOO_MANY = "421 4.3.2 The maximum number of concurrent connections has exceeded a limit"
OFFERS = {"one by one": (), "DATA": ("PIPELINING",)}


@pytest.fixture(params=OFFERS)
def offer(request):
    """The extensions of the server."""
    return OFFERS[request.param]


def opened(server):
    return SmtpClient.open(Settings(host=LOOPBACK, port=server.port, ehlo_name="me.test"))


def send_all(server, notes, connections, **options):
    with opened(server) as client:
        return list(client.send_all(notes, connections=connections, **options))


def collect(server, notes, connections):
    """Return the outcomes before the error that ends the iteration, and the error."""
    outcomes = []
    with opened(server) as client:
        try:
            for outcome in client.send_all(notes, connections=connections):
                outcomes.append(outcome)  # noqa: PERF402 - those before the error
        except Exception as error:  # noqa: BLE001 - returned
            return outcomes, error
    raise AssertionError("no error ended the iteration")


def numbered(count):
    return [Note() for _ in range(count)]


def threads_of_connections():
    return [thread for thread in threading.enumerate() if thread.name == "airflow_smtp_cm connection"]


@pytest.fixture
def answers(monkeypatch):
    """The answers to the connections' requests for a message; None: there is none now."""
    answers, ask = [], Connection.ask

    def recorded(connection, function=None):
        answer = ask(connection, function)
        if function is None:
            answers.append(answer)
        return answer

    monkeypatch.setattr(Connection, "ask", recorded)
    return answers


def ids(notes):
    return [note.message_id for note in notes]


def once(notes):
    return dict.fromkeys(ids(notes), 1)


# --- at the same time


def test_all_connections_wait_for_a_final_reply_at_the_same_time(offer):
    notes = numbered(4)
    with sessions(together(4), offer) as server:
        outcomes = send_all(server, notes, 4)

    assert [outcome.message_id for outcome in outcomes] == ids(notes)
    assert server.delivered == once(notes)
    assert server.by == dict.fromkeys((1, 2, 3, 4), 1)


def test_the_last_messages_are_left_to_the_connections_without_any(offer):
    """While one waits for a final reply, the others send what it would only hold ready."""
    notes = numbered(8)
    half_is_left, second_waits, others_are_done = (threading.Event() for _ in range(3))

    def reply(session, word):
        if (session, word) == (2, "greeting"):
            assert half_is_left.wait(PATIENCE_SECONDS)
        elif (session, word) == (2, "content"):
            second_waits.set()
            assert others_are_done.wait(PATIENCE_SECONDS)
        elif word == "content" and server.by[1] == 3:
            half_is_left.set()
            assert second_waits.wait(PATIENCE_SECONDS)
        elif word == "content" and server.by[1] == 6:
            others_are_done.set()

    with sessions(reply, offer) as server:
        assert len(send_all(server, notes, 2)) == len(notes)

    assert server.by == {1: 7, 2: 1}


def test_while_a_connection_is_opened_the_others_hold_no_message_ready(answers):
    """It is left those that they would hold."""
    notes = numbered(9)

    def reply(session, word):
        if (session, word) == (2, "greeting") or (word == "content" and server.by.total() == 0):
            assert wait_until(lambda: len(answers) >= 2)

    with sessions(reply, ("PIPELINING",)) as server:
        send_all(server, notes, 2)

    assert answers[:2] == [notes[0], None]
    assert server.delivered == once(notes)


def test_outcomes_are_in_the_order_of_the_messages(offer):
    """Also if the server takes longest for the first one."""
    notes = numbered(12)
    others = threading.Semaphore(0)

    def reply(session, word):
        if word == "content" and session > 1:
            others.release()
        if word == "content" and session == 1 and server.by[1] == 0:
            for _ in range(6):
                assert others.acquire(timeout=PATIENCE_SECONDS)

    with sessions(reply, offer) as server:
        outcomes = send_all(server, notes, 3)

    assert [outcome.message_id for outcome in outcomes] == ids(notes)


def test_each_outcome_is_yielded_as_soon_as_it_is_known():
    notes = numbered(6)
    seen = []
    first_waits, others_are_seen = threading.Event(), threading.Event()

    def reply(session, word):
        if word == "greeting" and session == 2:
            assert first_waits.wait(PATIENCE_SECONDS)
        elif word == "content" and session == 1:
            first_waits.set()
            assert others_are_seen.wait(PATIENCE_SECONDS)

    limits = {"all_or_nothing": False, "messages_per_minute": None, "max_messages_per_connection": None}
    with sessions(reply) as server, opened(server) as client:
        for number, outcome in send_each(client, notes, connections=2, **limits):
            assert outcome.message_id == notes[number].message_id
            seen.append(number)
            if len(seen) == len(notes) - 1:
                others_are_seen.set()

    assert seen == [1, 2, 3, 4, 5, 0]


@pytest.mark.parametrize("count", [0, 1])
def test_no_more_connections_are_opened_than_there_are_messages(answers, count):
    """The next one is opened before it is known that no message is left for it."""

    def reply(session, word):
        if (session, word) == (2, "greeting"):
            assert wait_until(lambda: len(answers) > count)

    with sessions(reply) as server:
        assert len(send_all(server, numbered(count), 8)) == count
    assert server.sessions <= count + 2


def test_further_connections_are_used_again_and_end_with_the_client():
    quits = []

    def reply(session, word):
        both(session, word)
        if word == "QUIT":
            quits.append(session)

    both = together(2)
    with sessions(reply) as server:
        with opened(server) as client:
            for _ in range(3):
                assert len(list(client.send_all(numbered(4), connections=2))) == 4
            assert server.open == 2
        assert sorted(quits) == [1, 2]
    assert server.sessions == 2


@pytest.mark.parametrize("connections", [0, -1, 2.0, "4", None])
def test_number_that_is_not_a_positive_integer_is_rejected(connections):
    with sessions() as server, pytest.raises(ValueError, match=r"connections must be a positive integer, not"):
        send_all(server, numbered(1), connections)


# --- the server accepts fewer, or a connection ends


def test_with_a_server_that_accepts_two_connections_these_send_all(offer, caplog):
    notes = numbered(8)

    def reply(session, word):
        if (session, word) == (3, "greeting"):
            return TOO_MANY
        if word == "content":
            assert wait_until(lambda: "No further connection" in caplog.text)
        return None

    with sessions(reply, offer) as server:
        outcomes = send_all(server, notes, 8)

    assert [outcome.message_id for outcome in outcomes] == ids(notes)
    assert server.delivered == once(notes)
    assert server.sessions == 3  # no further one is tried
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("No further connection can be opened: 2 of 8 connections are used now, because of this")
    assert TOO_MANY in warning


def test_if_the_second_connection_is_refused_the_first_sends_all(caplog):
    notes = numbered(8)

    def reply(_, word):
        if word == "content":
            assert wait_until(lambda: "No further connection" in caplog.text)

    with sessions(reply) as server, opened(server) as client:
        server.shutdown()  # the open session goes on
        server.socket.close()
        outcomes = list(client.send_all(notes, connections=4))

    assert [outcome.message_id for outcome in outcomes] == ids(notes)
    assert "1 of 4 connections are used now" in caplog.text
    assert "Connection refused" in caplog.text


def test_error_that_no_retry_helps_ends_the_iteration_after_the_outcomes_of_the_others():
    """As a refused login does: it must not be tried again and again."""
    notes = numbered(40)

    def reply(session, word):
        if (session, word) == (2, "greeting"):
            return "554 5.7.1 not from here"
        if word == "content":
            assert wait_until(lambda: (server.sessions, len(threads_of_connections())) == (2, 1))
        return None

    with sessions(reply) as server:
        outcomes, error = collect(server, notes, 4)

    assert isinstance(error, Refused)
    assert "554 5.7.1" in str(error)
    assert server.sessions == 2
    assert [outcome.message_id for outcome in outcomes] == ids(notes[: len(outcomes)])
    assert server.delivered == once(notes[: len(outcomes)])
    assert len(outcomes) < len(notes)


def test_messages_of_a_connection_that_breaks_are_sent_by_the_others(offer, caplog):
    """Only the one without a final reply is uncertain."""
    notes = numbered(20)
    both_wait = threading.Event()
    both = threading.Barrier(2, action=both_wait.set)

    def reply(session, word):
        if session > 2:
            return TOO_MANY
        if word == "content":
            if not both_wait.is_set():
                both.wait(PATIENCE_SECONDS)
            if session == 2:
                return CLOSE
            assert wait_until(lambda: "A connection has ended" in caplog.text)
        return None

    with sessions(reply, offer) as server:
        outcomes = send_all(server, notes, 2)

    (uncertain,) = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, DeliveryUncertain)]
    assert notes[uncertain].message_id in str(outcomes[uncertain])
    sent = [note for number, note in enumerate(notes) if number != uncertain]
    assert server.delivered == once(sent)
    assert [outcome.message_id for outcome in outcomes if isinstance(outcome, SendResult)] == ids(sent)
    assert "A connection has ended: 1 of 2 connections are used now" in caplog.text


def test_a_connection_without_messages_waits_for_those_of_one_that_breaks():
    """The last messages, too, are sent by the connections that are left."""
    notes = numbered(4)
    second_has_one, first_is_done = threading.Event(), threading.Event()

    def reply(session, word):
        if session > 2:
            return TOO_MANY
        if (session, word) == (1, "content"):
            assert second_has_one.wait(PATIENCE_SECONDS)
            if server.by[1] == 2:
                first_is_done.set()  # three messages have an outcome, and the second connection has the other
        if (session, word) == (2, "MAIL"):
            second_has_one.set()
            assert first_is_done.wait(PATIENCE_SECONDS)
        if (session, word) == (2, "RCPT"):
            return "421 4.3.2 bye"
        return None

    with sessions(reply) as server:
        outcomes = send_all(server, notes, 2)

    # A session that ends at its first message may have ended because of it.
    (refused,) = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Refused)]
    assert server.delivered == once([note for note in notes if note is not notes[refused]])


def test_if_all_connections_end_the_error_is_raised_and_the_outcomes_stay_in_order():
    notes = numbered(30)
    both = together(2)

    def reply(session, word):
        if session > 2:
            return TOO_MANY
        both(session, word)
        return CLOSE if word == "content" and server.by[session] == 3 else None

    with sessions(reply) as server:
        outcomes, error = collect(server, notes, 2)

    assert TOO_MANY in str(error)
    for note, outcome in zip(notes, outcomes, strict=False):
        if isinstance(outcome, SendResult):
            assert outcome.message_id == note.message_id
        elif isinstance(outcome, DeliveryUncertain):
            assert note.message_id in str(outcome)
    kinds = [type(outcome) for outcome in outcomes]
    assert (kinds.count(SendResult), kinds.count(DeliveryUncertain)) == (6, 2)
    assert server.delivered.total() == 6


# --- the caller's thread


def test_messages_and_their_records_are_those_of_the_callers_thread():
    """So neither needs to be thread-safe, and each is done by one at a time."""
    threads = set()

    class Watched(RecordedNote):
        def record_sending(self, recipients, size):
            del recipients, size
            threads.add(threading.get_ident())

    def notes():
        for _ in range(20):
            threads.add(threading.get_ident())
            yield Watched()

    with sessions(together(4)) as server:
        assert len(send_all(server, notes(), 4)) == 20
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("raised", [LookupError("no more rows"), ConnectError("no server")], ids=type)
def test_error_of_the_iterator_is_raised_after_the_outcomes(raised):
    """Also one of a session that is not one of these."""
    given = numbered(7)

    def notes():
        yield from given
        raise raised

    with sessions() as server:
        outcomes, error = collect(server, notes(), 3)

    assert error is raised
    assert [outcome.message_id for outcome in outcomes] == ids(given)


def test_after_an_error_of_the_record_no_further_message_is_handed_out():
    taken = []

    class Full(RecordedNote):
        def record_sending(self, recipients, size):
            del recipients, size
            raise RuntimeError("the disk is full")

    def notes():
        for number in range(100):
            taken.append(number)
            yield Full()

    with sessions() as server, pytest.raises(RuntimeError, match="the disk is full"):
        send_all(server, notes(), 3)
    assert server.delivered == {}
    assert len(taken) <= 6


def test_if_the_caller_stops_the_connections_are_broken_and_the_client_can_be_used():
    notes, has_stopped = numbered(100), threading.Event()

    def reply(_, word):
        if word == "content" and server.by.total() >= 3 and notes[0].message_id in server.delivered:
            assert has_stopped.wait(PATIENCE_SECONDS)

    with sessions(reply, ("PIPELINING",)) as server, opened(server) as client:
        with closing(client.send_all(notes, connections=3)) as outcomes:
            next(outcomes)
        assert wait_until(lambda: not threads_of_connections())
        has_stopped.set()
        assert isinstance(client.send(Note()), SendResult)


@pytest.mark.parametrize("where", ["iterator", "record", "loop"])
def test_an_interruption_of_the_caller_ends_the_threads(where):
    """Such as the exception of execution_timeout, which a signal raises."""
    recorded, sent = [], []

    class Interrupted(RecordedNote):
        def record_sending(self, recipients, size):
            recorded.append((recipients, size))
            if where == "record" and len(recorded) == 6:
                raise KeyboardInterrupt

    def notes():
        for number in range(100):
            if where == "iterator" and number == 20:
                raise KeyboardInterrupt
            yield Interrupted()

    def send(client):
        for outcome in client.send_all(notes(), connections=3):
            sent.append(outcome)
            if where == "loop" and len(sent) == 5:
                raise KeyboardInterrupt

    with sessions() as server, opened(server) as client:
        with pytest.raises(KeyboardInterrupt):
            send(client)
        assert wait_until(lambda: not threads_of_connections())


def test_as_many_messages_are_taken_ahead_as_may_be_in_flight(offer):
    """Even if the first one takes longer than all others, the memory does not grow."""
    taken, given = [], []
    far_ahead = threading.Event()
    connections = 2

    def notes():
        for number in range(5 * GROUP):
            taken.append(number)
            if len(taken) == connections * 2 * GROUP:
                far_ahead.set()
            yield Note()

    def reply(session, word):
        if word == "content" and session == 1:
            assert far_ahead.wait(PATIENCE_SECONDS)

    with sessions(reply, offer) as server, opened(server) as client:
        for outcome in client.send_all(notes(), connections=connections):
            given.append(outcome)
            assert len(taken) - len(given) <= connections * 2 * GROUP

    assert len(given) == 5 * GROUP


# --- the rate


def test_connections_share_the_pace(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("airflow_smtp_cm.smtp.bulk.time", clock)
    pace = Pace(30)
    assert (pace.take(), pace.take(), pace.pause) == (True, False, 2)
    clock.now = 2
    assert (pace.take(), pace.take()) == (True, False)
    pace.add(2)
    assert pace.pause == 6


def test_the_rate_is_that_of_all_connections_together(monkeypatch):
    clock, lock, times = Clock(), threading.Lock(), []

    def sleep(self, seconds):
        self.check()
        with lock:
            clock.now += seconds

    monkeypatch.setattr("airflow_smtp_cm.smtp.bulk.time", clock)
    monkeypatch.setattr("airflow_smtp_cm.smtp.connection_thread.Channel.sleep", sleep)

    class Timed(RecordedNote):
        def record_sending(self, recipients, size):
            del recipients, size
            times.append(clock.now)

    with sessions() as server:
        outcomes = send_all(server, [Timed() for _ in range(12)], 4, messages_per_minute=30)

    assert [type(outcome) for outcome in outcomes] == [SendResult] * 12
    assert all(time >= 2 * number for number, time in enumerate(times))


def test_each_connection_has_at_most_the_allowed_number_of_messages():
    with sessions() as server:
        outcomes = send_all(server, numbered(12), 2, max_messages_per_connection=3)

    assert [type(outcome) for outcome in outcomes] == [SendResult] * 12
    assert max(server.by.values()) == 3
