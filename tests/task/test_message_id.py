"""The Message-ID of a task's mail: the same for the same message, else different."""

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


def test_it_has_the_domain_of_the_sender():
    assert message_id_of(context(), "Reports <reports@corp.test>").endswith("@corp.test>")


def test_it_is_the_same_in_automatic_retries():
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
def test_it_changes_with_the_task_the_run_and_a_clear(other):
    assert message_id_of(context(**other), "a@corp.test") != message_id_of(context(), "a@corp.test")


def test_it_differs_if_names_are_divided_differently():
    one = message_id_of(context(dag_id="a", run_id="bc"), "a@corp.test")
    other = message_id_of(context(dag_id="ab", run_id="c"), "a@corp.test")

    assert one != other


def test_there_is_none_outside_a_task():
    assert message_id_of({}, "a@corp.test") is None


@pytest.mark.parametrize("sender", ["", None, "nobody", "a@x.test; b@y.test", "a@x.test\nb", "a@b c.test"])
def test_there_is_none_for_an_invalid_sender(sender):
    """The problem is reported when the message is built."""
    assert message_id_of(context(), sender) is None


@pytest.mark.parametrize("sender", ["a@[192.0.2.1]", "a@[IPv6:2001:db8::1]", "jörg@bücher.test", '"a b"@corp.test'])
def test_it_is_valid_for_every_sender(sender):
    message_id = message_id_of(context(), sender)

    assert MailMessage(from_email=sender, to="b@y.test", message_id=message_id).message_id == message_id


@given(st.text(), st.text(), st.text())
def test_it_is_valid_for_all_names_of_tasks(dag_id, run_id, task_id):
    message_id = message_id_of(context(dag_id=dag_id, run_id=run_id, task_id=task_id), "a@corp.test")

    assert MailMessage(from_email="a@corp.test", to="b@y.test", message_id=message_id).message_id == message_id
