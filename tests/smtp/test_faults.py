"""Faults of servers and networks, over real sockets: each has its error, and no socket stays open."""

from __future__ import annotations

import socket
import threading

import pytest

from airflow_smtp_cm.smtp.errors import (
    AuthenticationRefused,
    ConnectError,
    DeliveryUncertain,
    Disconnected,
    MessageError,
    Phase,
    ProtocolError,
    RecipientsRefused,
    Refused,
    SmtpError,
    StartTlsNotOffered,
    TimedOut,
    TlsError,
)
from airflow_smtp_cm.smtp.settings import (
    TlsMode,
)
from tests.patience import PATIENT, AuthLines, ImpatientIn
from tests.servers.processes import PATIENCE_SECONDS
from tests.servers.scripted import (
    Step,
    close,
    expect,
    expect_bytes,
    expect_content,
    reset,
    say,
    scripted_peer,
    start_tls,
    stop_reading,
    wait_for_close,
)
from tests.smtp.outgoing import Note
from tests.smtp.scripts import GOODBYE, NTLM, UP_TO, Endless, EndlessNote, hello

# The table: the point of the fault, the fault, and the error.

FAULTS: dict[str, list[Step]] = {
    "silence": [wait_for_close()],
    "reset": [reset()],
    "close": [close()],
    "421": [say("421 4.3.2 bye")],
    "4xx": [say("451 4.3.0 later")],
    "5xx": [say("554 5.0.0 no")],
    "garbage": [say("HTTP/1.1 400 Bad Request")],
    "endless line": [say(b"250 " + b"x" * 20_000)],
}

USUALLY: dict[str, tuple[type[SmtpError], bool]] = {
    "silence": (TimedOut, True),
    "reset": (Disconnected, True),
    "close": (Disconnected, True),
    "421": (Refused, True),
    "4xx": (Refused, True),
    "5xx": (Refused, False),
    "garbage": (ProtocolError, False),
    "endless line": (ProtocolError, False),
}
UNUSUALLY: dict[tuple[str, str], tuple[type[SmtpError], bool]] = {
    # refused has the same effect as not offered: no TLS
    ("STARTTLS", "421"): (StartTlsNotOffered, True),
    ("STARTTLS", "4xx"): (StartTlsNotOffered, True),
    ("STARTTLS", "5xx"): (StartTlsNotOffered, False),
    # data that is not a TLS record is ignored
    **{("TLS handshake", fault): (TlsError, False) for fault in ("421", "4xx", "5xx", "garbage", "endless line")},
    ("AUTH", "4xx"): (AuthenticationRefused, True),
    ("AUTH", "5xx"): (AuthenticationRefused, False),
    # here, a recipient is refused
    ("RCPT", "4xx"): (RecipientsRefused, True),
    ("RCPT", "5xx"): (RecipientsRefused, False),
    # delivery is uncertain
    **{
        ("final reply", fault): (DeliveryUncertain, False)
        for fault in ("silence", "reset", "close", "421", "garbage", "endless line")
    },
}
ELSEWHERE = {("greeting", "reset"), *(("QUIT", fault) for fault in FAULTS)}
TABLE = [(when, fault) for when in UP_TO for fault in FAULTS if (when, fault) not in ELSEWHERE]
STILL_OPEN = {(when, fault) for when in ("MAIL", "RCPT", "DATA", "final reply") for fault in ("4xx", "5xx")}


@pytest.mark.parametrize(("when", "fault"), TABLE)
def test_every_fault_has_its_error(open_client, when, fault):
    """The peer waits for the end of the connection, so the client has closed it before the block ends."""
    error, transient = UNUSUALLY.get((when, fault), USUALLY[fault])
    script = [*UP_TO[when], *FAULTS[fault]]
    if (when, fault) == ("content", "silence"):
        script[-1] = stop_reading()
    if (when, fault) in STILL_OPEN:
        script += [*([] if when == "final reply" else [expect("RSET"), say("250 ok")]), expect("NOOP"), say("250 ok")]
        script += GOODBYE
    settings = {"timeouts": ImpatientIn(Phase(when)) if fault == "silence" else PATIENT}
    if (when, fault) == ("AUTH", "silence"):
        settings["trace"] = lines = AuthLines()
        settings["timeouts"] = ImpatientIn(Phase.AUTH, begins=lambda: lines.sent)
    if when in ("STARTTLS", "TLS handshake"):
        settings["tls"] = TlsMode.STARTTLS
    if when == "AUTH":
        settings["authentication"] = NTLM
    note = EndlessNote() if when == "content" else Note()
    with scripted_peer(script) as peer:
        if when in ("greeting", "EHLO", "STARTTLS", "TLS handshake", "AUTH"):
            with pytest.raises(SmtpError) as raised:
                open_client(peer, **settings)
        else:
            client = open_client(peer, **settings)
            with pytest.raises(SmtpError) as raised:
                client.send(note)
            assert client.__repr__().endswith("open>" if (when, fault) in STILL_OPEN else "closed>")
            if (when, fault) in STILL_OPEN:
                client.noop()
                client.close()
    assert type(raised.value) is error
    assert raised.value.transient is transient
    assert raised.value.phase == when
    if fault in ("421", "4xx", "5xx") and when != "TLS handshake":
        assert str(raised.value.code).startswith(fault.rstrip("x"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_quit_is_not_an_error(open_client, fault):
    with scripted_peer([*UP_TO["QUIT"], *FAULTS[fault]]) as peer:
        client = open_client(peer, ImpatientIn(Phase.QUIT) if fault == "silence" else PATIENT)
        client.close()


def test_a_reset_instead_of_a_greeting_is_a_connection_error(open_client):
    """The network decides whether the client sees the connection or its end first."""
    with scripted_peer([reset()]) as peer, pytest.raises((ConnectError, Disconnected)) as raised:
        open_client(peer)
    assert raised.value.transient


# --- one pipeline: the content is sent with the envelope


@pytest.mark.parametrize("fault", ["silence", "reset", "close", "garbage", "endless line"])
def test_a_pipeline_without_any_reply_may_have_been_delivered(open_client, fault):
    script = [*hello("PIPELINING", "CHUNKING"), expect("MAIL"), expect("RCPT"), expect("BDAT"), expect_bytes(10)]
    with scripted_peer([*script, *FAULTS[fault]]) as peer:
        client = open_client(peer, ImpatientIn(Phase.MAIL) if fault == "silence" else PATIENT, chunking=True)
        with pytest.raises(DeliveryUncertain):
            client.send(Note(raw=b"x" * 8 + b"\r\n"))


@pytest.mark.parametrize(
    ("replies", "error", "transient"),
    [
        (["550 5.7.1 no"], Refused, False),
        (["450 4.7.1 later"], Refused, True),
        (["421 4.3.2 bye"], Refused, True),
        (["250 ok", "421 4.3.2 bye"], Refused, True),
        (["250 ok", "550 no"], RecipientsRefused, False),
        (["250 ok", "250 ok", "421 4.3.2 bye"], DeliveryUncertain, False),
        (["250 ok", "250 ok"], DeliveryUncertain, False),
    ],
)
@pytest.mark.parametrize("end", [close, reset])
def test_replies_before_the_end_of_a_connection_count(open_client, replies, error, transient, end):
    script = [*hello("PIPELINING", "CHUNKING"), expect("MAIL"), expect("RCPT"), expect("BDAT"), expect_bytes(10)]
    with scripted_peer([*script, say(*replies), end()]) as peer:
        client = open_client(peer, chunking=True)
        with pytest.raises(SmtpError) as raised:
            client.send(Note(raw=b"x" * 8 + b"\r\n"))
    assert type(raised.value) is error
    assert raised.value.transient is transient


# --- content


@pytest.mark.parametrize("tls", [TlsMode.NONE, TlsMode.IMPLICIT])
@pytest.mark.parametrize("end", [close, reset])
@pytest.mark.parametrize("offer", ["BDAT", "DATA"])
def test_a_refusal_during_the_content_is_the_error_if_the_server_closes(open_client, certificates, offer, end, tls):
    """The broken connection is only a consequence of the refusal."""
    encrypted = tls is TlsMode.IMPLICIT
    extensions = ["CHUNKING"] if offer == "BDAT" else []
    script = [
        *([start_tls(certificates.server)] if encrypted else []),
        *hello(*extensions),
        expect("MAIL"),
        say("250 ok"),
        expect("RCPT"),
        say("250 ok"),
        *([expect("BDAT")] if offer == "BDAT" else [expect("DATA"), say("354 go")]),
        expect_bytes(50_000),
        say("552 5.3.4 too big"),
        *([tls_close()] if encrypted and end is close else []),
        end(),
    ]
    with scripted_peer(script) as peer:
        client = open_client(peer, tls=tls, chunking=True)
        with pytest.raises(Refused, match=r"552 5\.3\.4 too big") as raised:
            client.send(EndlessNote())
    assert not raised.value.transient
    assert raised.value.phase in (Phase.CONTENT, Phase.FINAL)


def test_a_refusal_during_the_content_is_read_completely(open_client, monkeypatch):
    heard = threading.Event()
    pause = Step("pause", lambda _: heard.wait(PATIENCE_SECONDS))
    script = [*UP_TO["content"], say(b"552 5.3.4 too"), pause, say(" big"), stop_reading()]
    with scripted_peer(script) as peer:
        client = open_client(peer)
        read = client._transport._read

        def read_on(effect):
            if effect.phase is Phase.CONTENT:
                heard.set()
            return read(effect)

        monkeypatch.setattr(client._transport, "_read", read_on)
        with pytest.raises(Refused, match=r"before its end: 552 5\.3\.4 too big$"):
            client.send(EndlessNote())


def tls_close() -> Step:
    """Send close_notify, without waiting for that of the client."""

    def play(connection):
        connection.socket.settimeout(0)
        try:
            connection.socket.unwrap()
        except OSError:
            connection.socket.settimeout(PATIENCE_SECONDS)

    return Step("tls_close", play)


@pytest.mark.parametrize("error", [OSError("share is gone"), RuntimeError("a bug")])
def test_content_that_cannot_be_read_ends_the_connection_without_the_final_dot(open_client, error):
    class Broken(Endless):
        def chunks(self):
            yield b"first\r\n" * 30_000
            raise error

    class BrokenNote(Note):
        def content(self, **_):
            return Broken()

    with scripted_peer([*UP_TO["DATA"], say("354 go"), wait_for_close()]) as peer:
        client = open_client(peer)
        with pytest.raises(MessageError if isinstance(error, OSError) else RuntimeError):
            client.send(BrokenNote())
    assert b"\r\n.\r\n" not in peer.received


def test_a_long_envelope_does_not_block_a_server_that_answers_meanwhile(open_client):
    """Such a server stops reading if the client does not read its replies. One transaction offers all recipients."""
    recipients = tuple(f"{'x' * 200}{number}@b.test" for number in range(10_000))
    answers = [step for _ in recipients for step in (expect("RCPT"), say(f"250 2.1.5 {'ok ' * 300}"))]
    script = [*hello("PIPELINING"), expect("MAIL"), say("250 ok"), *answers, expect("DATA"), say("354 go")]
    with scripted_peer([*script, expect_content(), say("250 queued"), *GOODBYE]) as peer:
        with open_client(peer) as client:
            for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                client._transport._sock.setsockopt(socket.SOL_SOCKET, buffer, 100_000)
            result = client.send(Note(recipients=recipients), all_or_nothing=True)
        assert result.accepted == recipients


def test_an_endless_reply_while_the_client_writes_is_an_error(open_client):
    recipients = tuple(f"{'x' * 200}{number}@b.test" for number in range(30_000))
    script = [*hello("PIPELINING"), expect("MAIL"), say(b"250 ok\r\n" * 10_000_000)]
    with scripted_peer(script, to_the_end=False) as peer:
        client = open_client(peer)
        client._transport._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100_000)
        with pytest.raises(ProtocolError, match="more than 16 MiB without reading"):
            client.send(Note(recipients=recipients), all_or_nothing=True)
