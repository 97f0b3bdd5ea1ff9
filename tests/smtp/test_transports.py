"""The two transports: the same events on the network have the same results."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import ssl
import threading

import pytest

from airflow_smtp_cm.smtp import transport
from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.async_transport import AsyncTransport
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.connecting import connect_to_server
from airflow_smtp_cm.smtp.errors import Disconnected, Phase, ProtocolError, TimedOut
from airflow_smtp_cm.smtp.settings import Settings, Tls, TlsMode
from tests.patience import PATIENT, ImpatientIn
from tests.servers.people import MAIL_HOST
from tests.servers.processes import LOOPBACK, PATIENCE_SECONDS
from tests.servers.scripted import Step, expect, say, scripted_peer, start_tls, wait_for_close
from tests.smtp.outgoing import Note, RawContent


def send(settings: Settings, *notes: Note, trace=None) -> None:
    with SmtpClient.open(settings, trace=trace) as client:
        for note in notes:
            client.send(note)


def send_async(settings: Settings, *notes: Note, trace=None) -> None:
    async def main():
        async with await AsyncSmtpClient.open(settings, trace=trace) as client:
            for note in notes:
                await client.send(note)

    asyncio.run(main())


@pytest.fixture(params=[send, send_async], ids=["blocking", "asyncio"])
def transmit(request):
    """Open a session, send notes, and end the session, with either client."""
    return request.param


@pytest.fixture
def settings_for(certificates):
    def settings(peer, *, tls=False, timeouts=PATIENT) -> Settings:
        return Settings(
            host=LOOPBACK,
            port=peer.port,
            server_name=MAIL_HOST,
            ehlo_name="me.test",
            tls=Tls(mode=TlsMode.IMPLICIT, ca_bundle=str(certificates.authority)) if tls else Tls(),
            timeouts=timeouts,
        )

    return settings


# --- before the first byte of the content


class Unsent(Note):
    """A message whose content must not be asked for."""

    def content(self, **_):
        return Unread(b"x" * 1_000_000)


class Unread(RawContent):
    def chunks(self):
        raise AssertionError("the content is sent")


def half_close() -> Step:
    return Step("half_close", lambda connection: connection.socket.shutdown(socket.SHUT_WR))


@pytest.fixture
def descriptors(monkeypatch) -> list[int]:
    """The file descriptors of the client's connections."""
    descriptors = []
    connect = socket.socket.connect

    def recorded(sock, address):
        descriptors.append(sock.fileno())
        connect(sock, address)

    monkeypatch.setattr(socket.socket, "connect", recorded)
    return descriptors


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize(
    ("news", "expected"),
    [(half_close(), Disconnected), (say("451 4.3.0 full"), ProtocolError)],
    ids=["half-close", "reply"],
)
def test_what_arrives_after_354_is_noticed_before_the_content_is_sent(
    certificates, settings_for, transmit, descriptors, news, expected, tls
):
    """Asyncio has not read it yet: the event loop had no turn since."""
    is_read = threading.Event()
    opening = [say("220 hi"), expect("EHLO"), say("250-hi", "250 PIPELINING")]
    envelope = [expect("MAIL"), expect("RCPT"), expect("DATA"), say("250 a", "250 b", "354 go")]
    script = [*opening, *envelope, Step("is_read", lambda _: is_read.wait(PATIENCE_SECONDS)), news, wait_for_close()]

    def wait_for_the_news(event) -> None:
        if event.text.startswith("354"):
            is_read.set()
            assert select.select([descriptors[0]], [], [], PATIENCE_SECONDS)[0]

    with (
        scripted_peer([start_tls(certificates.server)] * tls + script) as peer,
        pytest.raises(expected) as raised,
    ):
        transmit(settings_for(peer, tls=tls), Unsent(), trace=wait_for_the_news)
    assert raised.value.phase is Phase.DATA
    assert tls or peer.received.endswith(b"DATA\r\n")


# --- the kernel's errors


@pytest.mark.parametrize("phase", [Phase.GREETING, Phase.TLS])
def test_a_connection_that_the_kernel_gives_up_is_lost(settings_for, transmit, monkeypatch, phase):
    """ETIMEDOUT is a TimeoutError, too; no timeout of the client is over."""

    def give_up(*_):
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    def give_up_in_client(receive):
        tester = threading.current_thread()
        return lambda sock, *arguments: (
            give_up()
            if threading.current_thread() is tester and sock.family == socket.AF_INET
            else receive(sock, *arguments)
        )

    for name in ("recv", "recv_into"):
        monkeypatch.setattr(socket.socket, name, give_up_in_client(getattr(socket.socket, name)))
    monkeypatch.setattr(ssl.SSLSocket, "do_handshake", give_up)
    with (
        scripted_peer([say("220 hi"), wait_for_close()], to_the_end=False) as peer,
        pytest.raises(Disconnected, match=r"was lost .*: .*timed out") as raised,
    ):
        transmit(settings_for(peer, tls=phase is Phase.TLS))
    assert raised.value.phase is phase


@pytest.mark.parametrize("phase", [Phase.GREETING, Phase.TLS])
def test_a_server_that_is_silent_has_not_answered_in_time(settings_for, transmit, phase):
    with (
        scripted_peer([wait_for_close()]) as peer,
        pytest.raises(TimedOut, match="did not answer in time") as raised,
    ):
        transmit(settings_for(peer, tls=phase is Phase.TLS, timeouts=ImpatientIn(phase)))
    assert raised.value.phase is phase


def test_a_server_that_ends_tls_during_the_handshake_closes_the_connection(settings_for, transmit):
    close_notify = bytes.fromhex("15 0303 0002 0100")
    with (
        scripted_peer([say(close_notify), wait_for_close()]) as peer,
        pytest.raises(Disconnected) as raised,
    ):
        transmit(settings_for(peer, tls=True))
    assert raised.value.phase is Phase.TLS


# --- key updates


class KeyUpdate:
    """A socket under TLS 1.3 that cannot read before it has written its answer to a key update."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._due = [ssl.SSLWantWriteError, ssl.SSLWantReadError]

    def __getattr__(self, name: str):
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        if not self._due:
            return self._sock.recv(size)
        error = self._due.pop(0)
        if error is ssl.SSLWantReadError:
            self._sock.send(b"KEY UPDATE\r\n")
        raise error


def test_an_answer_to_a_key_update_is_sent_before_data_is_awaited(settings_for, monkeypatch):
    def connect(settings, deadlines):
        return KeyUpdate((yield from connect_to_server(settings, deadlines)))

    monkeypatch.setattr(transport, "connect_to_server", connect)
    script = [expect("KEY UPDATE"), say("220 hi"), expect("EHLO"), say("250 hi"), expect("QUIT"), say("221 bye")]
    with scripted_peer(script) as peer:
        send(settings_for(peer))


# --- closing


def test_closing_a_connection_that_was_never_made_is_an_error_of_the_caller():
    with pytest.raises(AttributeError):
        AsyncTransport(Settings(host=LOOPBACK)).close()
