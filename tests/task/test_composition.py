"""Fields of a task as text and lines; whole messages are tested with the operator, in tests/operators."""

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.mail.addresses import parse_lines
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.task.composition import lines_of, shown_line
from tests.connections import connection
from tests.mail.strategies import addresses

written = st.lists(addresses.map(str), max_size=3)


@given(written, st.sampled_from([list, tuple, lambda lines: set(lines) or []]))
def test_list_of_addresses_is_read_and_its_text_is_rejected_with_advice(lines, collection):
    assert sorted(map(str, parse_lines(lines_of(collection(lines))))) == sorted(
        map(str, parse_lines(list(collection(lines))))
    )
    with pytest.raises(InvalidMessage, match="Pass the output of the task itself"):
        lines_of(str(collection(lines)))


@given(written)
def test_line_of_addresses_is_not_taken_for_the_text_of_a_list(lines):
    line = "; ".join(lines)
    assert lines_of(line) == line


@given(st.recursive(st.none() | st.floats() | st.binary() | st.text(), lambda items: st.lists(items, max_size=3)))
def test_any_value_is_read_or_rejected_and_can_be_shown(value):
    try:
        lines = lines_of(value)
    except InvalidMessage:
        lines = []
    assert isinstance(lines, str) or all(isinstance(line, str) for line in lines)
    assert isinstance(shown_line(value), str)


class Missing:
    """A missing value as that of pandas: it is neither true nor false."""

    def __bool__(self):
        raise TypeError

    def __str__(self):
        return "<NA>"


@pytest.mark.parametrize("name", ["to", "subject", "html_content", "attachments", "headers"])
def test_missing_value_of_pandas_is_an_error_in_every_field(define, name):
    define(connection(host="mail.corp.test", from_email="a@corp.test"))
    operator = SendMailOperator(task_id="send", messages=[{"to": "b@corp.test", name: Missing()}])

    with pytest.raises((InvalidMessage, AirflowFailException), match=rf"messages\[0\]: {name}: .* not Missing"):
        operator.execute({})


@pytest.mark.parametrize("value", [["Text"], ("Text",), {"a": 1}, {"Text"}, b"Text", range(3)])
@pytest.mark.parametrize("name", ["subject", "message_source", "html_content"])
def test_collection_in_a_row_is_not_a_text(define, name, value):
    define(connection(host="mail.corp.test", from_email="a@corp.test"))
    operator = SendMailOperator(task_id="send", messages=[{"to": "b@corp.test", name: value}])

    with pytest.raises((InvalidMessage, AirflowFailException), match=rf"\]: {name}: It must be text, not "):
        operator.execute({})


def test_collection_in_a_header_is_not_a_text(define):
    define(connection(host="mail.corp.test", from_email="a@corp.test"))
    operator = SendMailOperator(task_id="send", to="b@corp.test", headers={"X-A": ["a", "b"], "X-B": {}})

    with pytest.raises((InvalidMessage, AirflowFailException), match='"X-A": It must be text, not list') as raised:
        operator.execute({})
    assert '"X-B": It must be text, not dict' in str(raised.value)
