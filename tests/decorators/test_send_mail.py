"""The arguments of the decorator; the mail is tested with DAGs, in tests/operators."""

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_smtp_cm.decorators.send_mail import send_mail_task


def report():
    return "Text"


def test_it_has_the_arguments_of_the_operator():
    task = send_mail_task(to="bob@corp.test", on_uncertain="resend", retries=7)(report)().operator

    assert (task.to, task.on_uncertain, task.retries) == ("bob@corp.test", "resend", 7)
    assert task.task_id == "report"


def test_it_needs_no_arguments():
    assert send_mail_task(report)().operator.smtp_conn_id == "smtp_cm_default"


def test_unknown_argument_is_an_error_when_the_dag_is_parsed():
    with pytest.raises((TypeError, AirflowException), match="'recipients'"):
        send_mail_task(recipients="bob@corp.test")(report)()


def test_the_text_comes_only_from_the_function():
    with pytest.raises(TypeError, match="'message_source'"):
        send_mail_task(message_source="Text")(report)()
