"""The test server: it keeps received messages, and accepts only logins that a real server would accept."""

import os
import smtplib
import socket
import ssl
from pathlib import Path

import pytest

from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.smtp.errors import AuthenticationNotOffered, AuthenticationRefused, CertificateError, Refused
from airflow_smtp_cm.testing import SmtpTestServer
from tests.testing.managers import ALICE, PASSWORD, manager
from tests.testing.threads import threads


def mail(**given):
    return MailMessage(**{"from_email": "alice@corp.test", "to": "bob@corp.test", "subject": "Hello"} | given)


def test_message_is_kept_with_identity_mechanism_and_envelope(server):
    message = mail(to="Bob <bob@corp.test>; carol@corp.test", bcc="dave@corp.test", text="Grüße\n.\n")
    with manager(server).acquire() as client:
        result = client.send(message)

    (received,) = server.outbox
    assert (received.identity, received.mechanism, received.tls_version) == (ALICE, "NTLM", "TLSv1.3")
    assert received.sender == "alice@corp.test"
    assert received.recipients == ("bob@corp.test", "carol@corp.test", "dave@corp.test")
    assert received.message["Message-ID"] == message.message_id
    assert received.message.get_content() == "Grüße\n.\n"
    assert len(received.content) == result.size
    assert str(result.reply) == "250 2.0.0 Kept as number 1"


def test_messages_are_kept_in_order(server):
    with manager(server).acquire() as client:
        for number in range(3):
            client.send(mail(subject=str(number)))

    assert [received.message["Subject"] for received in server.outbox] == ["0", "1", "2"]


def test_message_to_an_address_that_is_not_ascii_is_received(server):
    with manager(server).acquire() as client:
        client.send(mail(to="bøb@corp.test"))

    assert server.outbox[0].recipients == ("bøb@corp.test",)


@pytest.mark.parametrize("name", [ALICE, r"corp\ALICE", "alice", "alice@corp.test"])
def test_user_name_may_have_every_form_of_windows(name):
    with SmtpTestServer(users={name: PASSWORD}) as server, manager(server, username=name).acquire() as client:
        client.send(mail())

    assert server.outbox[0].identity == name


@pytest.mark.parametrize(
    "who", [{"password": "wrong"}, {"username": r"CORP\mallory"}, {"username": r"OTHER\alice"}, {"username": "alice"}]
)
def test_wrong_identity_is_rejected(server, who):
    with pytest.raises(AuthenticationRefused, match="535"):
        manager(server, **who).acquire()

    assert server.outbox == []


def test_login_without_channel_binding_is_rejected(server):
    """Exchange does the same with Extended Protection: the login could be forwarded from another session."""
    with pytest.raises(AuthenticationRefused):
        manager(server, channel_binding="none").acquire()


def test_mail_is_not_accepted_before_login(server):
    anonymous = {"use_windows_authentication": False, "username": None, "password": None}
    with manager(server, **anonymous).acquire() as client, pytest.raises(Refused, match="530"):
        client.send(mail())

    assert server.outbox == []


def test_login_is_not_offered_without_tls(server):
    with pytest.raises(AuthenticationNotOffered, match="offers no authentication without TLS"):
        manager(server, enable_ssl=False, server_name=None, ca_bundle=None).acquire()


def test_certificate_is_verified_only_with_its_own_authority(server):
    with pytest.raises(CertificateError):
        manager(server, ca_bundle=None).acquire()


def test_two_servers_accept_only_their_own_users():
    with SmtpTestServer(users={ALICE: PASSWORD}) as one, SmtpTestServer(users={r"CORP\bob": "other"}) as two:
        manager(one).acquire().close()
        manager(two, username=r"CORP\bob", password="other").acquire().close()
        with pytest.raises(AuthenticationRefused):
            manager(two).acquire()


@pytest.mark.parametrize("before", [None, "/tmp/users"])
def test_environment_is_not_changed(monkeypatch, before):
    """This is also true while the server runs: the client may use the same variable."""
    monkeypatch.delenv("NTLM_USER_FILE", raising=False)
    if before:
        monkeypatch.setenv("NTLM_USER_FILE", before)
    with SmtpTestServer(users={ALICE: PASSWORD}) as server:
        monkeypatch.setenv("SET_MEANWHILE", "yes")
        manager(server).acquire().close()
        assert os.environ.get("NTLM_USER_FILE") == before

    assert os.environ.get("NTLM_USER_FILE") == before
    assert os.environ["SET_MEANWHILE"] == "yes"


def test_everything_is_removed_at_the_end():
    before = threads()
    with SmtpTestServer(users={ALICE: PASSWORD}) as server:
        manager(server).acquire().close()
        folder = Path(server.ca_bundle).parent
        assert {path.name for path in folder.iterdir()} == {"ca.pem", "users"}

    assert threads() <= before  # other threads may have ended meanwhile
    assert not folder.exists()
    with socket.socket() as probe:
        assert probe.connect_ex((server.host, server.port)) != 0


def test_end_does_not_wait_for_a_connected_client():
    with SmtpTestServer(users={ALICE: PASSWORD}) as server:
        client = manager(server).acquire()

    client.close()


def test_server_can_run_again():
    server = SmtpTestServer(users={ALICE: PASSWORD})
    for number in (1, 2):
        with server, manager(server).acquire() as client:
            client.send(mail())
        assert len(server.outbox) == number


def test_server_that_was_not_started_opens_nothing():
    SmtpTestServer(users={})


@pytest.mark.parametrize("users", [{ALICE: "pass:word"}, {"CORP:alice": PASSWORD}, {ALICE: "pass\nword"}])
def test_user_that_the_user_file_cannot_contain_is_an_error(users):
    with pytest.raises(ValueError, match="colon"):
        SmtpTestServer(users=users)


@pytest.mark.parametrize("token", ["!!", "AAAA", "TlRMTVNTUAABAAAA", "="])
def test_invalid_token_is_rejected_and_the_server_continues(server, token):
    with smtplib.SMTP(server.host, server.port) as plain:
        plain.starttls(context=ssl.create_default_context(cafile=server.ca_bundle))
        plain.ehlo()
        code, _ = plain.docmd(f"AUTH NTLM {token}")
        assert code in {500, 501, 535}

    with manager(server).acquire() as client:
        client.send(mail())
    assert len(server.outbox) == 1


def test_page_of_a_message_is_written(server, tmp_path):
    with manager(server).acquire() as client:
        client.send(mail(text="Hello", bcc="boss@corp.test"))
    server.outbox[0].save_page(tmp_path / "message.html")

    page = (tmp_path / "message.html").read_text(encoding="utf-8")
    assert '<pre id="text">Hello\n' in page
    assert "<th>hidden (Bcc)</th><td>boss@corp.test</td>" in page
