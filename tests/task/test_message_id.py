"""The Message-ID of a task's mail: equal where a server should see the same message, else another."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.task.message_id import message_id_of

STARTED = datetime(2026, 5, 1, 12, 30, 15, 123456, UTC)


def context(*, started=STARTED, **ti):
    given = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1, "max_tries": 2}
    return {"ti": SimpleNamespace(**given | ti), "dag_run": SimpleNamespace(start_date=started)}


def test_it_is_in_the_senders_domain():
    assert message_id_of(context(), "Reports <reports@corp.test>").endswith("@corp.test>")


def test_automatic_retries_keep_it():
    first, second = (message_id_of(context(try_number=number), "a@corp.test") for number in (1, 2))

    assert first == second


@pytest.mark.parametrize(
    "other",
    [
        {"dag_id": "e"},
        {"run_id": "s"},
        {"task_id": "u"},
        {"map_index": 0},
        {"max_tries": 4},  # the user cleared the task
        {"started": STARTED.replace(microsecond=123457)},  # the same run in another deployment
    ],
    ids=str,
)
def test_another_task_another_run_and_a_clear_change_it(other):
    assert message_id_of(context(**other), "a@corp.test") != message_id_of(context(), "a@corp.test")


def test_names_do_not_run_into_each_other():
    one = message_id_of(context(dag_id="a", run_id="bc"), "a@corp.test")
    other = message_id_of(context(dag_id="ab", run_id="c"), "a@corp.test")

    assert one != other


def test_there_is_none_outside_of_a_task():
    assert message_id_of({}, "a@corp.test") is None


@pytest.mark.parametrize("sender", ["", None, "nobody", "a@x.test; b@y.test", "a@x.test\n", "a@b c.test"])
def test_there_is_none_for_a_sender_that_is_none(sender):
    """Whoever makes the message says what is wrong with it."""
    assert message_id_of(context(), sender) is None


@pytest.mark.parametrize("sender", ["a@[192.0.2.1]", "a@[IPv6:2001:db8::1]", "jörg@bücher.test", '"a b"@corp.test'])
def test_every_sender_has_a_valid_one(sender):
    message_id = message_id_of(context(), sender)

    assert MailMessage(from_email=sender, to="b@y.test", message_id=message_id).message_id == message_id


@given(st.text(), st.text(), st.text())
def test_whatever_tasks_are_called_it_is_valid(dag_id, run_id, task_id):
    message_id = message_id_of(context(dag_id=dag_id, run_id=run_id, task_id=task_id), "a@corp.test")

    assert MailMessage(from_email="a@corp.test", to="b@y.test", message_id=message_id).message_id == message_id
