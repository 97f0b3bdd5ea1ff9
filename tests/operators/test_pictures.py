"""Pictures in the HTML of operator, notifier, decorator and back end, and the text beside it, as they arrive."""

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_smtp_cm.email_backend import send_email
from airflow_smtp_cm.mail import Attachment
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from tests.connections import anonymous
from tests.failing import fails_permanently
from tests.mail.pictures import PNG, png, references
from tests.servers.scripted import expect, say, scripted_peer

HTML = '<p>Hello</p><img src="cid:sales.png" alt="Sales">'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, with an image."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sales.png").write_bytes(PNG)


def run(**fields):
    given = {"to": "bob@corp.test", "subject": "Hello"} | fields
    return SendMailOperator(task_id="send", **given).execute({})


def seen(received):
    """Return the plain text, and the picture that the HTML names."""
    message = received.message
    (name,) = references(message.get_body(("html",)).get_content())
    (picture,) = [part.get_content() for part in message.walk() if part["Content-ID"] == name]
    return message.get_body(("plain",)).get_content(), picture


SENT = ("Hello\n\n[Sales]", PNG)


def test_operator(server):
    run(html_content=HTML, attachments="sales.png")
    run(html_content=HTML.replace("cid:", ""), embed_images=True)
    assert [seen(received) for received in server.outbox] == [SENT, SENT]


def test_messages_of_one_task(server):
    run(messages=[{"html_content": HTML}, {"to": "carol@corp.test", "html_content": HTML}], attachments="sales.png")
    run(messages=[{}, {"html_content": HTML.replace("cid:", "./")}], html_content=HTML.replace("cid:", ""),
        embed_images=True)  # fmt: skip
    assert [seen(received) for received in server.outbox] == [SENT] * 4


def test_notifier(smtp_cm_server):
    context = {"dag": DAG("pictures", schedule=None)}
    given = {"to": "bob@corp.test", "subject": "a"}
    SendMailNotifier(html_content=HTML, attachments="sales.png", **given)(context)
    SendMailNotifier(html_content=HTML.replace("cid:", ""), embed_images=True, text_part=True, **given)(context)
    assert [seen(received) for received in smtp_cm_server.outbox] == [SENT, SENT]


def test_decorator(server):
    with DAG("pictures", schedule=None):

        @task.send_mail(to="bob@corp.test", subject="a")
        def with_bytes():
            return {"html_content": HTML, "attachments": Attachment(PNG, "sales.png")}

        @task.send_mail(to="bob@corp.test", subject="a")
        def with_path():
            return {"html_content": HTML.replace("cid:", ""), "embed_images": True}

        for function in (with_bytes, with_path):
            function().operator.execute({})
    assert [seen(received) for received in server.outbox] == [SENT, SENT]


def test_back_end(server):
    send_email("bob@corp.test", "a", HTML, files=["sales.png"], mime_subtype="related", conn_id="mail")
    assert seen(server.outbox[0]) == SENT


@pytest.mark.parametrize("switch", [False, "False", None])
def test_images_are_embedded_only_if_asked_for(server, switch):
    run(html_content='<img src="sales.png">', embed_images=switch)
    assert server.outbox[0].message.get_content() == '<img src="sales.png">\n'


def test_an_own_text_is_sent_as_it_is(server):
    run(message_source="Own", html_content=HTML, attachments="sales.png")
    assert seen(server.outbox[0]) == ("Own", PNG)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"html_content": HTML}, 'html: The HTML names "cid:sales.png", but no attachment has this name.'),
        ({"html_content": HTML, "attachments": [png(content=b"")]}, '"cid:sales.png" is empty (0 bytes).'),
        ({"html_content": HTML, "attachments": [png(), png()]}, "and 2 attachments have this name."),
        ({"html_content": '<img src="nowhere.png">', "embed_images": True},
         'html_content: <img src="nowhere.png">: Either the file "nowhere.png" does not exist'),
        ({"html_content": "<p>a", "embed_images": "maybe"}, 'embed_images: "maybe" is neither True nor False.'),
        ({"html_content": "<p>a", "text_part": 2}, 'text_part: "2" is neither True nor False.'),
    ],
)  # fmt: skip
def test_bad_input_is_an_error_before_anything_is_sent(server, fields, problem):
    with fails_permanently() as caught:
        run(**fields)
    assert problem in str(caught.value)
    assert server.outbox == []


def test_size_is_checked_with_everything_in(define):
    """The picture alone is smaller than the limit, and the message is not: base64 makes it a third larger."""
    session = [say("220 hi"), expect("EHLO"), say("250-hi", "250 SIZE 100000"), expect("QUIT"), say("221 bye")]
    with scripted_peer(session) as peer:
        define(anonymous(peer.port))
        with fails_permanently(match="accepts at most 100,000"):
            run(html_content=HTML, attachments=Attachment(bytes(80_000), "sales.png"))
    assert [command.split()[0] for command in peer.commands] == ["EHLO", "QUIT"]
