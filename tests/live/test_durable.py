"""Messages are neither lost nor sent twice in a running Airflow whose workers are killed.

All tasks run in parallel; each test checks the result of some of them.
"""

import json
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.live.stage import Hold, Stage, Victim, address
from tests.servers.faulty_proxy import Point
from tests.servers.scripted import Peer, expect, expect_content, say, wait_for_close

LARGE = b"0123456789\r\n" * 700_000  # more than the network buffers before the server reads it
DAVE = "dave@corp.test"

HELLO = [say("220 hi"), expect("EHLO"), say("250 hi"), expect("MAIL"), say("250 ok")]
CONTENT = [expect("DATA"), say("354 go on"), expect_content(), say("250 ok")]


def recipients(*replies):
    return [step for reply in replies for step in (expect("RCPT"), say(reply))]


@dataclass(frozen=True, kw_only=True)
class Played:
    """The tasks after the end of their runs; most of them were killed once.

    Attributes:
        stage: the tasks.
        orphan: the server of the task of which only the supervisor was killed.
        outstanding: the server of the task that had a recipient refused.
    """

    stage: Stage
    orphan: Peer
    outstanding: Peer


@pytest.fixture(scope="module")
def played(airflow, postfix, certificates, tmp_path_factory):
    """All tasks after the end of their runs."""
    large = tmp_path_factory.mktemp("durable") / "large.bin"
    large.write_bytes(LARGE)
    with ExitStack() as stack:
        stage = Stage(airflow, postfix, certificates, stack)
        stage.hold("silent", Point.FINAL, supervisor=True)
        stage.hold("greeting", Point.GREETING)
        stage.hold("login", Point.AUTH_RESPONSE)
        stage.hold("recipients", Point.FIRST_RCPT, port="bare")
        stage.hold("content", Point.CONTENT)
        for name in ("final", "resend", "assume_sent", "mapped_0"):
            stage.hold(name, Point.FINAL)
        stage.hold("goodbye", Point.QUIT)
        stage.hold("mapped_1", Point.GREETING)
        stage.connect("mapped_2")
        stage.connect("dags_test")
        hold = Hold()
        orphan = stage.script(
            "orphan",
            [*HELLO, expect("RCPT"), hold.step, say("250 ok"), *CONTENT[:2], wait_for_close()],
            [*HELLO, *recipients("250 ok"), *CONTENT],
        )
        stage.when(hold, Victim(name="orphan", port=orphan.port, task=False, supervisor=True))
        outstanding = stage.script(
            "outstanding",
            [*HELLO, *recipients("250 ok", "450 4.2.1 later"), *CONTENT],
            [*HELLO, *recipients("250 ok"), *CONTENT],
        )

        for name in ("silent", "orphan", "greeting", "login", "recipients", "final", "goodbye"):
            stage.start("durable_fail", name)
        stage.start("durable_fail", "content", attachments=str(large))
        stage.start("durable_fail", "outstanding", to=f"{address('outstanding')}; {DAVE}")
        stage.start("durable_resend", "resend")
        stage.start("durable_assume_sent", "assume_sent")
        stage.start_mapped("durable_mapped", "mapped_0", "mapped_1", "mapped_2")
        stage.play_out()
        yield Played(stage=stage, orphan=orphan, outstanding=outstanding)


@pytest.fixture(scope="module")
def stage(played):
    return played.stage


@pytest.mark.parametrize("name", ["greeting", "login", "recipients"])
def test_retry_of_a_task_that_was_killed_before_the_content_was_transmitted_sends_it(stage, name):
    seen = stage.seen(name)

    assert (seen.state, seen.tries) == ("success", 2)
    assert seen.delivered == [seen.result["message_id"]]


@pytest.mark.parametrize(("name", "copies"), [("content", 0), ("final", 1)])
def test_task_that_was_killed_during_the_content_or_later_fails_as_uncertain(stage, name, copies):
    seen = stage.seen(name)

    assert (seen.state, seen.tries, seen.result) == ("failed", 2, None)
    assert len(seen.delivered) == copies
    assert "The message may have been delivered or not. It is not sent again." in seen.log
    assert "then clear the task to send the message again, or mark it as success." in seen.log


def test_retry_of_a_task_that_was_killed_after_the_final_reply_returns_the_earlier_result(stage):
    seen = stage.seen("goodbye")

    assert (seen.state, seen.tries) == ("success", 2)
    assert seen.delivered == [seen.result["message_id"]]
    assert seen.result["accepted"] == [address("goodbye")]
    assert seen.result["reply"].startswith("250 2.0.0 Ok: ")


def test_uncertain_message_is_sent_again_with_its_message_id_with_resend(stage):
    seen = stage.seen("resend")

    assert (seen.state, seen.tries) == ("success", 2)
    assert seen.delivered == [seen.result["message_id"]] * 2


def test_uncertain_message_is_assumed_to_be_sent_with_assume_sent(stage):
    seen = stage.seen("assume_sent")

    assert (seen.state, seen.tries) == ("success", 2)
    assert seen.delivered == [seen.result["message_id"]]
    assert seen.result["reply"] is None


def test_message_of_a_task_that_was_killed_with_its_supervisor_is_uncertain_as_well(stage):
    seen = stage.seen("silent")

    assert (seen.state, seen.tries) == ("failed", 2)
    assert len(seen.delivered) == 1
    assert "It is not sent again." in seen.log


def test_task_whose_supervisor_was_killed_sends_nothing_that_its_retry_sends_too(stage, played):
    """It cannot write the record, so it does not transmit the content."""
    seen = stage.seen("orphan")

    assert (seen.state, seen.tries) == ("success", 2)
    assert played.orphan.commands.count("DATA") == 2
    assert played.orphan.received.count(b"\r\nMessage-ID: ") == 1


def test_each_mapped_task_has_its_own_record(stage):
    uncertain, not_sent, untouched = (stage.seen(f"mapped_{number}") for number in range(3))

    assert (uncertain.state, uncertain.tries, len(uncertain.delivered)) == ("failed", 2, 1)
    assert (not_sent.state, not_sent.tries, len(not_sent.delivered)) == ("success", 2, 1)
    assert (untouched.state, untouched.tries, len(untouched.delivered)) == ("success", 1, 1)


def test_retry_sends_only_to_the_deferred_recipients(stage, played):
    seen = stage.seen("outstanding")

    assert (seen.state, seen.tries) == ("success", 2)
    requested = [command for command in played.outstanding.commands if command.startswith("RCPT")]
    assert requested == [f"RCPT TO:<{who}>" for who in (address("outstanding"), DAVE, DAVE)]
    assert seen.result["accepted"] == [address("outstanding"), DAVE]


def test_cleared_task_sends_again_a_message_that_was_sent_or_uncertain(stage):
    before = {name: stage.seen(name).delivered for name in ("goodbye", "final")}
    for name in before:
        stage.clear(name)

    for name, delivered in before.items():
        seen = stage.seen(name)
        assert (seen.state, seen.tries) == ("success", 3)
        assert seen.delivered == [*delivered, seen.result["message_id"]]
        assert seen.result["message_id"] not in delivered


def test_dags_test_keeps_the_record_for_its_retry_too(airflow, stage):
    conf = {"smtp_conn_id": "dags_test", "to": f"{address('dags_test')}; later@corp.test"}
    done = airflow.command("dags", "test", "durable_dags_test", "--conf", json.dumps(conf))

    output = done.stdout + done.stderr
    assert output.count("SendMailTaskBegin") == 2, output
    assert len(stage.delivered("dags_test")) == 1
