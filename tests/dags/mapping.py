"""DAGs whose mapped tasks are shown by what they send; the tests define the connection ``mail``."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import dag, task

from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.operators.send_mail import SendMailOperator

MANY = [f"somebody-{number}@corp.test" for number in range(100)]

MESSAGES = [
    {"to": "Bob <bob@corp.test>", "subject": "Invoice {{ 40 + 2 }}"},
    {"to": ["bob@corp.test", "carol@corp.test"], "subject": "2026"},
    {"cc": "carol@corp.test", "subject": "{{ 2026 }}"},
    {"to": MANY, "subject": "Long " * 100},
    {"to": "bob@corp.test;\n carol@corp.test", "subject": "{{ conn.mail.password }}"},
    {"to": "bob", "subject": "{{ '{{' }} 1 / 0 }}"},
    {"bcc": "dave@corp.test"},
]


@dag(schedule=None)
def mapped_by_kwargs() -> None:
    """Send what a list of fields says."""
    SendMailOperator.partial(task_id="send", smtp_conn_id="mail").expand_kwargs(MESSAGES)


@dag(schedule=None, render_template_as_native_obj=True)
def mapped_natively() -> None:
    """The same; and no label may turn into a number or a dict."""
    SendMailOperator.partial(task_id="send", smtp_conn_id="mail").expand_kwargs(MESSAGES)


@dag(schedule=None)
def mapped_under_names() -> None:
    """Send to some, whom the UI shows as the DAG's author says."""
    SendMailOperator.partial(
        task_id="send", smtp_conn_id="mail", subject="Hello", map_index_template="Mail for {{ task.to }}"
    ).expand(to=["bob@corp.test", "carol@corp.test"])


@dag(schedule=None)
def mapped_function() -> None:
    """Send what a function returns for each of some names."""

    @task.send_mail(smtp_conn_id="mail", to="bob@corp.test", subject="Hello")
    def send(name: str) -> str | MailMessage:
        if name == "Bob":
            return f"Hello, {name}.\n"
        return MailMessage(from_email="alice@corp.test", to=f"{name}@corp.test", subject=f"For {name}", text="Hi")

    send.expand(name=["Bob", "carol"])


mapped_by_kwargs()
mapped_natively()
mapped_under_names()
mapped_function()
