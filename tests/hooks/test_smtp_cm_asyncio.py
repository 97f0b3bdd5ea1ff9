"""The hook's methods for asyncio: what blocks runs in threads."""

from __future__ import annotations

import asyncio
import io
import threading
from types import SimpleNamespace

import pytest

from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.mail.attachments import Attachment
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.safety import SafetySettings
from airflow_smtp_cm.smtp.errors import RecipientsRefused
from tests.connections import anonymous, to_postfix
from tests.servers.people import ALICE
from tests.servers.scripted import expect, say, scripted_peer

CLIENTS = 5
WRONG = "Not-Her-Password-9"


def mail(number=0, **changes):
    return MailMessage(**{"from_email": "alice@corp.test", "to": "bob@corp.test", "subject": str(number)} | changes)


class Recorded:
    """A file that records the threads in which it is opened."""

    name = "figures.csv"

    def __init__(self):
        self.opened_in = []

    def stat(self):
        return SimpleNamespace(st_size=3)

    def open(self, _):
        self.opened_in.append(threading.current_thread())
        return io.BytesIO(b"1,2")


def test_message_without_a_sender_is_from_the_connections(server):
    asyncio.run(SmtpCmHook().asend(MailMessage(to="bob@corp.test")))

    assert server.outbox[0].sender == "reports@corp.test"


def test_messages_are_sent_at_once_on_several_connections(server):
    hook = SmtpCmHook()
    messages = iter([mail(number) for number in range(50)])

    async def main():
        all_are_open = asyncio.Barrier(CLIENTS)

        async def send():
            async with await hook.aget_conn() as client:
                await all_are_open.wait()
                return [(await client.send(message)).accepted for message in messages]

        return await asyncio.gather(*(send() for _ in range(CLIENTS)))

    results = asyncio.run(main())

    assert sum(map(len, results)) == 50
    assert {received.message["Subject"] for received in server.outbox} == set(map(str, range(50)))
    assert {received.identity for received in server.outbox} == {ALICE.down_level}


def test_message_is_sent(server):
    message = mail(text="Hello.")
    result = asyncio.run(SmtpCmHook().asend(message))

    assert result.accepted == ("bob@corp.test",)
    assert [received.message["Message-ID"] for received in server.outbox] == [message.message_id]


def test_others_get_the_message_if_one_recipient_is_refused_unless_all_or_nothing(postfix, certificates, define):
    define(to_postfix(postfix, certificates))
    for all_or_nothing in (False, True):
        message = mail(to="bob@corp.test; refused@corp.test")
        with pytest.raises(RecipientsRefused) as caught:
            asyncio.run(SmtpCmHook().asend(message, all_or_nothing=all_or_nothing))

        assert (caught.value.result is None) is all_or_nothing


def test_message_that_the_safety_settings_do_not_permit_is_not_sent(server, monkeypatch):
    monkeypatch.setenv("AIRFLOW__SMTP_CM__ALLOWED_RECIPIENT_DOMAINS", "other.test")
    with pytest.raises(InvalidMessage, match="must not send mail to bob"):
        asyncio.run(SmtpCmHook().asend(mail()))

    assert server.outbox == []


def test_event_loop_does_not_wait_for_lookups_and_files(server, monkeypatch):
    look_up, read_settings, file = SmtpCmHook.get_connection, SafetySettings.from_config, Recorded()
    looked_up_in, read_in = [], []

    def get_connection(conn_id):
        looked_up_in.append(threading.current_thread())
        return look_up(conn_id)

    def from_config():
        read_in.append(threading.current_thread())
        return read_settings()

    monkeypatch.setattr(SmtpCmHook, "get_connection", staticmethod(get_connection))
    monkeypatch.setattr(SafetySettings, "from_config", from_config)
    attachment = Attachment(file)
    file.opened_in.clear()  # it was opened here, to check whether it can be read
    asyncio.run(SmtpCmHook().asend(mail(attachments=attachment)))

    assert len(server.outbox) == 1
    for threads in (looked_up_in, read_in, file.opened_in):
        assert threads
        assert threading.main_thread() not in threads


def test_test_describes_the_session(server):
    worked, message = asyncio.run(SmtpCmHook().atest_connection())

    assert worked
    assert (worked, message) == SmtpCmHook().test_connection()
    assert server.outbox == []


def test_failed_test_is_reported_without_the_password(server, define):
    define(server.airflow_connection(password=WRONG))
    worked, message = asyncio.run(SmtpCmHook().atest_connection())

    assert not worked
    assert "refused the login by NTLM" in message
    assert WRONG not in message


def test_test_of_a_missing_connection_is_reported():
    worked, message = asyncio.run(SmtpCmHook("nowhere").atest_connection())

    assert not worked
    assert message.startswith('The specified connection "nowhere" does not exist.')


def test_test_ends_the_session_and_can_be_traced(define):
    script = [
        say("220 hi"),
        expect("EHLO"),
        say("250 hi"),
        expect("NOOP"),
        say("250 ok"),
        expect("QUIT"),
        say("221 -"),
    ]
    seen = []
    with scripted_peer(script) as peer:
        define(anonymous(peer.port))
        worked, _ = asyncio.run(SmtpCmHook().atest_connection(trace=seen.append))

    assert worked
    assert peer.commands[-1] == "QUIT"
    assert any("NOOP" in str(event) for event in seen)
