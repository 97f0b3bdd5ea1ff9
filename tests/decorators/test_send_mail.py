"""What the decorator takes; what it sends is tested with DAGs of its own."""

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_smtp_cm.decorators.send_mail import send_mail_task


def report():
    return "Text"


def test_it_takes_the_arguments_of_the_operator():
    task = send_mail_task(to="bob@corp.test", on_uncertain="resend", retries=7)(report)().operator

    assert (task.to, task.on_uncertain, task.retries) == ("bob@corp.test", "resend", 7)
    assert task.task_id == "report"


def test_it_needs_no_arguments():
    assert send_mail_task(report)().operator.smtp_conn_id == "smtp_cm_default"


def test_an_argument_that_the_operator_lacks_is_an_error_of_the_dag():
    with pytest.raises((TypeError, AirflowException), match="'recipients'"):
        send_mail_task(recipients="bob@corp.test")(report)()


def test_the_text_comes_from_the_function_alone():
    with pytest.raises(TypeError, match="'message_source'"):
        send_mail_task(message_source="Text")(report)()
