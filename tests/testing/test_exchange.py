"""The personality of Exchange, and how the client behaves with it: each row of what is known about Exchange."""

from __future__ import annotations

import asyncio
import re
import select
import smtplib
import socket
import ssl
import time
from base64 import b64decode, b64encode
from contextlib import closing, contextmanager

import pytest
import spnego

from airflow_smtp_cm.mail import Attachment
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.smtp import authentication
from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.delivery_notification import DeliveryNotification
from airflow_smtp_cm.smtp.errors import (
    AuthenticationNotOffered,
    AuthenticationRefused,
    DeliveryUncertain,
    MessageError,
    Phase,
    RecipientsRefused,
    Refused,
)
from airflow_smtp_cm.testing import SmtpTestServer
from airflow_smtp_cm.testing import exchange as personality
from tests.patience import impatient_in
from tests.servers.processes import PATIENCE_SECONDS, wait_until
from tests.testing.managers import ALICE, PASSWORD, manager

HOST = "EXCH01.corp.example"


@contextmanager
def exchange(**connector):
    with SmtpTestServer(users={ALICE: PASSWORD}, personality="exchange", **connector) as server:
        yield server


WITHOUT_TLS = {"enable_ssl": False, "server_name": None, "ca_bundle": None}
ANONYMOUS = {"use_windows_authentication": False, "username": None, "password": None}


def mail(**given):
    return MailMessage(**{"from_email": "alice@corp.test", "to": "bob@corp.test", "subject": "Hello"} | given)


@contextmanager
def dialogue(server, *, tls=False):
    """A client that knows nothing of the rules: Python's own."""
    with closing(smtplib.SMTP(server.host, server.port, timeout=PATIENCE_SECONDS)) as client:
        if tls:
            client.starttls(context=ssl.create_default_context(cafile=server.ca_bundle))
        yield client


def offer(client) -> list[str]:
    _, reply = client.ehlo()
    return reply.decode().splitlines()[1:]


# --- the beginning of a session


def test_greeting_names_the_server_and_exchange():
    with exchange() as server, socket.create_connection((server.host, server.port)) as sock:
        greeting = sock.makefile().readline()

    assert greeting.startswith(f"220 {HOST} Microsoft ESMTP MAIL Service ready at ")


def test_extensions_before_and_after_starttls():
    with exchange() as server, dialogue(server) as client:
        before = offer(client)
        client.starttls(context=ssl.create_default_context(cafile=server.ca_bundle))
        after = offer(client)

    assert before == [
        "SIZE 37748736",
        "PIPELINING",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "STARTTLS",
        "X-ANONYMOUSTLS",
        "AUTH NTLM",
        "X-EXPS GSSAPI NTLM",
        "8BITMIME",
        "BINARYMIME",
        "CHUNKING",
        "XRDST",
    ]
    assert [line for line in after if line not in before] == ["AUTH NTLM LOGIN"]
    assert [line for line in before if line not in after] == ["STARTTLS", "X-ANONYMOUSTLS", "AUTH NTLM"]


@pytest.mark.parametrize(
    ("connector", "line"),
    [
        ({"pipelining_enabled": False}, "PIPELINING"),
        ({"chunking_enabled": False}, "CHUNKING"),
        ({"chunking_enabled": False}, "BINARYMIME"),
        ({"binary_mime_enabled": False}, "BINARYMIME"),
        ({"eight_bit_mime_enabled": False}, "8BITMIME"),
        ({"delivery_status_notification_enabled": False}, "DSN"),
        ({"size_enabled": False}, "SIZE 37748736"),
        ({"auth_mechanism": ["Integrated"]}, "STARTTLS"),
        ({"auth_mechanism": ["Tls"]}, "AUTH"),
    ],
)
def test_extension_can_be_switched_off(connector, line):
    with exchange(**connector) as server, dialogue(server) as client:
        assert line not in offer(client)


def test_gssapi_is_offered_if_it_is_enabled():
    with exchange(enable_auth_gssapi=True) as server, dialogue(server, tls=True) as client:
        assert "AUTH GSSAPI NTLM LOGIN" in offer(client)
        assert client.docmd("AUTH GSSAPI") == (334, b"GSSAPI supported")


def test_login_goes_to_ntlm_if_there_is_no_kerberos():
    with exchange(enable_auth_gssapi=True) as server, manager(server).acquire() as client:
        client.send(mail())

    assert server.outbox[0].mechanism == "NTLM"


def test_command_before_ehlo_is_refused():
    """The server forgets EHLO when TLS starts (RFC 3207, section 4.2); the client sends it again."""
    with exchange() as server, dialogue(server) as client:
        client.starttls(context=ssl.create_default_context(cafile=server.ca_bundle))
        assert client.docmd("AUTH NTLM") == (503, b"5.5.2 Send hello first")

    with exchange() as server:
        manager(server).acquire().close()


def test_connections_from_one_address_are_limited():
    with exchange(max_inbound_connection_per_source=1) as server:
        with manager(server).acquire():
            with pytest.raises(Refused, match=r"421 4\.3\.2 The maximum number of concurrent connections") as caught:
                manager(server).acquire()
            assert caught.value.transient

        def may_connect_again():
            with socket.create_connection((server.host, server.port)) as sock:
                return sock.makefile().read(3) == "220"

        assert wait_until(may_connect_again)


# --- logging in


@pytest.mark.parametrize("tls", [{}, WITHOUT_TLS], ids=["TLS", "no TLS"])
@pytest.mark.parametrize("bare", [False, True], ids=["with initial response", "without"])
def test_ntlm_login(monkeypatch, tls, bare):
    """Without an initial response, the server's reply is text that is not base64: "NTLM supported"."""
    if bare:
        monkeypatch.setattr(authentication, "_MAX_COMMAND", 20)
    with exchange() as server, manager(server, **tls).acquire() as client:
        client.send(mail())

    (received,) = server.outbox
    assert (received.identity, received.mechanism) == (ALICE, "NTLM")
    assert received.tls_version == ("" if tls else "TLSv1.3")


def test_ntlm_without_initial_response_is_answered_with_words():
    with exchange() as server, dialogue(server) as client:
        client.ehlo()
        assert client.docmd("AUTH NTLM") == (334, b"NTLM supported")


def test_failed_login_is_answered_after_the_tarpit():
    with exchange(auth_tarpit_interval=0.3) as server:
        began = time.monotonic()
        with pytest.raises(AuthenticationRefused, match=r"535 5\.7\.3 Authentication unsuccessful"):
            manager(server, password="wrong").acquire()
        assert time.monotonic() - began >= 0.3


def test_login_with_a_password_in_clear_text_fails():
    with (
        exchange() as server,
        dialogue(server, tls=True) as client,
        pytest.raises(smtplib.SMTPAuthenticationError, match=r"5\.7\.3"),
    ):
        client.login(ALICE, PASSWORD)


def test_session_ends_after_too_many_failed_logins():
    with exchange(max_logon_failures=2, auth_tarpit_interval=0) as server, dialogue(server) as client:
        client.ehlo()
        assert client.docmd("AUTH NTLM !!")[0] == 535
        assert client.docmd("AUTH NTLM !!")[0] == 535
        assert client.getreply() == (421, b"4.7.0 Too many errors on this connection, closing transmission channel")
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()


@pytest.mark.parametrize("policy", ["None", "Require"])
@pytest.mark.parametrize("binding", ["tls-server-end-point", "none"])
def test_extended_protection(policy, binding):
    with exchange(extended_protection_policy=policy) as server:
        if policy == "Require" and binding == "none":
            with pytest.raises(AuthenticationRefused, match=r"5\.7\.3.* channel_binding is none, and the server may"):
                manager(server, channel_binding=binding).acquire()
        else:
            manager(server, channel_binding=binding).acquire().close()


def test_connector_for_exchange_servers_only_offers_clients_nothing():
    connector = {"auth_mechanism": ["Tls", "ExchangeServer"]}
    with exchange(**connector) as server, dialogue(server) as client:
        assert {"AUTH", "X-EXPS GSSAPI NTLM"} <= set(offer(client))
        assert client.docmd("AUTH NTLM") == (504, b"5.7.4 Unrecognized authentication type")

    with exchange(**connector) as server, pytest.raises(AuthenticationNotOffered):
        manager(server).acquire()


def test_mail_without_login_is_refused():
    with (
        exchange() as server,
        manager(server, **ANONYMOUS).acquire() as client,
        pytest.raises(Refused, match=r"530 5\.7\.57 SMTP; Client was not authenticated"),
    ):
        client.send(mail())


# --- sending


@pytest.mark.parametrize(
    "connector", [{}, {"chunking_enabled": False}, {"pipelining_enabled": False}, {"eight_bit_mime_enabled": False}]
)
def test_message_is_received(connector):
    message = mail(to="Bob <bob@corp.test>; carol@corp.test", text="Grüße\n.\n")
    with exchange(**connector) as server, manager(server).acquire() as client:
        result = client.send(message)

    (received,) = server.outbox
    assert received.recipients == ("bob@corp.test", "carol@corp.test")
    assert received.message.get_content().splitlines() == ["Grüße", "."]
    assert str(result.reply) == (
        f"250 2.6.0 {message.message_id} [InternalId=1, Hostname={HOST}] Queued mail for delivery"
    )


def test_asyncio_client_has_the_same_login_and_the_same_errors():
    async def send_twice(server):
        async with await AsyncSmtpClient.open(manager(server).settings()) as client:
            await client.send(mail())
            with pytest.raises(Refused, match=r"550 5\.7\.60 .*On Exchange: The account may not use this sender"):
                await client.send(mail(from_email="boss@corp.test"))

    with exchange(send_as={ALICE: ["alice@corp.test"]}) as server:
        asyncio.run(send_twice(server))

    assert [message.identity for message in server.outbox] == [ALICE]


def test_delivery_reports_may_be_requested():
    notification = DeliveryNotification(notify=("FAILURE", "DELAY"), envelope_id="nightly+1")
    with exchange() as server, manager(server).acquire() as client:
        client.send(mail(), notification=notification)

    assert len(server.outbox) == 1


def test_chunks_of_a_message_are_put_together():
    """RFC 3030, section 2; this package's client sends one chunk for each message."""
    with exchange() as server, dialogue(server) as client:
        log_in(client)
        client.mail("alice@corp.test", ["BODY=BINARYMIME"])
        client.rcpt("bob@corp.test")
        assert chunk(client, "BDAT 6", b"From: ") == (250, b"2.6.0 CHUNK received OK, 6 octets")
        assert chunk(client, "BDAT 24 LAST", b"alice@corp.test\r\n\r\nHello")[0] == 250

    assert server.outbox[0].content == b"From: alice@corp.test\r\n\r\nHello"


def test_chunk_without_a_recipient_is_refused_and_not_read_as_commands():
    with exchange() as server, dialogue(server) as client:
        log_in(client)
        assert chunk(client, "BDAT 6 LAST", b"NOOP\r\n") == (503, b"5.5.2 Need rcpt command")
        assert client.docmd("BDAT LAST") == (501, b"5.5.4 Invalid arguments")
        assert client.noop() == (250, b"2.0.0 OK")


def log_in(client):
    context = spnego.client(ALICE, PASSWORD, protocol="ntlm")
    client.ehlo()
    _, challenge = client.docmd("AUTH NTLM", b64encode(context.step()).decode())
    assert client.docmd(b64encode(context.step(b64decode(challenge))).decode())[0] == 235


def chunk(client, command, data):
    client.send(f"{command}\r\n".encode() + data)
    return client.getreply()


def test_recipients_above_the_limit_get_the_message_in_further_transactions():
    names = [f"{name}@corp.test" for name in "abcde"]
    with exchange(max_recipients_per_message=2) as server, manager(server).acquire() as client:
        result = client.send(mail(to=names))

    assert result.accepted == tuple(names)
    assert [len(received.recipients) for received in server.outbox] == [2, 2, 1]
    assert {received.message["Message-ID"] for received in server.outbox} == {result.message_id}


def test_recipients_above_the_limit_are_refused_with_all_or_nothing():
    with (
        exchange(max_recipients_per_message=2) as server,
        manager(server).acquire() as client,
        pytest.raises(RecipientsRefused, match=r"c@corp\.test: 452 4\.5\.3 Too many recipients"),
    ):
        client.send(mail(to=["a@corp.test", "b@corp.test", "c@corp.test"]), all_or_nothing=True)

    assert server.outbox == []


def test_user_may_send_only_as_the_given_addresses():
    send_as = {ALICE: ["Alice@corp.test", "reports@corp.test"]}
    with exchange(send_as=send_as) as server, manager(server).acquire() as client:
        client.send(mail())
        client.send(mail(from_email="Reports <reports@corp.test>"))
        with pytest.raises(Refused, match=r"550 5\.7\.60 SMTP; Client does not have permissions to send as this"):
            client.send(mail(from_email="boss@corp.test"))

    assert [message.sender for message in server.outbox] == ["alice@corp.test", "reports@corp.test"]


def test_sender_in_the_header_is_checked_too():
    """This package's client has the same address in both."""
    with exchange(send_as={ALICE: ["alice@corp.test"]}) as server, dialogue(server) as client:
        log_in(client)
        client.mail("alice@corp.test")
        client.rcpt("bob@corp.test")
        assert client.data("From: boss@corp.test\r\n\r\nHello")[0] == 550

    assert server.outbox == []


def test_messages_per_minute_are_limited(monkeypatch):
    monkeypatch.setattr(personality, "_MINUTE", PATIENCE_SECONDS)
    with exchange(message_rate_limit=2) as server, manager(server).acquire() as client:
        client.send(mail())
        client.send(mail())
        with pytest.raises(Refused, match=r"421 4\.4\.2 Message submission rate for this client") as caught:
            client.send(mail())

    assert caught.value.transient
    assert len(server.outbox) == 2


def test_header_above_the_limit_is_refused_after_the_content():
    many = ", ".join(f"recipient-{number}@corp.test" for number in range(100))
    with exchange(max_header_size=1024) as server, manager(server).acquire() as client:
        with pytest.raises(Refused, match=r"552 5\.3\.4 Header size exceeds fixed maximum size") as caught:
            client.send(mail(to=many))
        client.send(mail())

    assert not caught.value.transient
    assert len(server.outbox) == 1


def test_message_above_the_announced_size_is_not_sent():
    with (
        exchange(max_message_size=2000) as server,
        manager(server).acquire() as client,
        pytest.raises(MessageError, match="accepts at most 2,000"),
    ):
        client.send(mail(text="x\n" * 2000))


def test_received_message_has_the_bytes_of_a_binary_part_and_the_line_ends_of_python_in_texts():
    """A PNG begins with bytes that look like a line end."""
    files = [
        Attachment(content, name) for name, content in (("a.png", b"\x89PNG\r\n\x1a\n"), ("b.csv", b"1\r\n2\r\n"))
    ]
    with exchange() as server:
        with manager(server, chunking=True).acquire() as client:
            client.send(mail(text="Two\r\nlines", html="<p>a\nb", attachments=files))
        (received,) = server.outbox

    parts = [part for part in received.message.walk() if not part.is_multipart()]
    assert [part["Content-Transfer-Encoding"] for part in parts] == ["7bit", "7bit", "binary", "binary"]
    assert [part.get_content() for part in parts[:2]] == ["Two\nlines", "<p>a\nb"]
    assert [part.get_payload(decode=True) for part in parts[2:]] == [b"\x89PNG\r\n\x1a\n", b"1\r\n2\r\n"]


@pytest.mark.parametrize("chunking", [True, False])
def test_message_above_the_size_is_refused_if_it_is_not_announced(chunking):
    limits = {"max_message_size": 2000, "size_enabled": False, "chunking_enabled": chunking}
    with exchange(**limits) as server, manager(server).acquire() as client:
        with pytest.raises(Refused, match=r"552 5\.3\.4 Message size exceeds fixed maximum message size"):
            client.send(mail(text="x\n" * 2000))
        client.send(mail())

    assert len(server.outbox) == 1


def test_final_reply_may_be_late():
    with exchange(max_acknowledgement_delay=0.3) as server, manager(server).acquire() as client:
        assert client.send(mail()).seconds >= 0.3


def test_message_with_a_late_reply_has_arrived_even_if_the_client_gives_up(monkeypatch):
    impatient_in(Phase.FINAL, monkeypatch)
    with exchange(max_acknowledgement_delay=PATIENCE_SECONDS) as server:
        with pytest.raises(DeliveryUncertain), manager(server).acquire() as client:
            client.send(mail())

        assert wait_until(lambda: len(server.outbox) == 1)


def test_unknown_recipient_is_refused_and_the_others_get_the_message():
    with (
        exchange(unknown_recipients=["Nobody@corp.test"]) as server,
        manager(server).acquire() as client,
        pytest.raises(RecipientsRefused, match=r"nobody@corp\.test: 550 5\.1\.10 .* There is no such recipient"),
    ):
        client.send(mail(to="bob@corp.test, nobody@corp.test"))

    assert [received.recipients for received in server.outbox] == [("bob@corp.test",)]


@pytest.mark.parametrize(
    ("phase", "reply", "meaning"),
    [
        ("greeting", "421 4.3.2 Service not active", "in maintenance"),
        ("MAIL", "452 4.3.1 Insufficient system resources", "back pressure"),
        ("content", "451 4.7.0 Temporary server error. Please try again later. PRX5", "cannot reach the Transport"),
    ],
)
def test_server_gives_a_reply_of_the_test(phase, reply, meaning):
    with (
        exchange(replies={phase: reply}) as server,
        pytest.raises(Refused, match=f"{re.escape(reply)}.* On Exchange: .*{meaning}"),
        manager(server).acquire() as client,
    ):
        client.send(mail())

    assert server.outbox == []


def test_session_that_ends_before_the_final_reply_leaves_delivery_uncertain():
    with (
        exchange(replies={"content": "421 4.4.1 Connection timed out"}) as server,
        pytest.raises(DeliveryUncertain, match=r"421 4\.4\.1 [^)]+\): delivery is uncertain") as raised,
        manager(server).acquire() as client,
    ):
        client.send(mail())

    assert server.outbox == []
    assert raised.value.explanation.startswith("On Exchange: The session has lasted for longer than ")
    assert str(raised.value).endswith(f" {raised.value.explanation}")


def test_session_with_too_many_errors_ends_and_bulk_continues_in_a_new_one():
    messages = [mail(from_email=f"{name}@corp.test") for name in ("eve", "eve", "eve", "alice", "eve", "alice")]
    with (
        exchange(send_as={ALICE: ["alice@corp.test"]}, max_protocol_errors=1) as server,
        manager(server).acquire() as client,
    ):
        outcomes = list(client.send_all(messages))

    assert [isinstance(outcome, Refused) for outcome in outcomes] == [True, True, True, False, True, False]
    assert len(server.outbox) == 2


def test_unknown_command_is_an_error_and_too_many_end_the_session():
    with exchange(max_protocol_errors=1) as server, dialogue(server) as client:
        assert client.docmd("HELO?") == (500, b"5.3.3 Unrecognized command")
        assert client.docmd("HELO?")[0] == 500
        assert client.getreply()[0] == 421


@pytest.mark.parametrize(
    ("connector", "reply"),
    [
        ({"connection_inactivity_timeout": 0.3}, "451 4.7.0 Timeout waiting for client input"),
        ({"connection_timeout": 0.3}, "421 4.4.1 Connection timed out"),
    ],
)
def test_session_that_lasts_too_long_ends(connector, reply):
    with exchange(**connector) as server, socket.create_connection((server.host, server.port)) as sock:
        assert sock.makefile().read().splitlines()[1:] == [reply]


def test_client_opens_a_new_session_when_the_server_has_ended_an_idle_one(monkeypatch):
    sessions = []
    handle_client = personality.ExchangeSession._handle_client

    def record_and_handle(session):
        sessions.append(session)
        return handle_client(session)

    monkeypatch.setattr(personality.ExchangeSession, "_handle_client", record_and_handle)
    with exchange() as server, manager(server).acquire() as client:
        client.send(mail())
        sessions[0].loop.call_soon_threadsafe(sessions[0]._timeout_cb)
        select.select([client._transport._sock], [], [], PATIENCE_SECONDS)
        client.send(mail())

    assert len(server.outbox) == 2


# --- settings


@pytest.mark.parametrize(
    "settings",
    [
        {"personality": "domino"},
        {"max_header_size": 9},
        {"personality": "exchange", "max_headers": 9},
    ],
)
def test_unknown_personality_or_property_is_an_error(settings):
    with pytest.raises(TypeError):
        SmtpTestServer(**settings)


@pytest.mark.parametrize(
    ("connector", "error", "message"),
    [
        (
            {"auth_mechanism": ["Tls", "Integratd"]},
            ValueError,
            "auth_mechanism has no value 'Integratd'. The possible values are Tls, Integrated, BasicAuth, ",
        ),
        ({"permission_groups": "ExchangeUsers"}, TypeError, "permission_groups must be a list"),
        ({"auth_mechanism": "Tls"}, TypeError, "auth_mechanism must be a list, such as ['Tls']."),
        (
            {"extended_protection_policy": "require"},
            ValueError,
            "extended_protection_policy has no value 'require'. The possible values are None, Require.",
        ),
        ({"max_headers": 9}, TypeError, "A connector has no max_headers. Its properties are fqdn, auth_mechanism, "),
    ],
)
def test_misspelt_property_or_value_names_the_possible_ones(connector, error, message):
    with pytest.raises(error, match=re.escape(message)):
        SmtpTestServer(personality="exchange", **connector)
