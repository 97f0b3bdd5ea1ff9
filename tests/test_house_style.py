"""The house style in everything that sends mail: ``[smtp_cm] subject_prefix`` and ``html_template``."""

from __future__ import annotations

import asyncio

import pytest

from airflow_smtp_cm.decorators.send_mail import send_mail_task
from airflow_smtp_cm.email_backend import send_email
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from tests.airflow_versions import since_3_1
from tests.failing import fails_permanently

HTML = "<p>Hello</p>"


@pytest.fixture
def template(tmp_path):
    file = tmp_path / "house.html"
    file.write_text("<body>{% block content %}{% endblock %}<footer>Corp</footer></body>")
    return file


@pytest.fixture(autouse=True)
def style(monkeypatch, template):
    monkeypatch.setenv("AIRFLOW__SMTP_CM__SUBJECT_PREFIX", "[Airflow]")
    monkeypatch.setenv("AIRFLOW__SMTP_CM__HTML_TEMPLATE", str(template))


def by_operator(**fields):
    SendMailOperator(task_id="send", to="bob@corp.test", subject="Hello", html_content=HTML, **fields).execute({})


def by_item(**fields):
    item = {"subject": "Hello", "html_content": HTML, **fields}
    SendMailOperator(task_id="send", to="bob@corp.test", messages=[item]).execute({})


def by_function(**fields):
    @send_mail_task(to="bob@corp.test", subject="Hello")
    def send():
        return {"html_content": HTML, **fields}

    send().operator.execute({})


def by_notifier(**fields):
    SendMailNotifier(to="bob@corp.test", subject="Hello", html_content=HTML, **fields).notify({})


def by_async_notifier(**fields):
    async def notify():
        await SendMailNotifier(to="bob@corp.test", subject="Hello", html_content=HTML, context={}, **fields)

    asyncio.run(notify())


def by_email_backend(**fields):
    send_email("bob@corp.test", "Hello", HTML, **fields)


TASKS = [by_operator, by_item, by_function]
ALERTS = [by_notifier, pytest.param(by_async_notifier, marks=since_3_1), by_email_backend]


def sent(server):
    (received,) = server.outbox
    html = received.message.get_body(("html",))
    return received.message["Subject"], html and html.get_content().strip()


@pytest.mark.parametrize("send", [*TASKS, *ALERTS])
def test_style_is_applied(server, send):
    send()

    assert sent(server) == ("[Airflow] Hello", "<body><p>Hello</p><footer>Corp</footer></body>")


@pytest.mark.parametrize("send", [*TASKS, *ALERTS])
def test_one_message_can_opt_out(server, send):
    send(house_style=False)

    assert sent(server) == ("Hello", HTML)


def test_none_means_that_it_is_applied(server):
    by_operator(house_style=None)

    assert sent(server)[0] == "[Airflow] Hello"


def test_text_of_a_row_means_true_or_false(server):
    by_item(house_style="False")
    with fails_permanently(match='house_style: "perhaps" is neither True nor False'):
        by_item(house_style="perhaps")

    assert sent(server)[0] == "Hello"


def test_text_has_only_the_prefix(server):
    SendMailOperator(task_id="send", to="bob@corp.test", subject="Hello", message_source="Text").execute({})

    assert sent(server) == ("[Airflow] Hello", None)


def test_default_text_of_a_notifier_is_in_the_template_once(server):
    SendMailNotifier(to="bob@corp.test").notify({"run_id": "manual__1"})

    subject, html = sent(server)
    assert subject == "[Airflow] Airflow: notice"
    assert html.startswith("<body><table>")
    assert html.count("<body") == html.count("Corp") == 1


def test_whole_message_of_a_function_is_unchanged(server):
    @send_mail_task
    def send():
        return MailMessage(from_email="alice@corp.test", to="bob@corp.test", subject="Hello", html=HTML)

    send().operator.execute({})

    assert sent(server) == ("Hello", HTML)


def test_redirection_is_shown_before_the_prefix(server, monkeypatch):
    monkeypatch.setenv("AIRFLOW__SMTP_CM__REDIRECT_ALL_TO", "staging@corp.test")
    by_operator()

    assert sent(server)[0] == "[to bob@corp.test] [Airflow] Hello"


@pytest.mark.parametrize("send", TASKS)
def test_nothing_is_sent_if_the_template_cannot_be_used_unless_the_message_opts_out(server, template, send):
    template.unlink()
    with fails_permanently(match=r"html_content: \[smtp_cm\] html_template: The file"):
        send()
    assert server.outbox == []

    send(house_style=False)
    assert len(server.outbox) == 1


@pytest.mark.parametrize("send", ALERTS)
def test_alert_is_sent_without_a_template_that_cannot_be_used(server, template, caplog, send):
    template.unlink()
    send()

    assert sent(server) == ("[Airflow] Hello", HTML)
    assert "The alert is sent without it." in caplog.text


@pytest.mark.parametrize("send", ALERTS)
def test_prefix_of_any_length_stops_no_alert(server, monkeypatch, send):
    monkeypatch.setenv("AIRFLOW__SMTP_CM__SUBJECT_PREFIX", "x\n" * 40_000)
    send()

    assert sent(server)[0].startswith("x x x")
