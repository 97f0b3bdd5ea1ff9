"""The page for those who come from EmailOperator: it is complete, and its four faults do not exist here."""

from __future__ import annotations

import asyncio
import inspect
import re
from functools import partial
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.providers.smtp.operators.smtp import EmailOperator
from airflow.sdk import DAG

from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import RecipientsRefused, Refused
from tests.connections import anonymous, to_postfix
from tests.servers.scripted import expect, expect_content, say, scripted_peer

PAGE = (Path(__file__).parent.parent / "docs" / "from-email-operator.md").read_text()
TRANSACTION = [expect("MAIL"), say("250 ok"), expect("RCPT"), say("250 ok"), expect("DATA"), say("354 go on")]


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE)[1]


def arguments(*functions):
    parameters = [item for function in functions for item in inspect.signature(function).parameters.values()]
    return {item.name for item in parameters if item.kind is not item.VAR_KEYWORD} - {"self"}


@pytest.mark.parametrize(
    ("title", "functions"),
    [
        ("EmailOperator", [EmailOperator.__init__]),
        ("SmtpNotifier", [SmtpNotifier.__init__]),
        ("SmtpHook", [SmtpHook.__init__]),
    ],
)
def test_page_has_every_argument(title, functions):
    first_cells = "".join(re.findall(r"^\|(.*?)\|", section(title), re.MULTILINE))

    assert arguments(*functions) - set(re.findall(r"`(\w+)`", first_cells)) == set()


def test_page_has_every_argument_of_the_hooks_methods():
    shown = set(re.findall(r"`(\w+)`", section("SmtpHook") + section("EmailOperator")))

    assert arguments(SmtpHook.send_email_smtp, SmtpHook.asend_email_smtp) - shown == set()


def test_page_has_every_field_of_the_connection():
    from airflow.providers.smtp.get_provider_info import get_provider_info  # noqa: PLC0415 - only for this test

    (connection_type,) = get_provider_info()["connection-types"]
    shown = set(re.findall(r"`(\w+)`", section("Connection")))

    assert connection_type["conn-fields"].keys() - shown == set()


@pytest.mark.parametrize(
    ("ours", "theirs"), [(SendMailOperator, EmailOperator), (SendMailNotifier, SmtpNotifier), (SmtpCmHook, SmtpHook)]
)
def test_old_argument_is_an_error_that_names_the_new_one(ours, theirs):
    own = {"task_id": "send"} if ours is SendMailOperator else {}
    for name in arguments(theirs.__init__) - arguments(ours.__init__):
        with pytest.raises((TypeError, AirflowException), match=f"'{name}'.*Instead of {name}: ") as caught:
            ours(**own, **{name: "x"})
        new = re.search(rf"Instead of {name}: (?:use (\w+)|remove it)", str(caught.value))[1]
        assert new is None or new in arguments(ours.__init__)


def test_unknown_argument_is_airflows_error():
    for make in (SmtpCmHook, SendMailNotifier, partial(SendMailOperator, task_id="send")):
        with pytest.raises((TypeError, AirflowException), match="'recipients'") as caught:
            make(recipients="x")
        assert "Instead of" not in str(caught.value)


def test_starttls_with_asyncio_sends_the_message(server):
    """The server accepts no mail without STARTTLS."""

    async def main():
        message = MailMessage(from_email="a@corp.test", to="bob@corp.test", subject="By the hook")
        await SmtpCmHook().asend(message)
        await SendMailNotifier(to="bob@corp.test", subject="By the notifier", context={})

    asyncio.run(main())

    assert [received.message["Subject"] for received in server.outbox] == ["By the hook", "By the notifier"]
    assert {received.tls_version for received in server.outbox} == {"TLSv1.3"}


def test_message_is_sent_once_if_the_server_replies_451_to_it(define):
    script = [
        say("220 hi"),
        expect("EHLO"),
        say("250 hi"),
        *TRANSACTION,
        expect_content(),
        say("451 4.3.0 try later"),
        expect("QUIT"),
        say("221 bye"),
    ]
    with scripted_peer(script) as peer:
        define(anonymous(peer.port))
        send = SendMailOperator(task_id="send", to="bob@corp.test", subject="Hello", message_source="Hello")
        with pytest.raises(Refused) as caught:
            send.execute({})

    assert caught.value.transient
    assert peer.received.count(b"\r\nMessage-ID: ") == 1


def test_task_fails_and_names_the_refused_recipient_and_the_others_get_the_message(postfix, certificates, define):
    define(to_postfix(postfix, certificates))
    message = MailMessage(from_email="a@corp.test", to="bob@corp.test; refused@corp.test", subject="Hello")
    with pytest.raises(RecipientsRefused, match=r"refused@corp\.test"):
        SmtpCmHook().send(message)
    postfix.wait_for_message(message.message_id)

    send = SendMailOperator(task_id="send", to="bob@corp.test; refused@corp.test", subject="Hello")
    with pytest.raises(Exception, match=r"refused@corp\.test: 5\d\d "):
        send.execute({})


@pytest.mark.parametrize("name", ["figures.html", "figures.HTM", "figures.jinja", "figures.html.j2", "figures.txt"])
def test_attachment_is_no_template_whatever_its_name(server, tmp_path, name):
    file = tmp_path / name
    file.write_text("<p>{{ 1 / 0 }}</p>")
    with DAG("report", schedule=None, template_searchpath=str(tmp_path)):
        send = SendMailOperator(task_id="send", to="bob@corp.test", subject="Hello", attachments=[str(file)])
    send.render_template_fields({})
    send.execute({})

    ((attachment,),) = [list(received.message.iter_attachments()) for received in server.outbox]
    assert attachment.get_filename() == name
    assert attachment.get_payload(decode=True) == b"<p>{{ 1 / 0 }}</p>"
