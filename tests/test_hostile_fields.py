"""Fields that templates fill with hostile text: rejected before the client connects."""

from __future__ import annotations

import asyncio
import select
import socket

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_smtp_cm.characters.control import forbidden
from airflow_smtp_cm.decorators.send_mail import send_mail_task
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from tests.connections import anonymous
from tests.servers.processes import LOOPBACK

CONTROLS = ["\r\n", "\n", "\r", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"]
LINE_ENDS = ["\r\n", "\n", "\r"]
UNSENDABLE = ["\0", "\ud800"]  # the characters that a body must not contain
FINE = {
    "smtp_conn_id": "smtp_cm_default",
    "from_email": "alice@corp.test",
    "to": "bob@corp.test",
    "cc": "carol@corp.test",
    "bcc": "dave@corp.test",
    "subject": "Hello",
    "priority": "High",
    "message_source_type": "DirectInput",
    "message_source": "Text",
    "html_content": "<p>Text",
    "attachments": "/etc/hostname",
    "reply_to": "alice@corp.test",
    "headers": "value",
}
# For each place of a text, the fields that have it there; by default the field of that name.
PLACES = {
    **{field: lambda text, field=field: {field: text} for field in FINE},
    "headers": lambda text: {"headers": {"X-Own": text}},
    "a header's name": lambda text: {"headers": {f"X-{text}": "value"}},
    "one of several recipients": lambda text: {"to": ["bob@corp.test", text]},
    "one of several attachments": lambda text: {"attachments": ["/etc/hostname", text]},
    "a file to read": lambda text: {"message_source_type": "FileConnection", "message_source": text},
    "a Variable to read": lambda text: {"message_source_type": "Variable", "message_source": text},
}


def rejected_in(place):
    if place in BODIES:
        return UNSENDABLE
    # In a subject, line ends become blanks.
    return [control for control in CONTROLS if place != "subject" or control not in LINE_ENDS]


ADDRESSES = ("from_email", "to", "cc", "bcc", "reply_to", "one of several recipients")
BODIES = ("message_source", "html_content")


def operator(fields, context):
    task = SendMailOperator(task_id="send", **fields)
    task.render_template_fields(context)
    task.execute(context)


def one_of_several(fields, context):
    of_the_task = {name: value for name, value in fields.items() if name == "smtp_conn_id"}
    of_the_item = {name: value for name, value in fields.items() if name != "smtp_conn_id"}
    operator(of_the_task | {"messages": [of_the_item]}, context)


def decorator(fields, context):
    @send_mail_task(**{name: value for name, value in fields.items() if not name.startswith("message_source")})
    def send():
        kind = fields.get("message_source_type", "DirectInput")
        source = fields.get("message_source", "Text")
        return {name: _filled(value) for name, value in (("message_source_type", kind), ("message_source", source))}

    def _filled(value):
        return value.replace("{{ text }}", context["text"])

    task = send().operator
    task.render_template_fields(context)
    task.execute(context)


def notifier(fields, context):
    SendMailNotifier(**fields)(context)


def notifier_on_asyncio(fields, context):
    async def main():
        await SendMailNotifier(**fields, context=context)

    asyncio.run(main())


NOTIFIERS = [notifier, notifier_on_asyncio]
WAYS = [operator, one_of_several, decorator, *NOTIFIERS]
# What a notifier repairs instead, because an alert must not be lost.
REPAIRED = ("subject", "headers", *BODIES)
REJECTED = [(way, place) for way in WAYS for place in PLACES if way not in NOTIFIERS or place not in REPAIRED]


@pytest.fixture
def never_connected(monkeypatch):
    """Let the default connection point to a server, and assert that nothing connects to it."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", anonymous(listener.getsockname()[1], timeout=1))
        yield
        assert select.select([listener], [], [], 0)[0] == []


def test_every_templated_field_is_tested():
    fields = {*SendMailOperator.template_fields, *SendMailNotifier.template_fields}
    assert fields - {"disable", "messages"} == FINE.keys() <= PLACES.keys()


@pytest.mark.usefixtures("never_connected")
def test_error_of_a_switch_shows_no_control_characters():
    with pytest.raises(AirflowFailException) as caught:
        operator({"to": "bob@corp.test", "disable": "{{ text }}"}, {"text": "no\r\nBcc: eve@evil.test"})
    assert not forbidden(str(caught.value))


@pytest.mark.usefixtures("never_connected")
@pytest.mark.parametrize(("way", "place"), REJECTED, ids=lambda value: getattr(value, "__name__", value))
def test_control_characters_are_rejected_before_the_client_connects(way, place):
    fine = "/etc/hostname" if "attach" in place or "file" in place else FINE.get(place, "bob@corp.test")
    for control in rejected_in(place):
        texts = [f"{fine}{control}Bcc: eve@evil.test"]
        if control == "\n" and "attach" not in place and place not in ADDRESSES:  # white space around them is removed
            texts += [f"{fine}{control}", f"{control}{fine}"]
        for text in texts:
            fields = {"to": "bob@corp.test", "subject": "Hello"} | PLACES[place]("{{ text }}")
            with pytest.raises((AirflowFailException, InvalidMessage)) as caught:
                way(fields, {"text": text})
            assert not forbidden(str(caught.value).replace("\n", ""))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_line_end_in_a_subject_adds_no_header(server, way):
    for end in LINE_ENDS:
        way({"to": "bob@corp.test", "subject": "{{ text }}"}, {"text": f"Hello{end}Bcc: eve@evil.test"})

        received = server.outbox.pop()
        assert received.recipients == ("bob@corp.test",)
        assert received.message["Subject"] == "Hello Bcc: eve@evil.test"
        assert received.message["Bcc"] is None


@pytest.mark.parametrize("place", REPAIRED)
@pytest.mark.parametrize("way", NOTIFIERS, ids=lambda way: way.__name__)
def test_notifier_sends_its_texts_without_control_characters(server, way, place):
    for control in CONTROLS:
        fields = {"to": "bob@corp.test", "subject": "Hello"} | PLACES[place]("{{ text }}")
        way(fields, {"text": f"Text{control}Bcc: eve@evil.test"})

        received = server.outbox.pop()
        assert received.recipients == ("bob@corp.test",)
        assert received.message["Bcc"] is None
