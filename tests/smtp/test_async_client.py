"""The asyncio client: the conversation is the same, so only its transport is tested here."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.async_transport import _Connection
from airflow_smtp_cm.smtp.errors import (
    CertificateError,
    ConnectError,
    DeliveryUncertain,
    Disconnected,
    Phase,
    ProtocolError,
    TimedOut,
)
from airflow_smtp_cm.smtp.settings import Settings, TlsMode
from tests.patience import PATIENT, ImpatientIn
from tests.servers.scripted import Step, close, expect, expect_content, reset, say, scripted_peer, wait_for_close
from tests.smtp.outgoing import Note

OPENING = (say("220 hi"), expect("EHLO"), say("250-hi", "250 PIPELINING"))
ACCEPTED = (expect("MAIL"), expect("RCPT"), expect("DATA"), say("250 a", "250 b", "354 go"), expect_content())


def send(settings: Settings, *notes: Note) -> tuple[AsyncSmtpClient, list]:
    """Send notes over one connection."""

    async def main():
        async with await AsyncSmtpClient.open(settings) as client:
            return client, [await client.send(note) for note in notes]

    return asyncio.run(main())


def test_ntlm_kerberos_and_both_tls_modes(postfix, dovecot, kdc, submission):
    ticket = kdc.ticket()
    for settings, login in (
        (submission(postfix.port()), "NTLM"),
        (submission(postfix.port("smtps"), mode=TlsMode.IMPLICIT), "NTLM"),
        (submission(postfix.port(), kerberos=ticket), "GSSAPI with Kerberos"),
        (submission(dovecot.tls_port, kerberos=ticket, mode=TlsMode.IMPLICIT), "GSSAPI with Kerberos"),
    ):
        client, (result,) = send(settings, Note())
        assert str(client.login) == login
        assert result.reply.code == 250


@pytest.mark.parametrize(("port", "chunking"), [("default", False), ("default", True), ("bare", False)])
def test_messages_arrive_over_one_connection(postfix, submission, port, chunking):
    notes = [Note(), Note(text="0123456789\r\n" * 30_000), Note()]
    send(submission(postfix.port(port), chunking=chunking), *notes)
    for note in notes:
        arrived = postfix.wait_for_message(note.message_id)
        assert arrived.get_content() == note.text.replace("\r\n", "\n")


def test_many_clients_share_one_event_loop(postfix, submission):
    notes = [Note() for _ in range(10)]

    async def one(note):
        async with await AsyncSmtpClient.open(submission(postfix.port())) as client:
            await client.send(note)

    async def main():
        await asyncio.gather(*map(one, notes))

    asyncio.run(main())
    for note in notes:
        postfix.wait_for_message(note.message_id)


@pytest.mark.parametrize("port", ["expired", "wrong_name", "untrusted"])
def test_an_invalid_certificate_is_rejected(postfix, submission, port):
    with pytest.raises(CertificateError):
        send(submission(postfix.port(port)))


def test_bytes_before_tls_begins_are_an_error():
    """In the same packet as the 220, or in the next."""
    script = [say("220 hi"), expect("EHLO"), say("250-hi", "250 STARTTLS"), expect("STARTTLS")]
    with scripted_peer([*script, say("220 go", "250 injected"), wait_for_close()]) as peer:
        settings = Settings(host="127.0.0.1", port=peer.port, timeouts=PATIENT)
        with pytest.raises(ProtocolError):
            send(replace(settings, tls=replace(settings.tls, mode=TlsMode.STARTTLS)))


@pytest.mark.parametrize("words", [["421 4.4.2 idle"], []])
def test_a_session_that_the_server_ended_between_two_messages_is_replaced(words):
    first = [*OPENING, *ACCEPTED, say("250 queued", *words)]
    second = [*OPENING, *ACCEPTED, say("250 queued"), expect("QUIT"), say("221 bye")]

    async def main(port):
        async with await AsyncSmtpClient.open(Settings(host="127.0.0.1", port=port)) as client:
            await client.send(Note())
            while not client._transport._connection.ended:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0)
            await client.send(Note())

    with scripted_peer(first, second) as peer:
        asyncio.run(main(peer.port))


@pytest.mark.parametrize(
    ("script", "phase", "expected"),
    [
        ([wait_for_close()], Phase.GREETING, TimedOut),
        ([reset()], Phase.GREETING, (ConnectError, Disconnected)),  # either, depending on the network
        ([*OPENING, expect("MAIL"), wait_for_close()], Phase.MAIL, TimedOut),
        ([*OPENING, expect("MAIL"), close()], Phase.MAIL, Disconnected),
        ([*OPENING, *ACCEPTED, wait_for_close()], Phase.FINAL, DeliveryUncertain),
        ([*OPENING, *ACCEPTED, close()], Phase.FINAL, DeliveryUncertain),
        ([*OPENING, *ACCEPTED, reset()], Phase.FINAL, DeliveryUncertain),
    ],
)
def test_a_fault_has_the_same_error_as_in_the_blocking_client(script, phase, expected):
    timeouts = ImpatientIn(phase) if script[-1].name == "wait_for_close" else PATIENT
    with scripted_peer(script, to_the_end=False) as peer, pytest.raises(expected):
        send(Settings(host="127.0.0.1", port=peer.port, timeouts=timeouts), Note())


def test_cancelling_a_message_ends_the_session():
    cancel = []
    script = [*OPENING, expect("MAIL"), Step("cancel", lambda _: cancel[0]()), wait_for_close()]

    async def main(port):
        client = await AsyncSmtpClient.open(Settings(host="127.0.0.1", port=port))
        sending = asyncio.create_task(client.send(Note()))
        cancel.append(partial(asyncio.get_running_loop().call_soon_threadsafe, sending.cancel))
        with pytest.raises(asyncio.CancelledError):
            await sending
        await client.close()

    with scripted_peer(script) as peer:
        asyncio.run(main(peer.port))
    assert b"QUIT" not in peer.received


def test_a_connection_that_is_lost_under_tls_is_reported_although_asyncio_has_forgotten_its_socket():
    """The client of asyncio learns of the loss one turn of the event loop later."""

    async def main():
        connection = _Connection()
        connection.connection_made(asyncio.Transport())
        reading = asyncio.ensure_future(connection.read())
        await asyncio.sleep(0)
        connection.connection_lost(ConnectionResetError("reset"))
        await reading

    with pytest.raises(ConnectionResetError, match="reset"):
        asyncio.run(main())
