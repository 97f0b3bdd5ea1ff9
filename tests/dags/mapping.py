"""DAGs whose mapped tasks have labels; the tests define the connection ``mail``."""

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
    """Send a message for each dict of a list."""
    SendMailOperator.partial(task_id="send", smtp_conn_id="mail").expand_kwargs(MESSAGES)


@dag(schedule=None, render_template_as_native_obj=True)
def mapped_natively() -> None:
    """Send the same messages with native templates; no label may become a number or a dict."""
    SendMailOperator.partial(task_id="send", smtp_conn_id="mail").expand_kwargs(MESSAGES)


@dag(schedule=None)
def mapped_under_names() -> None:
    """Send messages with a map_index_template of the DAG's author."""
    SendMailOperator.partial(
        task_id="send", smtp_conn_id="mail", subject="Hello", map_index_template="Mail for {{ task.to }}"
    ).expand(to=["bob@corp.test", "carol@corp.test"])


@dag(schedule=None)
def mapped_function() -> None:
    """Send the message that a function returns for each name."""

    @task.send_mail(smtp_conn_id="mail", to="bob@corp.test", subject="Hello")
    def send(name: str) -> str | MailMessage:
        if name == "Bob":
            return f"Hello, {name}.\n"
        return MailMessage(from_email="alice@corp.test", to=f"{name}@corp.test", subject=f"For {name}", text="Hi")

    send.expand(name=["Bob", "carol"])


@dag(schedule=None)
def mapped_over_rows() -> None:
    """Send a message for each row of SQL; most of the second row's columns are empty."""

    @task
    def rows() -> list[dict[str, str | None]]:
        full = {
            "smtp_conn_id": "mail",
            "from_email": "alice@corp.test",
            "to": "bob@corp.test",
            "cc": "carol@corp.test",
            "bcc": "dave@corp.test",
            "subject": "Full",
            "priority": "High",
            "message_source_type": "DirectInput",
            "message_source": "Text",
            "html_content": "<p>Text",
            "text_part": "True",
            "embed_images": None,
            "attachments": "/etc/hostname",
            "reply_to": "alice@corp.test",
            "headers": None,
            "house_style": None,
            "messages": None,
            "messages_per_minute": None,
            "max_messages_per_connection": None,
            "disable": "False",
            "all_or_nothing": None,
            "durable": None,
            "on_uncertain": "fail",
        }
        return [full, dict.fromkeys(full) | {"to": "bob@corp.test", "subject": "Empty"}]

    SendMailOperator.partial(task_id="send").expand_kwargs(rows())


mapped_by_kwargs()
mapped_natively()
mapped_over_rows()
mapped_under_names()
mapped_function()
