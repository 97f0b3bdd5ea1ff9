"""The scripted peer plays its script, and reports a client that deviates from it."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from tests.servers.processes import LOOPBACK
from tests.servers.scripted import (
    Peer,
    ScriptError,
    Step,
    close,
    expect,
    expect_bytes,
    expect_content,
    reset,
    say,
    scripted_peer,
    start_tls,
    wait_for_close,
)

if TYPE_CHECKING:
    from tests.servers.certificates import Certificates


def connect(peer: Peer) -> socket.socket:
    return socket.create_connection((LOOPBACK, peer.port))


def read_to_end(client: socket.socket) -> bytes:
    received = b""
    while data := client.recv(100):
        received += data
    return received


def exchange(script: list[Step], data: bytes, *, to_the_end: bool = True) -> None:
    """Send bytes, and read until the first reply or the end."""
    with scripted_peer(script, to_the_end=to_the_end) as peer, connect(peer) as client:
        client.sendall(data)
        client.recv(100)


def test_a_dialogue_is_played_and_recorded() -> None:
    script = [
        say("220 hi"),
        expect("EHLO"),
        say("250-hi", "250 CHUNKING"),
        expect(r"MAIL FROM:<\w+@b\.test> SIZE=\d+$"),
        say(b"25", b"0 ok\r\n"),
    ]
    with scripted_peer(script) as peer, connect(peer) as client:
        client.sendall(b"EHLO me\r\nMAIL FROM:<a@b.test> SIZE=12\r\n")
        assert read_to_end(client) == b"220 hi\r\n250-hi\r\n250 CHUNKING\r\n250 ok\r\n"
    assert peer.commands == ["EHLO me", "MAIL FROM:<a@b.test> SIZE=12"]
    assert peer.received == b"EHLO me\r\nMAIL FROM:<a@b.test> SIZE=12\r\n"


@pytest.mark.parametrize("content", [b"Subject: x\r\n\r\n..\r\n.\r\n", b".\r\n"])
def test_content_ends_with_a_lone_dot(content: bytes) -> None:
    with scripted_peer([expect_content(), expect("QUIT"), say("221 bye")]) as peer, connect(peer) as client:
        client.sendall(content + b"QUIT\r\n")
        assert read_to_end(client) == b"221 bye\r\n"


def test_content_of_a_known_length() -> None:
    with scripted_peer([expect_bytes(5), expect("QUIT")]) as peer, connect(peer) as client:
        client.sendall(b"\r\n.\r\nQUIT\r\n")


def test_tls_starts_at_its_step(certificates: Certificates) -> None:
    trust = ssl.create_default_context(cafile=certificates.authority)
    script = [expect("STARTTLS"), say("220 go"), start_tls(certificates.server), expect("EHLO"), say("250 hi")]
    with scripted_peer(script) as peer, connect(peer) as client:
        client.sendall(b"STARTTLS\r\n")
        client.recv(100)
        with trust.wrap_socket(client, server_hostname="localhost") as secure:
            secure.sendall(b"EHLO me\r\n")
            assert secure.recv(100) == b"250 hi\r\n"
    assert peer.received == b"STARTTLS\r\nEHLO me\r\n"


def test_bytes_before_tls_are_an_error(certificates: Certificates) -> None:
    with pytest.raises(ScriptError, match="before TLS"):
        exchange([expect("STARTTLS"), start_tls(certificates.server)], b"STARTTLS\r\nEHLO me\r\n")


def test_reset() -> None:
    with scripted_peer([expect("MAIL"), reset()]) as peer, connect(peer) as client:
        client.sendall(b"MAIL\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_close_is_orderly_even_with_unread_bytes() -> None:
    with scripted_peer([expect("MAIL"), close()]) as peer, connect(peer) as client:
        client.sendall(b"MAIL\r\n" + b"x" * 1_000_000)
        assert read_to_end(client) == b""


def test_silence_until_the_client_gives_up() -> None:
    with scripted_peer([wait_for_close()]) as peer, connect(peer) as client:
        client.sendall(b"NOOP\r\n")
        client.settimeout(0.01)
        with pytest.raises(TimeoutError):
            client.recv(100)
    assert peer.received == b"NOOP\r\n"


def test_each_connection_has_its_script() -> None:
    with scripted_peer([say("421 no")], [say("220 hi")]) as peer:
        for greeting in (b"421 no\r\n", b"220 hi\r\n"):
            with connect(peer) as client:
                assert read_to_end(client) == greeting
        with pytest.raises(ConnectionRefusedError):
            connect(peer)


@pytest.mark.parametrize("to_the_end", [True, False])
def test_the_wrong_command_is_an_error(*, to_the_end: bool) -> None:
    with pytest.raises(ScriptError, match=r"^at expect 'EHLO': the client sent 'HELO me'; received b'HELO me"):
        exchange([expect("EHLO")], b"HELO me\r\n", to_the_end=to_the_end)


def test_closing_early_is_an_error() -> None:
    with pytest.raises(ScriptError, match=r"^at expect 'QUIT': the client closed the connection; received b'EHLO"):
        exchange([expect("EHLO"), say("221 bye"), expect("QUIT")], b"EHLO me\r\n")


def test_a_client_that_does_not_connect_is_an_error() -> None:
    with pytest.raises(ScriptError, match="made 0 of 1 connections"), scripted_peer([say("220 hi")]):
        pass


def test_closing_early_and_not_connecting_can_be_allowed() -> None:
    with scripted_peer([expect("EHLO")], [say("220 hi")], to_the_end=False) as peer, connect(peer):
        pass


def test_a_failure_of_the_test_is_shown_with_that_of_the_peer() -> None:
    def fail() -> None:
        with scripted_peer([expect("EHLO")]) as peer, connect(peer) as client:
            client.sendall(b"HELO me\r\n")
            read_to_end(client)
            raise LookupError

    with pytest.raises(LookupError) as failure:
        fail()
    assert failure.value.__notes__ == [
        "scripted peer, at expect 'EHLO': the client sent 'HELO me'; received b'HELO me\\r\\n'"
    ]
