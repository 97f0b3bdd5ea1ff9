"""DAGs that mail, through the connection ``mail``; the tests define it."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, Param, dag, task

from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator

PARAMS = {"to": Param("bob@corp.test", type="string")}
AT_ONCE = {"retries": 2, "retry_delay": timedelta(0)}


@task
def write_files() -> list[str]:
    """Write two files and return their paths."""
    folder = Path(tempfile.mkdtemp())
    paths = [folder / "one.txt", folder / "two.bin"]
    for path in paths:
        path.write_bytes(path.name.encode())
    return [str(path) for path in paths]


@task
def find_recipients() -> list[str]:
    """Return a list of lines, as a query might."""
    return ["Bob <bob@corp.test>", "carol@corp.test; dave@corp.test"]


@dag(schedule=None, params=PARAMS)
def retried() -> None:
    """Send one message, with retries."""
    SendMailOperator(
        task_id="send",
        smtp_conn_id="mail",
        to="{{ params.to }}",
        subject="Try {{ ti.try_number }} of {{ run_id }}",
        message_source="Hello.\n",
        **AT_ONCE,
    )


@dag(schedule=None)
def mapped() -> None:
    """Send a message of its own to everybody."""
    SendMailOperator.partial(task_id="send", smtp_conn_id="mail", subject="For you alone").expand(
        to=["bob@corp.test", "carol@corp.test", "dave@corp.test"]
    )


@dag(schedule=None)
def mapped_over_a_task() -> None:
    """The same, to those whom another task finds."""
    SendMailOperator.partial(task_id="send", smtp_conn_id="mail", subject="For you alone").expand(
        to=find_recipients()
    )


@dag(schedule=None)
def composed() -> None:
    """Send what other tasks return."""
    SendMailOperator(
        task_id="send",
        smtp_conn_id="mail",
        to=find_recipients(),
        subject="Files",
        message_source="See there.\n",
        attachments=write_files(),
    )


@dag(schedule=None, render_template_as_native_obj=True)
def native() -> None:
    """Send what native templates make of the fields: lists, numbers, None."""
    found, written = find_recipients(), write_files()
    send = SendMailOperator(
        task_id="send",
        smtp_conn_id="{{ 'mail' }}",
        to="{{ ti.xcom_pull(task_ids='find_recipients') }}",
        cc="{{ none }}",
        subject="{{ 2026 }}",
        priority="{{ 1 }}",
        message_source="{{ 12 }}",
        html_content="{{ none }}",
        attachments="{{ ti.xcom_pull(task_ids='write_files') }}",
        headers={"X-Try": "{{ ti.try_number }}"},
    )
    [found, written] >> send


@dag(schedule=None)
def from_variable() -> None:
    """Send the text of an Airflow Variable."""
    SendMailOperator(
        task_id="send",
        smtp_conn_id="mail",
        to="bob@corp.test",
        subject="Terms",
        message_source_type="Variable",
        message_source="terms",
        **AT_ONCE,
    )


retried()
mapped()
mapped_over_a_task()
composed()
native()
from_variable()


@dag(schedule=None)
def decorated() -> None:
    """Mail what functions return."""

    @task.send_mail(smtp_conn_id="mail", to="bob@corp.test", subject="A text from {{ run_id }}")
    def text(name: str) -> str:
        return f"Hello, {name}. {{{{ not a template }}}}\n"

    @task.send_mail(smtp_conn_id="mail", to="bob@corp.test")
    def fields() -> dict:
        return {"subject": "Fields", "message_source": "Text", "cc": "carol@corp.test"}

    @task.send_mail(smtp_conn_id="mail")
    def message() -> MailMessage:
        return MailMessage(from_email="alice@corp.test", to="dave@corp.test", subject="A message", text="Ready")

    @task.send_mail(smtp_conn_id="mail", to="bob@corp.test")
    def nonsense() -> dict:
        return {"recipient": "bob@corp.test"}

    text("Bob")
    fields()
    message()
    nonsense()


def disabled_tasks() -> None:
    """Send nothing, since templates say so; nor ask a function for anything."""
    SendMailOperator(task_id="operator", smtp_conn_id="nowhere", disable="{{ 1 < 2 }}")

    @task.send_mail(smtp_conn_id="nowhere", disable="{{ 1 < 2 }}")
    def function() -> str:
        raise AssertionError("It is called.")

    @task.send_mail(smtp_conn_id="nowhere")
    def fields() -> dict[str, bool]:
        return {"disable": True}

    function()
    fields()


for name, native in {"disabled": False, "disabled_natively": True}.items():
    with DAG(name, schedule=None, render_template_as_native_obj=native):
        disabled_tasks()


@dag(schedule=None)
def failing() -> None:
    """Tell about a failure: by a notifier of the task, and of the run."""

    @task(on_failure_callback=SendMailNotifier(smtp_conn_id="mail", to="ops@corp.test"))
    def fail() -> None:
        raise ValueError("No rows")

    fail()


@task
def find_customers() -> list[dict[str, str]]:
    """Return the fields of a message for each, as a query might; they are no templates."""
    return [{"to": f"{name}@corp.test", "subject": f"Hello {name} {{{{ 1 / 0 }}}}"} for name in ("ann", "ben")]


@dag(schedule=None)
def merged() -> None:
    """Send many messages in one task: those that another task returns."""
    SendMailOperator(
        task_id="send", smtp_conn_id="mail", message_source="Run {{ run_id }}", messages=find_customers(), **AT_ONCE
    )


@dag(schedule=None)
def merged_templates() -> None:
    """The same, with a list of templates."""
    SendMailOperator(
        task_id="send",
        smtp_conn_id="mail",
        messages=[
            {"to": "{{ dag.dag_id }}@corp.test", "headers": {"X-Run": "{{ run_id }}"}},
            {"to": "ben@corp.test"},
        ],
        subject="Hello",
        **AT_ONCE,
    )


@dag(schedule=None)
def merged_function() -> None:
    """The same, with what a function returns."""

    @task.send_mail(smtp_conn_id="mail", subject="Hello")
    def send() -> list[dict[str, str]]:
        return [{"to": "ann@corp.test"}, {"to": "ben@corp.test", "message_source": "{{ 1 / 0 }}"}]

    send()


@dag(schedule=None)
def merged_and_mapped() -> None:
    """Send many messages in each of some tasks."""
    SendMailOperator.partial(task_id="send", smtp_conn_id="mail", subject="Hello").expand(
        messages=[[{"to": "ann@corp.test"}], [{"to": "ben@corp.test"}, {"to": "cleo@corp.test"}]]
    )


decorated()
merged()
merged_templates()
merged_function()
merged_and_mapped()
failing()
