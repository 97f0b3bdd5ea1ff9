"""The arguments of the decorator; the mail is tested with DAGs, in tests/operators."""

from decimal import Decimal
from math import nan

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_smtp_cm.decorators.send_mail import send_mail_task
from airflow_smtp_cm.mail import MailMessage
from tests.failing import fails_permanently


def report():
    return "Text"


def test_it_has_the_arguments_of_the_operator():
    task = send_mail_task(to="bob@corp.test", on_uncertain="resend", retries=7)(report)().operator

    assert (task.to, task.on_uncertain, task.retries) == ("bob@corp.test", "resend", 7)
    assert task.task_id == "report"


def test_limits_are_for_the_messages_that_the_function_returns():
    task = send_mail_task(messages_per_minute=5, max_messages_per_connection=20)(report)().operator

    assert (task.messages_per_minute, task.max_messages_per_connection) == (5, 20)


def test_it_needs_no_arguments():
    assert send_mail_task(report)().operator.smtp_conn_id == "smtp_cm_default"


def test_unknown_argument_is_an_error_when_the_dag_is_parsed():
    with pytest.raises((TypeError, AirflowException), match="'recipients'"):
        send_mail_task(recipients="bob@corp.test")(report)()


def test_argument_of_email_operator_is_an_error_that_names_the_new_one():
    with pytest.raises((TypeError, AirflowException), match="Instead of conn_id: use smtp_conn_id"):
        send_mail_task(conn_id="smtp_default")(report)()


@pytest.mark.usefixtures("server")
def test_field_of_email_operator_is_an_error_that_names_the_new_one():
    assert refusal({"files": ["/data/a.csv"]}).endswith(
        "returned a dict with files. Instead of files: use attachments."
    )


def test_the_text_comes_only_from_the_function():
    with pytest.raises(TypeError, match="'message_source'"):
        send_mail_task(message_source="Text")(report)()


def send(value, **fields):
    """Send what a function returns."""

    def report():
        return value

    given = {"to": "bob@corp.test", "subject": "Hello"} | fields
    send_mail_task(**given)(report)().operator.execute({})


def test_a_message_without_a_sender_is_from_the_connections(server):
    send(MailMessage(to="bob@corp.test"))

    assert server.outbox[0].sender == "reports@corp.test"


def refusal(value, **fields):
    with fails_permanently() as caught:
        send(value, **fields)
    return str(caught.value)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (5, "int 5"),
        (nan, "float nan"),
        (Decimal("1.5"), "Decimal 1.5"),
        (True, "bool True"),
        (b"Text", "bytes"),
        (None, "NoneType"),
        (("Text",), "tuple"),
    ],
)
def test_it_must_return_text_a_message_a_dict_or_a_list(value, kind):
    problem = refusal(value)

    assert problem.startswith("A function under @task.send_mail must return the text, ")
    assert problem.endswith(f"; report returned an object of type {kind}.")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("value", [5, nan, "Text", b"Text", None, []])
def test_each_item_of_a_list_must_be_a_dict(value):
    problem = refusal([value]).splitlines()[0]

    assert problem == f"messages[0]: It must be a mapping, not {type(value).__name__}."


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("field", ["subject", "message_source", "html_content"])
@pytest.mark.parametrize(
    ("value", "kind"), [(5, "int 5"), (nan, "float nan"), (b"Text", "bytes"), (["Text"], "list"), ({}, "dict")]
)
def test_texts_that_it_returns_must_be_text(field, value, kind):
    """No template has rendered them, so a number is a mistake."""
    problem = f"{field}: It must be text, not {kind}."

    assert refusal({field: value}) == problem
    assert refusal([{}, {field: value}]).splitlines()[0] == f"messages[1]: {problem}"
    for collection in (list, tuple):
        messages = collection([{field: value}])
        assert refusal({"messages": messages}).splitlines()[0] == f"messages[0]: {problem}"


@pytest.mark.usefixtures("server")
def test_all_problems_with_what_it_returns_are_reported_at_once():
    problems = refusal({"to": nan, "cc": b"a@x", "subject": 5, "message_source": b"Text", "priority": nan})

    assert [problem.partition(":")[0] for problem in problems.splitlines()] == [
        *("message_source", "to", "cc", "subject", "priority")
    ]


def test_own_arguments_may_be_numbers_of_native_templates(server):
    send("Text", subject=2026)

    assert server.outbox[0].message["Subject"] == "2026"


def test_none_in_a_dict_is_the_value_of_the_decorator(server):
    send({"message_source": "Text", "to": None, "subject": None, "priority": None, "cc": None}, priority="High")

    (received,) = server.outbox
    assert received.recipients == ("bob@corp.test",)
    assert (received.message["Subject"], received.message["X-Priority"]) == ("Hello", "1")


def test_none_as_messages_does_not_send_a_message_of_the_decorator(server):
    assert refusal({"messages": None}) == "messages: It must be a list of mappings, not NoneType."
    assert server.outbox == []
