"""A person is asked in Airflow's UI about messages whose delivery is uncertain; the delivered copies are counted.

All tasks run in parallel; each test answers one of them.
"""

import re
from collections import Counter
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect as expect_page

from tests.live.dags.asking import MESSAGES
from tests.live.stage import Stage
from tests.servers.faulty_proxy import Point
from tests.servers.scripted import expect, expect_content, say

UNCERTAIN, AGAIN = 30, 12
# The merge is killed at its message HELD, counted from 1, which the server accepts. The record then has 30 messages
# as being sent, FIRST to LAST, counted from 0.
HELD, FIRST, LAST = 100, 91, 120

HELLO = [say("220 hi"), expect("EHLO"), say("250 hi"), expect("MAIL"), say("250 ok"), expect("RCPT"), say("250 ok")]
CONTENT = [expect("DATA"), say("354 go on"), expect_content()]


@pytest.fixture(scope="module")
def stage(airflow, postfix, certificates):
    """All tasks: most of them were killed while they waited for the final reply; of two, the connection broke."""
    with ExitStack() as stack:
        stage = Stage(airflow, postfix, certificates, stack)
        for name in ("again", "count", "fail", "cleared"):
            stage.hold(name, Point.FINAL)
            stage.start("asks", name)
        stage.hold("many", Point.FINAL, port="bare", message=HELD)
        stage.start("asks_of_many", "many")
        stage.kill()
        yield stage


@pytest.fixture
def answer(page, stage):
    """Return a function that answers a task's question in the UI."""

    def answer(name, option):
        page.goto(stage.wait_for_question(name))
        press(page, option)

    return answer


def press(page, option):
    page.get_by_test_id(f"hitl-option-{option}").click()


def given(seen):
    (answer,) = seen.result["answers"]
    return answer["answer"]


def test_message_is_sent_again_with_its_message_id(page, stage, picture):
    page.goto(stage.wait_for_question("again"))
    expect_page(page.get_by_text("Was this message delivered? Payslip of March").first).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 1000})
    picture("question", page)
    (before,) = stage.delivered("again")
    expect_page(page.get_by_text(before).first).to_be_visible()
    press(page, "Send it again")
    seen = stage.seen("again")

    assert (seen.state, seen.tries, given(seen)) == ("success", 2, "Send it again")
    assert seen.delivered == [before, before] == [seen.result["message_id"]] * 2
    assert re.search(r"SendMailTaskInfo: .+ answered “Send it again”\.", seen.log)


def test_message_that_counts_as_sent_is_not_sent_again(answer, stage):
    answer("count", "Count it as sent")
    seen = stage.seen("count")

    assert (seen.state, seen.tries, given(seen)) == ("success", 2, "Count it as sent")
    assert seen.delivered == [seen.result["message_id"]]


def test_answer_fail_fails_the_task(answer, stage):
    answer("fail", "Fail")
    seen = stage.seen("fail")

    assert (seen.state, seen.tries, len(seen.delivered)) == ("failed", 2, 1)
    assert "answered “Fail”" in seen.log


def test_task_that_is_cleared_while_its_question_is_open_sends_the_message_again(stage):
    stage.wait_for_question("cleared")
    stage.clear("cleared")
    seen = stage.seen("cleared")

    assert (seen.state, seen.tries) == ("success", 3)
    assert len(set(seen.delivered)) == len(seen.delivered) == 2
    assert "answers" not in seen.result


def test_only_the_chosen_messages_of_a_merge_are_sent_again(page, stage, picture):
    page.set_viewport_size({"width": 1280, "height": 2000})
    page.goto(stage.wait_for_question("many"))
    expect_page(page.get_by_text(f"Were these {UNCERTAIN} of {MESSAGES} messages delivered?").first).to_be_visible()
    before = stage.delivered("many")
    field = page.get_by_role("combobox", name="Select one or multiple values")
    for number in range(LAST - AGAIN + 1, LAST + 1):
        field.fill(f"{number}: carol")
        page.get_by_role("option", name=re.compile(f"^{number}: carol")).click()
    picture("question-of-many", page)
    press(page, "Send the selected again")
    seen = stage.seen("many")

    assert (seen.state, seen.tries, given(seen)) == ("success", 2, "Send the selected again")
    assert len(before) == MESSAGES - UNCERTAIN + HELD - FIRST
    assert len(seen.delivered) == len(before) + AGAIN
    assert Counter(Counter(seen.delivered).values()).keys() == {1}
    assert (seen.result["sent"], seen.result["assumed_sent"]) == (MESSAGES, UNCERTAIN - AGAIN)


def test_question_is_mailed_with_a_link_to_its_page(page, stage, mails):
    """The task is a mapped one. Delivery becomes uncertain in the only try, and nothing is killed."""
    hello = [*HELLO, expect("RCPT"), say("250 ok")]
    server = stage.script("by_mail", [*hello, *CONTENT], [*hello, *CONTENT, say("250 ok")])
    stage.start_mapped("asks_by_mail", "by_mail")
    (received,) = mails("asks_by_mail.send[0]: Was this message delivered? Payslip of March")
    text = received.message.get_body(("plain",)).get_content()
    stage.wait_for_question("by_mail")
    page.goto(re.search(r"^Answer in Airflow: (.+)$", text, re.MULTILINE)[1])
    press(page, "Send it again")
    seen = stage.seen("by_mail")

    assert (seen.state, seen.tries, given(seen)) == ("success", 1, "Send it again")
    assert server.received.count(f"\r\nMessage-ID: {seen.result['message_id']}\r\n".encode()) == 2


def test_question_without_an_answer_has_the_default_after_its_time(stage):
    server = stage.script("timeout", [*HELLO, *CONTENT])
    stage.start("asks_for_half_a_minute", "timeout")
    seen = stage.seen("timeout")

    assert (seen.state, seen.tries) == ("success", 1)
    assert seen.result["answers"][0] | {"at": None} == {"answer": "Count it as sent", "by": None, "at": None}
    assert server.commands.count("DATA") == 1
