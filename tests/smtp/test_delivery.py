"""Messages through real servers, read from the mailbox; round trips are counted."""

from __future__ import annotations

import pytest

from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.content_transfer import INLINE_LIMIT
from airflow_smtp_cm.smtp.delivery_notification import DeliveryNotification
from airflow_smtp_cm.smtp.effects import Read, Write
from airflow_smtp_cm.smtp.errors import MessageError, Phase, RecipientsRefused, Refused
from airflow_smtp_cm.smtp.settings import Settings, TlsMode
from airflow_smtp_cm.smtp.transport import SocketTransport
from tests.servers.postfix import SIZE_LIMIT
from tests.smtp.outgoing import Note

CHUNKING = "CHUNKING "


@pytest.fixture
def connect(postfix, submission):
    """Return a function that opens a client to one of Postfix's ports, logged in as alice.

    CHUNKING in capital letters before the port's name means that the client uses it.
    """

    def connect(port: str = "default", **settings) -> SmtpClient:
        if port.startswith(CHUNKING):
            port, settings["chunking"] = port.removeprefix(CHUNKING), True
        mode = TlsMode.IMPLICIT if port == "smtps" else TlsMode.STARTTLS
        return SmtpClient.open(submission(postfix.port(port), mode=mode, **settings))

    return connect


@pytest.fixture
def round_trips(monkeypatch) -> list[int]:
    """Count how often the client waited after it had sent something; the list has this number."""
    count, has_written = [0], [False]
    perform = SocketTransport._perform

    def counting(self, effect):
        if isinstance(effect, Write):
            has_written[0] = True
        elif isinstance(effect, Read) and has_written[0]:
            has_written[0] = False
            count[0] += 1
        return perform(self, effect)

    monkeypatch.setattr(SocketTransport, "_perform", counting)
    return count


PORTS = [
    *("default", "smtps", "no_pipelining", "no_8bitmime", "no_smtputf8", "bare"),
    *(f"{CHUNKING}{port}" for port in ("default", "smtps", "no_pipelining", "no_chunking", "no_8bitmime")),
]
BODIES = {
    "plain": "Hello.\r\n",
    "dots": ".\r\n..\r\n.hidden\r\n\r\n.\r\n",
    "no line end": "the last line is not ended",
    "larger than a pipeline": "0123456789 " * (INLINE_LIMIT // 10),
}


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("body", BODIES)
def test_a_message_arrives_unchanged(postfix, connect, port, body):
    lines = [BODIES[body][start : start + 900] for start in range(0, len(BODIES[body]), 900)]
    note = Note(text="\r\n".join(lines))
    with connect(port) as client:
        result = client.send(note)
    assert result.accepted == ("bob@corp.test",)
    assert result.refused == ()
    assert result.reply.code == 250
    assert result.message_id == note.message_id
    arrived = postfix.wait_for_message(note.message_id)
    assert arrived.get_content().rstrip("\n") == note.text.replace("\r\n", "\n").rstrip("\n")


@pytest.mark.parametrize("port", PORTS)
def test_a_mime_message_arrives_complete_with_any_extensions(postfix, connect, port, tmp_path):
    attachment = tmp_path / "Übersicht.bin"
    attachment.write_bytes(bytes(range(256)) * 2000)
    message = MailMessage(
        from_email="Alice Ä <alice@corp.test>",
        to='"Doe, Bob" <bob@corp.test>; carol@corp.test',
        subject="Größe: 5 €",
        text="Grüße\n.\n",
        html="<p>Grüße</p>",
        attachments=[str(attachment)],
    )
    with connect(port) as client:
        result = client.send(message)
    assert result.accepted == ("bob@corp.test", "carol@corp.test")
    for user in ("bob", "carol"):
        arrived = postfix.wait_for_message(message.message_id, user)
        assert arrived["Subject"] == "Größe: 5 €"
        assert arrived.get_body(("plain",)).get_content().splitlines() == ["Grüße", "."]
        (file,) = arrived.iter_attachments()
        assert file.get_filename() == attachment.name
        assert file.get_content() == attachment.read_bytes()


def test_a_non_ascii_mailbox_is_reached_with_smtputf8(postfix, connect):
    message = MailMessage(from_email="alice@corp.test", to="bøb@corp.test", subject="ø", text="ø")
    with connect() as client:
        client.send(message)
    assert postfix.wait_for_message(message.message_id, "bøb").get_content() == "ø\n"


@pytest.mark.parametrize("local_part", ["bob+a..b", "bob+a."])
def test_a_mailbox_with_dots_that_need_quotes_is_reached(postfix, connect, local_part):
    """The grammar of RFC 5321 wants quotes around them, in commands and headers."""
    message = MailMessage(from_email="Doe, Alice <alice@corp.test>", to=f"Bob <{local_part}@corp.test>", text="Hi")
    with connect() as client:
        result = client.send(message)
    assert result.accepted == (f'"{local_part}"@corp.test',)
    arrived = postfix.wait_for_bytes(message.message_id).decode()
    assert f'\nX-Original-To: "{local_part}"@corp.test\n' in arrived
    assert f'\nTo: Bob <"{local_part}"@corp.test>\n' in arrived
    assert '\nFrom: "Doe, Alice" <alice@corp.test>\n' in arrived


def test_a_non_ascii_mailbox_is_an_error_without_smtputf8(connect):
    message = MailMessage(from_email="alice@corp.test", to="bøb@corp.test", subject="s", text="t")
    with connect("no_smtputf8") as client:
        with pytest.raises(MessageError, match="SMTPUTF8"):
            client.send(message)
        client.noop()


@pytest.mark.parametrize("recipients", [1, 10, 100, 500])
@pytest.mark.parametrize(
    ("port", "expected"), [("default", 2), (f"{CHUNKING}default", 1), (f"{CHUNKING}no_chunking", 2)]
)
def test_a_small_message_needs_two_round_trips_with_data_and_one_with_bdat(
    connect, round_trips, recipients, port, expected
):
    note = Note(recipients=tuple(f"postmaster+{number}@corp.test" for number in range(recipients)))
    with connect(port) as client:
        before = round_trips[0]
        result = client.send(note)
        assert round_trips[0] - before == expected
    assert len(result.accepted) == recipients


def test_pipelining_can_be_turned_off(connect, round_trips):
    with connect(pipelining=False) as client:
        before = round_trips[0]
        client.send(Note(recipients=("bob@corp.test", "carol@corp.test")))
        assert round_trips[0] - before == 5


def test_several_messages_are_sent_over_one_connection(postfix, connect):
    notes = [Note() for _ in range(5)]
    with connect() as client:
        for note in notes:
            client.send(note)
    for note in notes:
        postfix.wait_for_message(note.message_id)


MIXED = ("bob@corp.test", "refused@corp.test", "later@corp.test", "carol@corp.test")
PARTIAL_PORTS = ["default", "no_pipelining", f"{CHUNKING}default"]


@pytest.mark.parametrize("port", PARTIAL_PORTS)
def test_refused_recipients_are_named_after_the_others_have_the_message(postfix, connect, port):
    note = Note(recipients=MIXED)
    with connect(port) as client:
        with pytest.raises(
            RecipientsRefused, match=r"refused@corp\.test: 550 5\.1\.1 .*later@corp\.test: 451"
        ) as raised:
            client.send(note)
        client.send(Note())
    error = raised.value
    assert error.result.accepted == ("bob@corp.test", "carol@corp.test")
    assert [(refusal.address, refusal.reply.code) for refusal in error.refused] == [
        ("refused@corp.test", 550),
        ("later@corp.test", 451),
    ]
    assert not error.transient
    for user in ("bob", "carol"):
        postfix.wait_for_message(note.message_id, user)


@pytest.mark.parametrize("port", PARTIAL_PORTS)
def test_all_or_nothing_sends_to_nobody_if_a_recipient_is_refused(postfix, connect, port):
    note, later = Note(recipients=MIXED), Note()
    with connect(port) as client:
        with pytest.raises(RecipientsRefused, match="not sent to anybody, since all_or_nothing") as raised:
            client.send(note, all_or_nothing=True)
        client.send(later, all_or_nothing=True)
    assert raised.value.result is None
    postfix.wait_for_message(later.message_id)
    assert postfix.copies()[note.message_id] == 0


@pytest.mark.parametrize("port", PARTIAL_PORTS)
@pytest.mark.parametrize(
    ("recipients", "transient"),
    [
        (("refused@corp.test",), False),
        (("later@corp.test",), True),
        (("later@corp.test", "refused@corp.test"), False),
    ],
)
def test_if_all_recipients_are_refused_the_replies_decide_on_a_retry(connect, port, recipients, transient):
    with connect(port) as client:
        with pytest.raises(RecipientsRefused, match="The message was not delivered to anybody") as raised:
            client.send(Note(recipients=recipients))
        client.send(Note())
    assert raised.value.result is None
    assert raised.value.transient is transient


@pytest.mark.parametrize("port", PARTIAL_PORTS)
def test_a_refused_sender_is_the_error_even_if_recipients_are_refused_too(connect, port):
    with connect(port) as client:
        with pytest.raises(Refused, match=r"refused the sender blocked@corp\.test: 550 5\.7\.1") as raised:
            client.send(Note(sender="blocked@corp.test", recipients=MIXED))
        client.send(Note())
    assert raised.value.phase is Phase.MAIL


def test_a_message_over_the_announced_limit_is_not_sent(connect, round_trips):
    with connect("small") as client:
        before = round_trips[0]
        with pytest.raises(MessageError, match=r"accepts at most 20,000"):
            client.send(Note(text="x\r\n" * SIZE_LIMIT))
        assert round_trips[0] == before
        client.send(Note())


def test_a_message_over_a_limit_that_was_not_announced_is_refused(connect):
    with connect("small_unannounced") as client, pytest.raises(Refused, match=r"552 5\.3\.4") as raised:
        client.send(Note(text="x\r\n" * SIZE_LIMIT))
    assert not raised.value.transient


def test_a_delivery_notification_arrives_if_it_was_requested(postfix, connect):
    note = Note()
    asked = DeliveryNotification(notify=("SUCCESS",), envelope_id=note.message_id)
    with connect() as client:
        client.send(note, notification=asked)
    report = postfix.wait_for_message(lambda message: note.message_id in message.as_string(), "alice")
    assert report.get_content_type() == "multipart/report"


def test_delivery_notifications_are_an_error_if_they_are_not_offered(connect):
    with connect("bare") as client, pytest.raises(MessageError, match="does not offer DSN"):
        client.send(Note(), notification=DeliveryNotification(notify=("SUCCESS",)))


@pytest.mark.parametrize("chunking", [False, True], ids=["DATA", "BDAT"])
def test_mail_is_sent_through_dovecot(dovecot, kdc, submission, chunking):
    note = Note()
    with SmtpClient.open(submission(dovecot.port, kerberos=kdc.ticket(), chunking=chunking)) as client:
        assert client.send(note).reply.code == 250
    assert dovecot.wait_for_message(note.message_id)["From"] == "alice@corp.test"


def test_anonymous_mail_needs_no_login(postfix):
    note = Note()
    with SmtpClient.open(Settings(host="127.0.0.1", port=postfix.port("no_auth"))) as client:
        assert client.login is None
        client.send(note)
    postfix.wait_for_message(note.message_id)
