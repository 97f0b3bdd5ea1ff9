"""``on_uncertain="ask"``: what is sent, recorded and asked, and what happens with each answer."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from math import inf
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException

from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import RecordError, SmtpError
from airflow_smtp_cm.task import asking
from airflow_smtp_cm.task.delivery import window
from airflow_smtp_cm.task.delivery.result import MessagesFailed
from airflow_smtp_cm.task.question import CHOSEN, SEND_CHOSEN
from tests.airflow_versions import AIRFLOW
from tests.connections import anonymous
from tests.operators.test_send_mail import FakeTaskInstance
from tests.servers.processes import PATIENCE_SECONDS, wait_until
from tests.servers.scripted import expect, expect_content, say, scripted_peer, wait_for_close
from tests.servers.sessions import CLOSE, sessions
from tests.task.delivery.stores import Killed

if AIRFLOW < (3, 3):
    pytest.skip("Airflow below 3.3 cannot ask", allow_module_level=True)

from airflow.sdk import NEVER_EXPIRE, task
from airflow.sdk.exceptions import TaskAwaitingInput

BOB, CAROL, DAVE = "bob@corp.test", "carol@corp.test", "dave@corp.test"
ONLY_TRY = {"try_number": 1, "max_tries": 0}
NO_REPLY = wait_for_close()  # the process is killed while it waits for it
LOST = None  # the server ends the connection instead of the final reply


class RequiredActions:
    """Airflow's: it keeps the first question of a task instance, and forgets the answer when it is asked again."""

    def __init__(self):
        self.question = None
        self.asked = 0
        self.fault = None

    def put(self, _, question):
        """Take a question; return the texts that are shown."""
        if self.fault is not None:
            raise self.fault
        self.asked += 1
        self.question = self.question or question
        return f"{self.question.body}{json.dumps(self.question.params)}"


@pytest.fixture
def actions(monkeypatch):
    actions = RequiredActions()
    monkeypatch.setattr(asking, "_put", actions.put)
    return actions


@pytest.fixture
def run(store, actions):  # noqa: ARG001 - the task needs it to ask
    """Return a function that runs a task, or resumes it with an answer."""

    def run(answer=None, *chosen, ti=None, notify=None, on_uncertain="ask", **fields):
        ti = FakeTaskInstance(id="018f2b7c-0000-7000-8000-000000000000", **ti or {})
        operator = SendMailOperator(
            task_id="send", on_uncertain=on_uncertain, subject="Payslip", ask_notifier=notify, **fields
        )
        context = {"ti": ti, "task_state_store": store}
        if answer is None:
            return operator.execute(context)
        event = {
            "chosen_options": [answer],
            "params_input": {CHOSEN: list(chosen)},
            "responded_at": datetime(2026, 3, 29, tzinfo=UTC),
            "responded_by_user": {"id": "7", "name": "alice"},
            "timedout": False,
        }
        return operator.execute_answered(context, event)

    return run


def message(*replies, final="250 2.0.0 queued"):
    steps = [expect("MAIL"), say("250 ok")]
    for reply in replies:
        steps += [expect("RCPT"), say(reply)]
    return [*steps, expect("DATA"), say("354 go on"), expect_content(), *([say(final)] if final else [])]


def dialogue(*messages):
    return [say("220 hi"), expect("EHLO"), say("250 hi"), *(step for steps in messages for step in steps)]


SENT = dialogue(message("250 ok"))
LOST_REPLY = dialogue(message("250 ok", final=LOST))


@pytest.fixture
def play(define, run):
    """Return a function that runs or resumes a task against a server that plays scripts.

    It returns the Message-IDs and recipients that the server got.
    """

    def play(scripts, *answer, raises=TaskAwaitingInput, **given):
        with scripted_peer(*scripts) as peer:
            define(anonymous(peer.port))
            if raises is None:
                result, error = run(*answer, **given), None
            else:
                with pytest.raises(raises) as caught:
                    run(*answer, **given)
                result, error = None, caught.value
        ids = [found.decode() for found in re.findall(rb"^Message-ID: (.*)\r$", peer.received, re.MULTILINE)]
        to = [command.partition("<")[2].rstrip(">") for command in peer.commands if command.startswith("RCPT")]
        return SimpleNamespace(result=result, error=error, ids=ids, to=to)

    return play


def numbers(sent):
    return Counter(int(address.partition("+")[2].partition("@")[0]) for address in sent.to)


# --- one message


def test_try_in_which_delivery_becomes_uncertain_asks(play, actions, store):
    """Also the only try, which keeps no record otherwise."""
    lost = play([LOST_REPLY], to=BOB, ti=ONLY_TRY)

    assert (lost.error.method_name, lost.error.timeout) == ("execute_answered", None)
    asked = actions.question
    assert asked.subject == "Was this message delivered? Payslip"
    assert f"Message-ID: ` {lost.ids[0]} `\n- Recipients: ` {BOB} `\n- Server: ` 127.0.0.1:" in asked.body
    assert "but not confirmed (" in asked.body
    assert (asked.options, asked.defaults) == (["Send it again", "Count it as sent", "Fail"], None)
    assert store.retention is NEVER_EXPIRE


def test_retry_that_finds_delivery_uncertain_asks(play, actions, store):
    store.writes_left = 1
    play([LOST_REPLY], to=BOB, raises=Killed)
    store.writes_left = None
    found = play([], to=BOB)

    assert found.to == []
    assert "Reason: ` An earlier try of this task ended while it was sending the message" in actions.question.body


@pytest.mark.parametrize("ti", [ONLY_TRY, {"try_number": 1, "max_tries": 2}, {}])
def test_answer_send_it_again_sends_it_with_its_message_id(play, ti, caplog):
    lost = play([LOST_REPLY], to=BOB, ti=ti)
    again = play([SENT], "Send it again", to=BOB, ti=ti, raises=None)

    assert (again.to, again.ids, again.result["accepted"]) == ([BOB], lost.ids, [BOB])
    assert again.result["answers"] == [{"answer": "Send it again", "by": "alice", "at": "2026-03-29T00:00:00+00:00"}]
    assert "SendMailTaskInfo: alice answered “Send it again”." in caplog.messages


@pytest.mark.parametrize("ti", [ONLY_TRY, {}])
def test_answer_count_it_as_sent_sends_nothing(play, ti):
    lost = play([LOST_REPLY], to=BOB, ti=ti)
    counted = play([], "Count it as sent", to=BOB, ti=ti, raises=None)

    assert (counted.result["message_id"], counted.result["accepted"], counted.result["reply"]) == (
        lost.ids[0],
        [BOB],
        None,
    )
    assert counted.result["answers"][0]["by"] == "alice"


@pytest.mark.parametrize("ti", [ONLY_TRY, {}])
def test_answer_fail_fails_the_task_and_no_retry_sends_it(play, ti):
    play([LOST_REPLY], to=BOB, ti=ti)
    failed = play([], "Fail", to=BOB, ti=ti, raises=AirflowFailException)

    assert "alice answered “Fail”" in str(failed.error)
    assert "then clear the task to send the message again" in str(failed.error)


def test_message_that_becomes_uncertain_once_more_is_asked_about_once_more(play, actions):
    for answer in ((), ("Send it again",), ("Send it again",)):
        play([LOST_REPLY], *answer, to=BOB, ti=ONLY_TRY)
    sent = play([SENT], "Send it again", to=BOB, ti=ONLY_TRY, raises=None)

    assert actions.asked == 3
    assert [given["answer"] for given in sent.result["answers"]] == ["Send it again"] * 3


def test_retry_of_a_try_that_was_killed_after_the_answer_asks_again(play, store, actions):
    play([LOST_REPLY], to=BOB)
    store.writes_left = 1
    play([LOST_REPLY], "Send it again", to=BOB, raises=Killed)
    store.writes_left = None
    play([], to=BOB, ti={"try_number": 3})

    assert actions.asked == 2


def test_refused_recipient_fails_the_task_after_the_answer(play):
    lost = dialogue(message("250 ok", "550 5.1.1 nobody", final=LOST))
    play([lost], to=f"{BOB}; {CAROL}")
    counted = play([], "Count it as sent", to=f"{BOB}; {CAROL}", raises=AirflowFailException)

    assert f"refused 1 of 2 recipients: {CAROL}: 550 5.1.1 nobody" in str(counted.error)


def test_deferred_recipients_get_the_message_after_the_answer(play):
    lost = dialogue(message("250 ok", "450 4.2.1 later", final=LOST))
    play([lost], to=f"{BOB}; {CAROL}", ti=ONLY_TRY)
    counted = play([SENT], "Count it as sent", to=f"{BOB}; {CAROL}", ti=ONLY_TRY, raises=None)

    assert (counted.to, counted.result["accepted"]) == ([CAROL], [BOB, CAROL])


def test_function_of_the_decorator_is_called_again_after_the_answer(define, store, actions):
    @task.send_mail(to=BOB, subject="Payslip", on_uncertain="ask")
    def payslip():
        called.append(True)
        return "Hello"

    called = []
    context = {"ti": FakeTaskInstance(id="018f2b7c", **ONLY_TRY), "task_state_store": store}
    with scripted_peer(LOST_REPLY, SENT) as peer:
        define(anonymous(peer.port))
        with pytest.raises(TaskAwaitingInput):
            payslip().operator.execute(context)
        answer = {"chosen_options": ["Send it again"], "responded_by_user": {"id": "7", "name": "alice"}}
        result = payslip().operator.execute_answered(context, answer)

    assert (len(called), actions.asked, result["accepted"]) == (2, 1, [BOB])
    assert len(set(re.findall(rb"^Message-ID: (.*)\r$", peer.received, re.MULTILINE))) == 1


# --- a message in several transactions

LIMIT = "452 4.5.3 too many recipients"
FIRST_LOST = dialogue(message("250 ok", LIMIT, final=LOST))


def test_others_get_the_message_from_a_retry_before_a_person_is_asked(play, actions):
    incomplete = play([FIRST_LOST], to=f"{BOB}; {CAROL}", raises=SmtpError)
    assert incomplete.error.transient
    others = play([SENT], to=f"{BOB}; {CAROL}", ti={"try_number": 3})
    assert others.to == [CAROL]
    assert f"Recipients: ` {BOB} `\n" in actions.question.body
    again = play([SENT], "Send it again", to=f"{BOB}; {CAROL}", ti={"try_number": 3}, raises=None)

    assert (again.to, sorted(again.result["accepted"])) == ([BOB], [BOB, CAROL])


@pytest.mark.parametrize(
    ("answer", "to"), [("Send it again", [BOB, CAROL]), ("Count it as sent", [CAROL])], ids=["again", "count"]
)
def test_others_get_the_message_after_the_answer_if_there_is_no_retry(play, answer, to):
    play([FIRST_LOST], to=f"{BOB}; {CAROL}", ti=ONLY_TRY)
    rest = play([dialogue(message(*["250 ok"] * len(to)))], answer, to=f"{BOB}; {CAROL}", ti=ONLY_TRY, raises=None)

    assert (rest.to, sorted(rest.result["accepted"])) == (to, [BOB, CAROL])


def test_others_get_the_message_after_the_answer_fail_and_the_task_fails(play):
    play([FIRST_LOST], to=f"{BOB}; {CAROL}", ti=ONLY_TRY)
    failed = play([SENT], "Fail", to=f"{BOB}; {CAROL}", ti=ONLY_TRY, raises=AirflowFailException)

    assert failed.to == [CAROL]
    assert f"uncertain for 1 of 2 recipients: {BOB}" in str(failed.error)


def test_person_is_asked_if_the_others_are_rejected(play, actions):
    play([FIRST_LOST], to=f"{BOB}; {CAROL}", raises=SmtpError)
    rejected = [say("220 hi"), expect("EHLO"), say("250 hi"), expect("MAIL"), say("550 no")]
    rejected += [wait_for_close()]
    play([rejected], to=f"{BOB}; {CAROL}")
    again = play([dialogue(message("250 ok", "250 ok"))], "Send it again", to=f"{BOB}; {CAROL}", raises=None)

    assert actions.asked == 1
    assert sorted(again.result["accepted"]) == [BOB, CAROL]


# --- many messages


def addressed(count):
    return [{"to": f"bob+{number}@corp.test", "subject": f"Payslip {number}"} for number in range(count)]


def of(count, *, lost=None):
    return dialogue(*(message("250 ok", final=LOST if number == lost else "250 ok") for number in range(count)))


@pytest.fixture
def uncertain(play, store, monkeypatch):
    """Messages 3 to 6 of eight are uncertain, the others are sent, and a person is asked."""
    monkeypatch.setattr(window, "_SHORT_INTERVAL", inf)
    store.writes_left = 4
    play([of(7)], messages=addressed(8), raises=Killed)
    store.writes_left = None
    assert numbers(play([of(1)], messages=addressed(8))) == {7: 1}


@pytest.mark.usefixtures("uncertain")
def test_question_names_the_messages(actions):
    question = actions.question

    assert question.subject == "Were these 4 of 8 messages delivered?"
    schema = question.params[CHOSEN]["schema"]
    assert [name.partition(" ")[0] for name in schema["examples"]] == [
        f"messages[{number}]" for number in range(3, 7)
    ]
    assert list(schema["values_display"].values())[1] == "4: bob+4@corp.test: Payslip 4"
    assert "An earlier try ended before the server confirmed the message" in question.body


@pytest.mark.usefixtures("uncertain")
def test_only_chosen_messages_are_sent_again(play, actions):
    (_, second, third, _) = actions.question.params[CHOSEN]["schema"]["examples"]
    again = play([of(2)], SEND_CHOSEN, second, third, messages=addressed(8), raises=None)

    assert numbers(again) == {4: 1, 5: 1}
    assert [second, third] == [f"messages[{number}] {found}" for number, found in enumerate(again.ids, 4)]
    assert (again.result["sent"], again.result["assumed_sent"]) == (8, 2)
    assert again.result["answers"] == [{"answer": SEND_CHOSEN, "by": "alice", "at": "2026-03-29T00:00:00+00:00"}]


@pytest.mark.usefixtures("uncertain")
@pytest.mark.parametrize(("answer", "sent"), [("Send all again", [3, 4, 5, 6]), ("Count all as sent", [])])
def test_answer_is_for_all_messages(play, answer, sent):
    resumed = play([of(4)] if sent else [], answer, messages=addressed(8), raises=None)

    assert numbers(resumed) == dict.fromkeys(sent, 1)
    assert (resumed.result["sent"], resumed.result["assumed_sent"]) == (8, 0 if sent else 4)


@pytest.mark.usefixtures("uncertain")
def test_answer_fail_names_the_messages(play):
    failed = play([], "Fail", messages=addressed(8), raises=AirflowFailException)

    assert "4 of 8 messages were sent" in str(failed.error)
    assert "4 may have been delivered or not, and are not sent again" in str(failed.error)
    assert "alice answered “Fail”" in str(failed.error)


@pytest.mark.usefixtures("uncertain")
def test_answer_that_chooses_nothing_is_asked_again_and_sends_nothing(play, actions):
    empty = play([], SEND_CHOSEN, messages=addressed(8))
    counted = play([], "Count all as sent", messages=addressed(8), raises=None)

    assert (empty.to, actions.asked) == ([], 2)
    assert [given["answer"] for given in counted.result["answers"]] == ["Count all as sent"]


@pytest.mark.usefixtures("uncertain")
@pytest.mark.parametrize("other", ["messages[0]", "messages[9]", "5"])
def test_answer_that_chooses_another_message_is_asked_again_and_counts_none_as_sent(play, actions, other, caplog):
    names = actions.question.params[CHOSEN]["schema"]["examples"]
    wrong = play([], SEND_CHOSEN, names[1], other, messages=addressed(8))
    right = play([of(1)], SEND_CHOSEN, names[1], messages=addressed(8), raises=None)

    assert (wrong.to, actions.asked) == ([], 2)
    assert (
        f"alice answered “{SEND_CHOSEN}” (2 selected). It decides nothing: the messages that may be selected now are "
        f"{', '.join(names)}. Selected: {names[1]}, {other}."
    ) in caplog.messages
    assert numbers(right) == {4: 1}


@pytest.mark.usefixtures("uncertain")
def test_messages_that_become_uncertain_once_more_are_asked_about_once_more(play, actions):
    play([of(4, lost=3)], "Send all again", messages=addressed(8))
    counted = play([], "Count all as sent", messages=addressed(8), raises=None)

    assert actions.asked == 2
    assert (counted.result["sent"], counted.result["assumed_sent"]) == (8, 1)


@pytest.mark.usefixtures("uncertain")
def test_retry_of_a_try_that_was_killed_after_the_answer_keeps_what_was_decided(play, store, actions):
    (first, *_) = actions.question.params[CHOSEN]["schema"]["examples"]
    store.writes_left = 1
    play([of(1)], SEND_CHOSEN, first, messages=addressed(8), raises=Killed)
    store.writes_left = None
    play([], messages=addressed(8), ti={"try_number": 3})
    counted = play([], "Count it as sent", messages=addressed(8), ti={"try_number": 3}, raises=None)

    assert (counted.result["sent"], counted.result["assumed_sent"]) == (8, 4)
    assert [given["answer"] for given in counted.result["answers"]] == [SEND_CHOSEN, "Count it as sent"]


def test_message_that_becomes_uncertain_without_a_kill_is_asked_about_after_the_others_are_sent(play, actions):
    lost = play([of(2, lost=1), of(2)], messages=addressed(4), ti=ONLY_TRY)
    again = play([of(1)], "Send it again", messages=addressed(4), ti=ONLY_TRY, raises=None)

    assert numbers(lost) == dict.fromkeys(range(4), 1)
    assert actions.question.subject == "Was this message delivered? Payslip 1"
    assert (numbers(again), again.result["sent"]) == ({1: 1}, 4)


def test_deferred_messages_are_retried_before_a_person_is_asked(play, actions):
    later = [expect("MAIL"), say("250 ok"), expect("RCPT"), say("450 later"), expect("RSET"), say("250 ok")]
    mixed = [*dialogue(message("250 ok", final=LOST))], dialogue(later, message("250 ok"))
    failed = play(mixed, messages=addressed(3), raises=MessagesFailed)
    assert failed.error.transient
    assert "1 may have been delivered or not, and a person will be asked" in str(failed.error)
    assert actions.asked == 0
    retry = play([of(1)], messages=addressed(3), ti={"try_number": 3})

    assert (numbers(retry), actions.asked) == ({1: 1}, 1)
    assert "but not confirmed" in actions.question.body


def test_deferred_messages_are_sent_after_the_answer_if_there_is_no_retry(play, actions):
    later = [expect("MAIL"), say("250 ok"), expect("RCPT"), say("450 later"), expect("RSET"), say("250 ok")]
    play([dialogue(message("250 ok", final=LOST)), dialogue(later)], messages=addressed(2), ti=ONLY_TRY)
    rest = play([of(1)], "Count it as sent", messages=addressed(2), ti=ONLY_TRY, raises=None)

    assert actions.asked == 1
    assert (numbers(rest), rest.result["sent"], rest.result["assumed_sent"]) == ({1: 1}, 2, 1)


# --- many messages over several connections


@pytest.fixture
def send(define, run):
    """Return a function that sends or resumes 40 messages over four connections."""

    def send(server, *answer, raises=TaskAwaitingInput, **given):
        define(anonymous(server.port))
        if raises is None:
            return run(*answer, messages=addressed(40), connections=4, **given)
        with pytest.raises(raises) as caught:
            run(*answer, messages=addressed(40), connections=4, **given)
        return caught.value

    return send


def test_messages_that_each_connection_lost_are_in_one_question(send, actions):
    four = threading.Barrier(4)

    def reply(session, word):
        if word == "content" and session <= 4:
            four.wait(PATIENCE_SECONDS)
            return CLOSE if server.by[session] == 2 else None
        return None

    with sessions(reply) as server:
        send(server)
        names = actions.question.params[CHOSEN]["schema"]["examples"]
        assert len(names) == 4
        assert server.delivered.total() == len(server.delivered) == 36
        result = send(server, SEND_CHOSEN, *names[1:3], raises=None)

    assert (result["sent"], result["assumed_sent"]) == (40, 2)
    assert server.delivered.total() == len(server.delivered) == 38
    again = {name.partition(" ")[2] for name in names[1:3]}
    assert again < set(server.delivered)


@pytest.mark.parametrize("answer", ["Send all again", "Count all as sent"])
def test_messages_in_flight_on_all_connections_when_the_worker_is_killed_are_asked_about(
    send, actions, store, monkeypatch, answer
):
    monkeypatch.setattr(window, "_SHORT_INTERVAL", inf)
    with sessions() as server:
        store.writes_left = 4
        send(server, raises=Killed)
        store.writes_left = None
        send(server, ti={"try_number": 3})
        asked = {name.partition(" ")[2] for name in actions.question.params[CHOSEN]["schema"]["examples"]}
        assert wait_until(lambda: server.open == 0)  # a session may still count a message of the worker
        before = server.delivered.copy()
        result = send(server, answer, raises=None, ti={"try_number": 3})

    assert set(before.values()) == {1}
    sent_now = server.delivered - before
    assert set(sent_now) == (asked if answer == "Send all again" else set())
    assert set(sent_now.values()) <= {1}
    assert len(set(server.delivered) | asked) == result["sent"] == 40


def test_server_that_accepts_two_connections_and_closes_one_gets_the_rest_over_the_other(send, actions):
    two = threading.Barrier(2)

    def reply(session, word):
        if word == "greeting" and session > 2:
            return "421 4.3.2 too many connections"
        if word == "content" and server.by[session] == 0:
            two.wait(PATIENCE_SECONDS)
            return CLOSE if session == 2 else None
        return None

    with sessions(reply) as server:
        send(server)
        assert server.by == {1: 39}
        server.reply = lambda *_: None
        result = send(server, "Send it again", raises=None)

    assert actions.question.of == 40
    assert (result["sent"], result["assumed_sent"]) == (40, 0)
    assert server.delivered.total() == len(server.delivered) == 40


# --- the DAG is changed while the question is open


@pytest.mark.usefixtures("uncertain")
@pytest.mark.parametrize(("on_uncertain", "sent", "assumed"), [("resend", [3, 4, 5, 6], 0), ("assume_sent", [], 4)])
def test_retry_does_what_on_uncertain_is_now(play, on_uncertain, sent, assumed):
    retry = play(
        [of(4)] if sent else [], messages=addressed(8), on_uncertain=on_uncertain, ti={"try_number": 3}, raises=None
    )

    assert numbers(retry) == dict.fromkeys(sent, 1)
    assert (retry.result["sent"], retry.result["assumed_sent"]) == (8, assumed)


@pytest.mark.usefixtures("uncertain")
def test_empty_answer_after_the_dag_was_changed_does_what_on_uncertain_is_now(play):
    resumed = play([], SEND_CHOSEN, messages=addressed(8), on_uncertain="fail", raises=AirflowFailException)

    assert "4 may have been delivered or not, and are not sent again" in str(resumed.error)


# --- the question cannot be asked


def test_question_about_other_messages_than_the_first_is_an_error(play):
    """After the task was cleared, its messages have new Message-IDs, and Airflow shows the old ones."""
    play([LOST_REPLY], to=BOB)
    cleared = {"try_number": 3, "max_tries": 5}
    again = play([LOST_REPLY], to=BOB, ti=cleared, raises=AirflowFailException)

    assert len(again.to) == 1
    assert "Airflow keeps the text of this task's first question, which was about other messages" in str(again.error)
    assert again.ids[0] in str(again.error)


def test_cleared_task_sends_everything_again_though_its_question_is_open(play):
    lost = play([LOST_REPLY], to=BOB)
    cleared = play([SENT], to=BOB, ti={"try_number": 3, "max_tries": 5}, raises=None)

    assert cleared.ids != lost.ids
    assert "answers" not in cleared.result


def test_answer_without_a_record_sends_nothing(play, store):
    play([LOST_REPLY], to=BOB, ti=ONLY_TRY)
    store.kept.clear()
    gone = play([], "Send it again", to=BOB, ti=ONLY_TRY, raises=AirflowFailException)

    assert "the task's record is no longer in Airflow's task state store" in str(gone.error)


def test_question_that_airflow_does_not_take_is_asked_by_a_retry(play, actions):
    actions.fault = ConnectionError("500")
    refused = play([LOST_REPLY], to=BOB, raises=RuntimeError)
    assert "did not take it: 500. Nothing is sent again. A retry, if there is one, asks again." in str(refused.error)
    actions.fault = None
    play([], to=BOB, ti={"try_number": 3})

    assert actions.asked == 1


def test_question_without_the_connection_is_asked_by_a_retry(play, actions, monkeypatch):
    """If its database cannot be reached, Airflow reports that connections do not exist."""
    hook, lookups = SendMailOperator.hook, []

    def found_once(self):
        lookups.append(self)
        if len(lookups) == 2:
            raise AirflowNotFoundException("The conn_id `smtp_cm_default` isn't defined")
        return hook(self)

    monkeypatch.setattr(SendMailOperator, "hook", found_once)
    failed = play([LOST_REPLY], to=BOB, raises=RuntimeError)
    assert "The question about it could not be asked" in str(failed.error)
    play([], to=BOB, ti={"try_number": 3})

    assert actions.asked == 1


def test_outcome_that_cannot_be_recorded_is_asked_about_nevertheless(play, store, actions):
    store.writes_left, store.fault = 1, ConnectionError("500")
    play([LOST_REPLY], to=BOB, ti=ONLY_TRY)
    store.writes_left = None
    again = play([SENT], "Send it again", to=BOB, ti=ONLY_TRY, raises=None)

    assert (actions.asked, again.to) == (1, [BOB])


@pytest.fixture
def unrecorded(play, store, monkeypatch):
    """Message 5 of eight is uncertain; that 7 was sent cannot be recorded, nor that a person is asked about 5."""
    monkeypatch.setattr(window, "_SHORT_INTERVAL", inf)

    def unrecorded(ti):
        store.writes_left, store.fault = 5, ConnectionError("500")
        first = play([of(6, lost=5), of(2)], messages=addressed(8), ti=ti, raises=RecordError)
        store.writes_left = None
        assert numbers(first) == dict.fromkeys(range(8), 1)
        return str(first.error)

    return unrecorded


def test_question_about_some_messages_is_not_asked_if_the_answer_would_be_applied_to_others(
    unrecorded, play, actions, caplog
):
    """The record has 7 as uncertain, too: the answer would send it once more, though it is known to be sent."""
    assert "No question is asked, because the record cannot be written: 500." in unrecorded({"try_number": 1})
    assert "A retry may treat as uncertain what is known now (sent: messages[7])." in caplog.messages
    assert actions.asked == 0
    play([], messages=addressed(8))
    sent_again, _ = actions.question.params[CHOSEN]["schema"]["examples"]
    again = play([of(1)], SEND_CHOSEN, sent_again, messages=addressed(8), raises=None)

    assert (numbers(again), again.result["sent"], again.result["assumed_sent"]) == ({5: 1}, 8, 1)


def test_last_try_that_cannot_record_the_question_fails(unrecorded, actions):
    assert "No automatic retry follows." in unrecorded(ONLY_TRY)
    assert actions.asked == 0


def test_task_without_a_store_fails_as_with_fail(define, actions):
    with scripted_peer(LOST_REPLY) as peer:
        define(anonymous(peer.port))
        with pytest.raises(AirflowFailException, match="delivery is uncertain"):
            SendMailOperator(task_id="send", on_uncertain="ask", to=BOB).execute({"ti": FakeTaskInstance()})
    assert actions.asked == 0


# --- the notifier


def test_notifier_gets_the_question(play):
    got = []
    play([LOST_REPLY], to=BOB, notify=got.append, ask_timeout=timedelta(hours=4), ask_default="assume_sent")

    (context,) = got
    assert context["question"].subject == "Was this message delivered? Payslip"
    assert context["question"].defaults == ["Count it as sent"]
    assert context["ti"].task_id == "send"


def test_notifier_that_fails_does_not_keep_the_question_from_being_asked(play, actions, caplog):
    def notify(_):
        raise ConnectionError("no server")

    play([LOST_REPLY], to=BOB, notify=notify)

    assert actions.asked == 1
    assert "The notifier failed. The question waits in Airflow nevertheless." in caplog.messages


# --- arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ask_timeout": timedelta(hours=1)}, "only with on_uncertain='ask'"),
        ({"ask_notifier": print}, "only with on_uncertain='ask'"),
        ({"on_uncertain": "resend", "ask_timeout": timedelta(hours=1)}, "only with on_uncertain='ask'"),
        ({"on_uncertain": "ask", "durable": False}, "needs the record"),
        ({"on_uncertain": "ask", "ask_timeout": timedelta(0)}, "must be a timedelta above 0"),
        ({"on_uncertain": "ask", "ask_timeout": timedelta(hours=-1)}, "must be a timedelta above 0"),
        ({"on_uncertain": "ask", "ask_timeout": 3600}, "a timedelta above 0, such as timedelta(hours=4), not 3600"),
        ({"on_uncertain": "ask", "ask_default": "assume_sent"}, "is not set: set it, or remove ask_default='assume"),
        ({"ask_default": "assume_sent"}, "only with on_uncertain='ask': set it, or remove"),
        (
            {"on_uncertain": "ask", "ask_timeout": timedelta(1), "ask_default": "resend"},
            "fail, assume_sent, not 'res",
        ),
        (
            {"on_uncertain": "ask", "ask_notifier": "admin@corp.test"},
            "must be one notifier, such as SendMailNotifier(",
        ),
        ({"on_uncertain": "ask", "ask_notifier": SendMailNotifier}, "not the class SendMailNotifier"),
        ({"on_uncertain": "ask", "ask_notifier": [print]}, "not a list"),
        ({"on_uncertain": "asks"}, "fail, resend, assume_sent, ask, not 'asks'"),
    ],
)
def test_wrong_arguments_are_errors_when_the_dag_is_parsed(arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        SendMailOperator(task_id="send", **arguments)


def test_older_airflow_is_an_error_when_the_dag_is_parsed(monkeypatch):
    monkeypatch.delattr("airflow.sdk.exceptions.TaskAwaitingInput")
    monkeypatch.setattr("airflow.__version__", "3.2.1")

    with pytest.raises(ValueError, match=re.escape("needs Airflow 3.3 or newer, and this is Airflow 3.2.1.")):
        SendMailOperator(task_id="send", on_uncertain="ask")
