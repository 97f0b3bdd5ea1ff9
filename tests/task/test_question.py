"""The text of a question, and its answer."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import mask_secret

from airflow_smtp_cm.task.question import CHOSEN, SEND_CHOSEN, Answer, Question, Uncertain

AT = datetime(2026, 3, 29, 9, 30, tzinfo=UTC)
REASON = "An earlier try ended before the server confirmed the message"


def uncertain(number=None, **changes):
    given = {
        "message_id": f"<{number or 0}@corp.test>",
        "recipients": ("bob@corp.test",),
        "subject": "Payslip of March",
        "reason": REASON,
        "number": number,
    }
    return Uncertain(**given | changes)


def question(*messages, of=200, timeout=None, default="fail"):
    return Question(
        messages=messages or (uncertain(),),
        of=of,
        server="mail.corp.test:587",
        transmitted_at=AT.timestamp(),
        timeout=timeout,
        default=default,
        asked_at=AT + timedelta(minutes=1),
    )


def markup(asked):
    """Return a question's body without its code spans."""
    return re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", asked.body)


def answer(option, *chosen, default="fail", **changes):
    event = {
        "chosen_options": [option],
        "params_input": {CHOSEN: list(chosen)},
        "responded_at": AT,
        "responded_by_user": {"id": "7", "name": "alice"},
        "timedout": False,
    }
    return Answer.of(event | changes, default)


# --- the question about one message


def test_question_about_one_message_has_all_that_is_known_of_it():
    asked = question()

    assert asked.subject == "Was this message delivered? Payslip of March"
    assert [line for line in asked.body.splitlines() if line.startswith("- ")][:6] == [
        "- Subject: ` Payslip of March `",
        "- Message-ID: ` <0@corp.test> `",
        "- Recipients: ` bob@corp.test `",
        "- Server: ` mail.corp.test:587 `",
        "- Time: ` 2026-03-29 09:30:00 UTC `",
        f"- Reason: ` {REASON} `",
    ]
    assert asked.options == ["Send it again", "Count it as sent", "Fail"]
    assert (asked.params, asked.defaults) == ({}, None)


def test_question_has_the_commands_that_search_the_logs_of_exchange_and_postfix():
    body = question(uncertain(message_id="<it's@corp.test>")).body

    assert "` Get-MessageTrackingLog -MessageId '<it''s@corp.test>' | " in body
    assert """` grep -F 'message-id=<it'"'"'s@corp.test>' /var/log/mail.log""" in body


def test_every_option_is_explained():
    for asked in (question(), question(uncertain(1), uncertain(2))):
        for option in asked.options:
            assert f"- **{option}**: " in asked.body


def test_of_many_recipients_the_question_names_some_and_the_number_of_the_others():
    everybody = tuple(f"bob+{number}@corp.test" for number in range(1_012))

    assert "bob+9@corp.test and 1,002 more" in question(uncertain(recipients=everybody)).body


@pytest.mark.parametrize(
    "text",
    [
        "a\n\n# b",
        "`` a ` b ```",
        "` ![](http://evil.test/x)",
        "a\r\n![](http://evil.test/x)",
        "a\u2028b\x1b[0m",
        "    <script>",
    ],
)
def test_texts_of_a_message_are_no_markup(text):
    """Everything that comes from outside stands in code spans, each on one line."""
    hostile = {"subject": text, "recipients": (text,), "reason": text}
    for harmless in ((uncertain(),), (uncertain(1), uncertain(2))):
        asked = question(*(message._replace(**hostile) for message in harmless))
        assert markup(asked) == markup(question(*harmless))
        assert all(line.isprintable() for line in asked.body.split("\n"))
        assert asked.subject.isprintable()


def test_question_has_no_secrets():
    mask_secret("Looking-Glass-1!")
    told = {"subject": "Key Looking-Glass-1!", "recipients": ("Looking-Glass-1!@corp.test",)}
    asked = question(uncertain(1, **told), uncertain(2, **told, reason="535 Looking-Glass-1!"))
    one = question(uncertain(**told, reason="535 Looking-Glass-1!"))

    assert "Looking-Glass-1!" not in f"{asked.subject}{asked.body}{asked.params}{one.subject}{one.body}"
    assert "Key ***" in one.body


# --- the question about many messages


def test_question_about_many_messages_lists_them_to_a_readable_number():
    asked = question(*(uncertain(number) for number in range(60)))

    assert asked.subject == "Were these 60 of 200 messages delivered?"
    assert "- ` messages[49] <49@corp.test> ` ` 49: bob@corp.test: Payslip of March `\n" in asked.body
    assert "messages[50]" not in asked.body
    assert "And 10 more; the task's log has all." in asked.body
    assert asked.body.count(REASON) == 1


def test_messages_to_send_again_are_chosen_from_a_list_of_all():
    asked = question(*(uncertain(number) for number in range(1, 61)))
    param = asked.params[CHOSEN]

    assert param["value"] == []
    assert len(param["schema"]["examples"]) == 60
    assert param["schema"]["values_display"]["messages[7] <7@corp.test>"] == "7: bob@corp.test: Payslip of March"
    assert asked.options == ["Send all again", SEND_CHOSEN, "Count all as sent", "Fail"]


# --- without an answer


@pytest.mark.parametrize(
    ("default", "one", "many"),
    [("fail", "Fail", "Fail"), ("assume_sent", "Count it as sent", "Count all as sent")],
)
def test_default_is_the_answer_after_the_timeout(default, one, many):
    limits = {"timeout": timedelta(hours=4), "default": default}

    assert question(**limits).defaults == [one]
    assert question(uncertain(1), uncertain(2), **limits).defaults == [many]
    assert f"Without an answer until 2026-03-29 13:31:00 UTC, it is **{one}**." in question(**limits).body


def test_default_is_no_answer_of_a_person():
    given = answer("Fail", responded_by_user=None, timedout=True)

    assert str(given) == "Nobody answered in time: “Fail”"
    assert given.as_json() == {"answer": "Fail", "by": None, "at": "2026-03-29T09:30:00+00:00"}


def test_time_that_is_over_without_a_default_in_airflow_has_the_default_of_the_task():
    """Airflow keeps the first question of a task, which may have had none."""
    event = {"error": "The response timeout has passed without a response.", "error_type": "timeout"}

    assert Answer.of(event, "assume_sent").for_message("messages[1]") == "assume_sent"
    assert Answer.of(event, "fail").for_message("messages[1]") == "fail"


# --- the answer

NAMES = ["messages[0] <0@corp.test>", "messages[1] <1@corp.test>"]


@pytest.mark.parametrize(
    ("option", "choice"),
    [
        ("Send it again", "resend"),
        ("Send all again", "resend"),
        ("Count it as sent", "assume_sent"),
        ("Count all as sent", "assume_sent"),
        ("Fail", "fail"),
        ("An option of another version", "fail"),
    ],
)
def test_answer_is_for_all_messages(option, choice):
    assert answer(option).for_message("messages[1] <1@corp.test>") == choice


def test_answer_may_be_for_some_messages_and_the_others_count_as_sent():
    given = answer(SEND_CHOSEN, "messages[1] <1@corp.test>")

    assert given.for_message("messages[1] <1@corp.test>") == "resend"
    assert given.for_message("messages[2] <2@corp.test>") == "assume_sent"
    assert str(given) == f"alice answered “{SEND_CHOSEN}” (1 selected)"


def test_list_without_a_message_decides_nothing():
    """The list is null if all of its messages were removed again."""
    for given in (answer(SEND_CHOSEN), answer(SEND_CHOSEN, params_input={CHOSEN: None})):
        assert not given.decides(NAMES)


@pytest.mark.parametrize(
    "chosen", [["messages[2]"], [NAMES[0], "messages[2]"], "1", 1, [1], {"value": NAMES}], ids=str
)
def test_list_with_anything_but_the_open_messages_decides_nothing(chosen):
    """Airflow's API accepts any value."""
    assert not answer(SEND_CHOSEN, params_input={CHOSEN: chosen}).decides(NAMES)


def test_name_need_not_be_in_a_list():
    assert answer(SEND_CHOSEN, params_input={CHOSEN: NAMES[0]}).chosen == (NAMES[0],)


def test_list_has_no_effect_on_other_answers():
    assert answer("Count all as sent", "messages[1]").for_message("messages[1]") == "assume_sent"
    assert answer("Count all as sent", "messages[2]").decides(NAMES)


def test_user_without_a_name_has_an_id():
    assert answer("Fail", responded_by_user={"id": "7", "name": ""}).by == "7"
