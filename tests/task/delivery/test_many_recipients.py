"""A task whose message has more recipients than the server accepts at once: a retry sends to the rest alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import ConnectError, DeliveryIncomplete, DeliveryUncertain
from airflow_smtp_cm.task.delivery.result import MessagesFailed
from tests.connections import anonymous, to_postfix
from tests.failing import fails_permanently
from tests.operators.test_send_mail import FakeTaskInstance
from tests.servers.postfix import RECIPIENT_LIMIT
from tests.servers.scripted import expect, expect_content, reset, say, scripted_peer
from tests.task.delivery.stores import Killed

ROOT = Path(__file__).parents[3]
NAMES = ("ann", "ben", "cleo", "dave")
TO = "; ".join(f"{name}@corp.test" for name in NAMES)
TOO_MANY = "452 4.5.3 Too many recipients"
HELLO = [say("220 hi"), expect("EHLO"), say("250 hi")]
GOODBYE = [expect("QUIT"), say("221 bye")]


def transaction(*replies, final="250 2.0.0 queued"):
    """Return the steps of a transaction with these replies to RCPT; ``final`` is a reply or a step."""
    steps = [expect("MAIL"), say("250 ok")]
    for reply in replies:
        steps += [expect("RCPT"), say(reply)]
    content = [expect("DATA"), say("354 go on"), expect_content(), say(final) if isinstance(final, str) else final]
    return steps + (content if final else [expect("RSET"), say("250 ok")])


FIRST = transaction("250 ok", TOO_MANY, TOO_MANY, TOO_MANY)
ONE = transaction("250 ok")


def recipients(peer):
    return [command.partition("<")[2].partition("@")[0] for command in peer.commands if command.startswith("RCPT")]


@pytest.fixture(params=[False, True], ids=["one message", "mail merge"])
def attempt(request, store, define):
    """Return a function that runs a try against a server that plays a script, and returns the server.

    The message is the only one of the task, or the second of three in a mail merge, whose first one is sent before.
    """

    def attempt(script, *, quits=True, record=True, **fields):
        context = {"ti": FakeTaskInstance()} | ({"task_state_store": store} if record else {})
        with scripted_peer([*HELLO, *script, *(GOODBYE if quits else [])], to_the_end=False) as peer:
            define(anonymous(peer.port))
            sent = {"messages": [{"to": TO}]} if request.param else {"to": TO}
            peer.result = SendMailOperator(task_id="send", **sent, **fields).execute(context)
        return peer

    return attempt


@pytest.fixture
def failing(attempt):
    """Return a function that runs a try that fails, and returns its error."""

    def failing(script, **fields):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the tests check it
            attempt(script, quits=False, **fields)
        return caught.value

    return failing


def test_all_get_the_message_in_one_try(attempt):
    peer = attempt([*FIRST, *ONE, *ONE, *ONE])

    assert recipients(peer) == [*NAMES, *NAMES[1:]]


@pytest.mark.parametrize("record", [True, False])
def test_transaction_in_which_nobody_exists_does_not_end_the_others(attempt, failing, record):
    """Nothing new is recorded after it."""
    nobody = transaction("550 5.1.1 nobody", final=None)
    error = failing([*FIRST, *nobody, *nobody, *ONE], record=record)

    assert [name for name in NAMES if f"{name}@" in str(error)] == ["ben", "cleo"]
    assert not getattr(error, "transient", False)
    if record:
        with fails_permanently():  # without a server
            attempt([], quits=False)


@pytest.mark.parametrize(
    "broken",
    [
        [reset()],
        [expect("MAIL"), say("421 4.3.2 bye")],
        [expect("MAIL"), say("450 4.7.1 slow down"), expect("RSET"), say("250 ok")],
        transaction("250 ok", final="451 4.3.0 disk full"),
    ],
    ids=["lost", "421", "4xx to the sender", "4xx to the content"],
)
def test_retry_sends_to_the_rest_alone_after_an_error_between_two_transactions(attempt, failing, broken):
    error = failing([*FIRST, *ONE, *broken])
    assert error.transient
    assert isinstance(error, DeliveryIncomplete | MessagesFailed)

    assert recipients(attempt(transaction("250 ok", "250 ok"))) == ["cleo", "dave"]


def test_permanent_error_between_two_transactions_is_not_retried(failing):
    error = failing([*FIRST, expect("MAIL"), say("550 5.7.1 no"), expect("RSET"), say("250 ok")])
    assert not getattr(error, "transient", False)
    assert "delivered to 1 of 4 recipients, and not sent to 3" in str(error)


PARTLY_DEFERRED = transaction("250 ok", "450 4.2.0 later", "450 4.2.0 later", "450 4.2.0 later")
REFUSED_SENDER = [expect("MAIL"), say("550 5.7.1 no"), expect("RSET"), say("250 ok")]


@pytest.mark.parametrize(
    ("script", "transient"),
    [
        (REFUSED_SENDER, False),
        (transaction("250 ok", "250 ok", "250 ok", final="554 5.7.1 spam"), False),
        (transaction("250 ok", "250 ok", "250 ok", final="451 4.3.0 disk full"), True),
        ([expect("MAIL"), reset()], True),
    ],
    ids=["5xx to the sender", "5xx to the content", "4xx to the content", "lost"],
)
def test_error_of_a_retry_tells_who_has_the_message_from_an_earlier_try(failing, caplog, script, transient):
    """In a mail merge, the log has what is too long for the error."""
    assert failing(PARTLY_DEFERRED).transient
    error = failing(script)

    assert getattr(error, "transient", False) is transient
    assert "delivered to 1 of 4 recipients, and not sent to 3" in str(error)
    assert "delivered to ann@corp.test. It was not sent to ben@corp.test, cleo@" in f"{error} {caplog.text}"


@pytest.mark.parametrize("attempt", [False], indirect=True, ids=["one message"])
def test_retry_that_finds_no_server_tells_who_has_the_message_too(store, failing):
    failing(PARTLY_DEFERRED)
    with pytest.raises(
        DeliveryIncomplete, match=r"delivered to 1 of 4 .* It was delivered to ann@corp\.test\."
    ) as caught:
        SendMailOperator(task_id="send", to=TO).execute({"ti": FakeTaskInstance(), "task_state_store": store})
    assert caught.value.transient
    assert isinstance(caught.value.cause, ConnectError)


@pytest.mark.parametrize("attempt", [False], indirect=True, ids=["one message"])
@pytest.mark.parametrize("script", [[*FIRST, *REFUSED_SENDER], REFUSED_SENDER], ids=["same try", "later try"])
def test_try_after_a_permanent_error_is_for_those_who_do_not_have_the_message(attempt, failing, script):
    """With a retry policy of the user's own; it is no success before they have it."""
    if script is REFUSED_SENDER:
        failing(PARTLY_DEFERRED)
    failing(script)

    assert recipients(attempt(transaction("250 ok", "250 ok", "250 ok"))) == list(NAMES[1:])


@pytest.mark.parametrize("on_uncertain", ["fail", "resend", "assume_sent"])
def test_uncertain_transaction_does_not_concern_the_recipients_of_others(attempt, failing, on_uncertain):
    error = failing([*FIRST, *transaction("250 ok", final=reset())], on_uncertain=on_uncertain)
    assert error.transient
    assert isinstance(error, DeliveryUncertain | MessagesFailed)

    rest = ["ben", "cleo", "dave"] if on_uncertain == "resend" else ["cleo", "dave"]
    script = transaction(*["250 ok"] * len(rest))
    if on_uncertain == "fail":
        with fails_permanently(match=r"ben@corp\.test"):
            attempt(script)
        with fails_permanently():  # without a server
            attempt([], quits=False)
    else:
        assert recipients(attempt(script, on_uncertain=on_uncertain)) == rest


@pytest.mark.parametrize("on_uncertain", ["fail", "resend", "assume_sent"])
@pytest.mark.parametrize("writes", range(9))
def test_retry_of_a_killed_try_sends_to_nobody_who_has_it(attempt, store, on_uncertain, writes):
    """For every write of the record: each transaction has one before its content, and one after its final reply."""
    store.writes_left = writes
    script = [*FIRST, *ONE, *ONE, *ONE]
    try:
        attempt(script, quits=False, on_uncertain=on_uncertain)
    except Killed:
        pass
    else:
        assert writes == 8
    store.writes_left = None

    have_it, uncertain = divmod(writes, 2)
    rest = list(NAMES[have_it + (uncertain and on_uncertain != "resend") :])
    if not rest and not (on_uncertain == "fail" and uncertain):
        attempt([], quits=False, on_uncertain=on_uncertain)
        return
    if on_uncertain == "fail" and uncertain:
        with fails_permanently(match=f"{NAMES[have_it]}@corp"):
            attempt(transaction(*["250 ok"] * len(rest)) if rest else [], quits=bool(rest))
        return
    peer = attempt(transaction(*["250 ok"] * len(rest)), on_uncertain=on_uncertain)
    assert recipients(peer) == rest


@pytest.mark.parametrize("on_uncertain", ["fail", "resend", "assume_sent"])
def test_without_a_record_nobody_gets_a_second_copy(failing, on_uncertain):
    """The task fails for good: a retry would send to all."""
    error = failing([*FIRST, *transaction("250 ok", final=reset())], record=False, on_uncertain=on_uncertain)
    assert not getattr(error, "transient", False)
    error = failing([*FIRST, reset()], record=False, on_uncertain=on_uncertain)
    assert not getattr(error, "transient", False)


# --- with Postfix, and a process that is killed


def everybody(count):
    return [f"many+{number}@corp.test" for number in range(count)]


def one_try(file, killed_at, fields):
    return subprocess.run(
        [sys.executable, "-m", "tests.task.delivery.one_try", file, str(killed_at), json.dumps(fields)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("merge", [False, True], ids=["one message", "mail merge"])
def test_retry_after_kill_9_between_two_transactions_sends_to_the_rest_alone(
    postfix, certificates, define, tmp_path, merge
):
    """Ten transactions; the process is killed between the third and the fourth, right before its content is sent."""
    define(to_postfix(postfix, certificates, "few_recipients"))
    to = everybody(10 * RECIPIENT_LIMIT)
    subject = f"killed {merge}"
    fields = {"subject": subject, **({"messages": [{"to": to}]} if merge else {"to": to})}

    # In a mail merge, the content is recorded before the envelope is sent, and again when the limit is known.
    killed = one_try(tmp_path / "record", 8 if merge else 7, fields)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    postfix.wait_until_idle()
    assert len(copies(postfix, subject)) == 3 * RECIPIENT_LIMIT

    retried = one_try(tmp_path / "record", 0, fields)
    assert retried.returncode == 0, retried.stderr
    postfix.wait_until_idle()
    assert copies(postfix, subject) == Counter(to)
    assert len({message["Message-ID"] for message in messages(postfix, subject)}) == 1
    result = json.loads(retried.stdout.splitlines()[-1])
    assert result["sent"] == 1 if merge else result["accepted"] == to


def messages(postfix, subject):
    return [message for message in postfix.messages("many") if message["Subject"] == subject]


def copies(postfix, subject):
    return Counter(message["X-Original-To"] for message in messages(postfix, subject))
