"""Servers and networks that fail, over real sockets: the one right error, and no socket left open."""

from __future__ import annotations

import os
import select
import signal
import socket
from dataclasses import dataclass

import pytest

from airflow_smtp_cm.smtp.client import PROBE_AFTER, SmtpClient
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
    SettingsError,
    SmtpError,
    StartTlsNotOffered,
    TimedOut,
    TlsError,
)
from airflow_smtp_cm.smtp.settings import (
    Identity,
    MechanismChoice,
    Settings,
    Timeouts,
    Tls,
    TlsMode,
    WindowsAuthentication,
)
from tests.servers.processes import LOOPBACK, free_ports
from tests.servers.scripted import (
    Step,
    close,
    expect,
    expect_content,
    expect_octets,
    reset,
    say,
    scripted_peer,
    start_tls,
    stop_reading,
    wait_for_close,
)
from tests.smtp.driver import ehlo
from tests.smtp.outgoing import Note

SHORT = 0.3
PATIENT = Timeouts(connect=10, tls=10, command=10, data_block=10, final=10)
IMPATIENT = Timeouts(connect=SHORT, tls=SHORT, command=SHORT, data_block=SHORT, final=SHORT)

NTLM = WindowsAuthentication(
    identity=Identity(username="CORP\\alice", password="secret"), mechanism=MechanismChoice.NTLM
)


@dataclass(frozen=True)
class Endless:
    """Content that no network swallows before its reader has read some of it."""

    size: int = 64 * 1024 * 1024
    body: str = "7BIT"
    utf8: bool = False

    def chunks(self):
        chunk = (b"x" * 1022 + b"\r\n") * 64
        for _ in range(self.size // len(chunk)):
            yield chunk


class EndlessNote(Note):
    def content(self, **_):
        return Endless()


def hello(*extensions: str) -> list[Step]:
    return [say("220 hi"), expect("EHLO"), say(ehlo(*extensions).replace("\n", "\r\n"))]


GOODBYE = [expect("QUIT"), say("221 bye")]


@pytest.fixture
def open_client(certificates):
    """Return a function that opens a client to a peer."""

    def open_client(peer, timeouts=PATIENT, *, tls=TlsMode.NONE, **settings) -> SmtpClient:
        trust = Tls(mode=tls, ca_bundle=str(certificates.authority) if tls is not TlsMode.NONE else None)
        return SmtpClient.open(
            Settings(host=LOOPBACK, port=peer.port, ehlo_name="me.test", tls=trust, timeouts=timeouts, **settings)
        )

    return open_client


# The table: when something fails, how it fails, and what the error is.

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

UP_TO: dict[str, list[Step]] = {
    "greeting": [],
    "EHLO": hello()[:2],
    "STARTTLS": [*hello("STARTTLS"), expect("STARTTLS")],
    "TLS handshake": [*hello("STARTTLS"), expect("STARTTLS"), say("220 go"), expect_octets(1)],
    "AUTH": [*hello("AUTH NTLM"), expect("AUTH NTLM")],
    "MAIL": [*hello(), expect("MAIL")],
    "RCPT": [*hello(), expect("MAIL"), say("250 ok"), expect("RCPT")],
    "DATA": [*hello(), expect("MAIL"), say("250 ok"), expect("RCPT"), say("250 ok"), expect("DATA")],
    "QUIT": [*hello(), expect("QUIT")],
}
UP_TO["content"] = [*UP_TO["DATA"], say("354 go"), expect_octets(50_000)]
UP_TO["final reply"] = [*UP_TO["DATA"], say("354 go"), expect_content()]

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
    # refused or not offered is the same: there is no TLS
    ("STARTTLS", "421"): (StartTlsNotOffered, True),
    ("STARTTLS", "4xx"): (StartTlsNotOffered, True),
    ("STARTTLS", "5xx"): (StartTlsNotOffered, False),
    # what is no TLS record says nothing, whatever it says
    **{("TLS handshake", fault): (TlsError, False) for fault in ("421", "4xx", "5xx", "garbage", "endless line")},
    ("AUTH", "4xx"): (AuthenticationRefused, True),
    ("AUTH", "5xx"): (AuthenticationRefused, False),
    # who is refused is a recipient
    ("RCPT", "4xx"): (RecipientsRefused, True),
    ("RCPT", "5xx"): (RecipientsRefused, False),
    # what is said before the end of the content is no reply, but the reason for closing the connection
    ("content", "garbage"): (Disconnected, True),
    ("content", "endless line"): (Disconnected, True),
    # nobody knows
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
    """The peer waits for the end of the connection, so it has been closed before the block ends."""
    error, transient = UNUSUALLY.get((when, fault), USUALLY[fault])
    script = [*UP_TO[when], *FAULTS[fault]]
    if (when, fault) == ("content", "silence"):
        script[-1] = stop_reading()
    if (when, fault) in STILL_OPEN:
        script += [*([] if when == "final reply" else [expect("RSET"), say("250 ok")]), expect("NOOP"), say("250 ok")]
        script += GOODBYE
    settings = {"timeouts": IMPATIENT if fault == "silence" else PATIENT}
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
def test_whatever_comes_of_quit_is_no_error(open_client, fault):
    with scripted_peer([*UP_TO["QUIT"], *FAULTS[fault]]) as peer:
        client = open_client(peer, IMPATIENT if fault == "silence" else PATIENT)
        client.close()


def test_a_reset_instead_of_a_greeting(open_client):
    """Which comes first, the connection or its end, is up to the network."""
    with scripted_peer([reset()]) as peer, pytest.raises((ConnectError, Disconnected)) as raised:
        open_client(peer)
    assert raised.value.transient


def test_nobody_listens():
    (port,) = free_ports(1)
    with pytest.raises(ConnectError, match=f"Cannot connect to {LOOPBACK}:{port}: .*refused.* firewall") as raised:
        SmtpClient.open(Settings(host=LOOPBACK, port=port))
    assert raised.value.transient
    assert raised.value.phase is Phase.CONNECT


def test_a_name_that_nobody_knows(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectError, match=r"mail\.test:25: .*not known\. Check the server's name"):
        SmtpClient.open(Settings(host="mail.test"))


@pytest.mark.parametrize("name", ["mail..test", ".mail.test", "x" * 64])
@pytest.mark.parametrize("setting", ["host", "server_name"])
def test_a_name_that_no_server_can_have(name, setting):
    with pytest.raises(SettingsError, match=f"No server can have the name '{name}'"):
        SmtpClient.open(Settings(**{"host": LOOPBACK, setting: name}))


def test_every_address_of_a_name_is_tried(monkeypatch, open_client):
    """As where IPv6 is announced and does not work."""
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to("127.0.0.2", "127.0.0.3", LOOPBACK))
    with scripted_peer([*hello(), *GOODBYE]) as peer, open_client(peer):
        pass


def resolving_to(*addresses):
    return lambda _, port, **__: [
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)) for address in addresses
    ]


# One flight: the content has left with the envelope.


@pytest.mark.parametrize("fault", ["silence", "reset", "close", "garbage", "endless line"])
def test_a_flight_without_any_reply_may_have_been_delivered(open_client, fault):
    script = [*hello("PIPELINING", "CHUNKING"), expect("MAIL"), expect("RCPT"), expect("BDAT"), expect_octets(10)]
    with scripted_peer([*script, *FAULTS[fault]]) as peer:
        client = open_client(peer, IMPATIENT if fault == "silence" else PATIENT)
        with pytest.raises(DeliveryUncertain):
            client.send(Note(octets=b"x" * 8 + b"\r\n"))


@pytest.mark.parametrize(
    ("said", "error", "transient"),
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
def test_a_flight_that_is_cut_off_counts_as_far_as_it_was_answered(open_client, said, error, transient, end):
    script = [*hello("PIPELINING", "CHUNKING"), expect("MAIL"), expect("RCPT"), expect("BDAT"), expect_octets(10)]
    with scripted_peer([*script, say(*said), end()]) as peer:
        client = open_client(peer)
        with pytest.raises(SmtpError) as raised:
            client.send(Note(octets=b"x" * 8 + b"\r\n"))
    assert type(raised.value) is error
    assert raised.value.transient is transient


# Content.


@pytest.mark.parametrize("tls", [TlsMode.NONE, TlsMode.IMPLICIT])
@pytest.mark.parametrize("end", [close, reset])
@pytest.mark.parametrize("offer", ["BDAT", "DATA"])
def test_a_server_that_refuses_in_the_middle_and_closes_has_refused(open_client, certificates, offer, end, tls):
    """The broken connection is a consequence."""
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
        expect_octets(50_000),
        say("552 5.3.4 too big"),
        *([tls_close()] if encrypted and end is close else []),
        end(),
    ]
    with scripted_peer(script) as peer:
        client = open_client(peer, tls=tls)
        with pytest.raises(Refused, match=r"552 5\.3\.4 too big") as raised:
            client.send(EndlessNote())
    assert not raised.value.transient
    assert raised.value.phase in (Phase.CONTENT, Phase.FINAL)


def tls_close() -> Step:
    """End TLS in the orderly way, without waiting for the client's part in that."""

    def play(connection):
        connection.socket.settimeout(0)
        try:
            connection.socket.unwrap()
        except OSError:
            connection.socket.settimeout(10)

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


def test_a_long_envelope_does_not_stop_a_server_that_answers_meanwhile(open_client):
    """Such a server stops reading once nobody takes its replies."""
    recipients = tuple(f"{'x' * 200}{number}@b.test" for number in range(10_000))
    answers = [step for _ in recipients for step in (expect("RCPT"), say(f"250 2.1.5 {'ok ' * 300}"))]
    script = [*hello("PIPELINING"), expect("MAIL"), say("250 ok"), *answers, expect("DATA"), say("354 go")]
    with scripted_peer([*script, expect_content(), say("250 queued"), *GOODBYE]) as peer:
        with open_client(peer) as client:
            for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                client._transport._sock.setsockopt(socket.SOL_SOCKET, buffer, 100_000)
            result = client.send(Note(recipients=recipients))
        assert result.accepted == recipients


def test_a_server_that_talks_without_end_while_we_write_is_cut_off(open_client):
    with scripted_peer([*UP_TO["content"], say(b"250 ok\r\n" * 10_000_000)], to_the_end=False) as peer:
        client = open_client(peer)
        with pytest.raises(ProtocolError, match="talks without listening"):
            client.send(EndlessNote())


# Time.


class Clock:
    """A clock that goes on when it is told to, and by this many seconds whenever somebody looks."""

    def __init__(self, tick: float = 0) -> None:
        self.now = 0.0
        self._tick = tick

    def monotonic(self) -> float:
        self.now += self._tick
        return self.now

    def passes(self, seconds: float) -> Step:
        return Step("time passes", lambda _: setattr(self, "now", self.now + seconds))


def test_the_total_time_ends_an_operation_though_no_wait_is_too_long(open_client, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("airflow_smtp_cm.smtp.waits.time", clock)
    slow = [expect("MAIL"), clock.passes(3), say("250 ok"), expect("RCPT"), clock.passes(3), say("250 ok")]
    with scripted_peer([*hello(), *slow, wait_for_close()]) as peer:
        client = open_client(peer, Timeouts(total=5))
        with pytest.raises(TimedOut, match=r"\(DATA\)") as raised:
            client.send(Note())
    assert raised.value.transient


def test_the_total_time_is_for_one_operation(open_client, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("airflow_smtp_cm.smtp.waits.time", clock)
    script = [*hello(), *[expect("NOOP"), clock.passes(3), say("250 ok")] * 3, *GOODBYE]
    with scripted_peer(script) as peer, open_client(peer, Timeouts(total=5)) as client:
        for _ in range(3):
            client.noop()


def test_the_total_time_ends_content_that_flows_without_a_wait(open_client, monkeypatch):
    script = [*UP_TO["DATA"], say("354 go"), wait_for_close()]
    monkeypatch.setattr("airflow_smtp_cm.smtp.waits.time", Clock(tick=1))
    with scripted_peer(script) as peer:
        client = open_client(peer, Timeouts(total=100))
        with pytest.raises(TimedOut, match=r"\(content\)"):
            client.send(EndlessNote())


def test_the_addresses_of_a_name_share_the_total_time(monkeypatch):
    waits = []
    clock = Clock()

    def connect(sock, address):
        waits.append((address[0], sock.gettimeout()))
        clock.now += sock.gettimeout()
        raise TimeoutError("timed out")

    monkeypatch.setattr("airflow_smtp_cm.smtp.waits.time", clock)
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to("127.0.0.2", "127.0.0.3", "127.0.0.4"))
    with pytest.raises(ConnectError, match="Cannot connect"):
        SmtpClient.open(Settings(host="mail.test", timeouts=Timeouts(connect=30, total=50)))
    assert waits == [("127.0.0.2", 30), ("127.0.0.3", 20)]


# Sessions that end between two messages.

ONE_MESSAGE = [
    expect("MAIL"),
    say("250 ok"),
    expect("RCPT"),
    say("250 ok"),
    expect("DATA"),
    say("354 go"),
    expect_content(),
]


def test_a_session_that_the_server_ended_with_421_is_opened_anew(open_client):
    first = [*hello(), *ONE_MESSAGE, say("421 4.3.2 bye")]
    second = [*hello(), *ONE_MESSAGE, say("250 queued"), *GOODBYE]
    with scripted_peer(first, second) as peer, open_client(peer) as client:
        with pytest.raises(DeliveryUncertain):
            client.send(Note())
        assert client.send(Note()).reply.code == 250


@pytest.mark.parametrize("words", [["421 4.4.2 idle"], ["451 4.7.0 idle"], ["250 what?"], []])
def test_a_session_that_the_server_ended_between_two_messages_is_opened_anew(open_client, words):
    first = [*hello(), *ONE_MESSAGE, say("250 queued"), say(*words)]
    second = [*hello(), *ONE_MESSAGE, say("250 queued"), *GOODBYE]
    with scripted_peer(first, second) as peer, open_client(peer) as client:
        client.send(Note())
        wait_until_the_peer_has_closed(client)
        assert client.send(Note()).reply.code == 250


def wait_until_the_peer_has_closed(client) -> None:
    poll = select.poll()
    poll.register(client._transport._sock, select.POLLRDHUP)
    assert poll.poll(10_000)


@pytest.mark.parametrize("answer", [say("421 4.4.2 idle"), say("451 4.7.0 idle"), say("502 what?"), close(), reset()])
def test_a_session_that_rested_is_probed_and_opened_anew_if_it_is_dead(open_client, monkeypatch, answer):
    clock = Clock()
    first = [*hello(), *ONE_MESSAGE, say("250 queued"), expect("NOOP"), answer]
    second = [*hello(), *ONE_MESSAGE, say("250 queued"), *GOODBYE]
    with scripted_peer(first, second) as peer:
        monkeypatch.setattr("airflow_smtp_cm.smtp.client.time", clock)
        with open_client(peer) as client:
            client.send(Note())
            clock.now += PROBE_AFTER + 1
            assert client.send(Note()).reply.code == 250


def test_a_session_that_rested_and_lives_goes_on(open_client, monkeypatch):
    clock = Clock()
    message = [*ONE_MESSAGE, say("250 queued")]
    script = [*hello(), *message, expect("NOOP"), say("250 ok"), *message, *GOODBYE]
    with scripted_peer(script) as peer:
        monkeypatch.setattr("airflow_smtp_cm.smtp.client.time", clock)
        with open_client(peer) as client:
            client.send(Note())
            clock.now += PROBE_AFTER + 1
            client.send(Note())


def test_if_no_new_session_can_be_opened_that_is_the_error_and_the_next_message_tries_again(open_client):
    first = [*hello(), *ONE_MESSAGE, say("421 4.3.2 bye")]
    second = [say("454 4.3.2 not yet")]
    third = [*hello(), *ONE_MESSAGE, say("250 queued"), *GOODBYE]
    with scripted_peer(first, second, third) as peer, open_client(peer) as client:
        for error in (DeliveryUncertain, Refused):
            with pytest.raises(error):
                client.send(Note())
        client.send(Note())


# Interruptions: Airflow's own timeout is raised in a signal handler, and is no Exception.


class Interruption(BaseException):
    pass


@pytest.fixture
def interrupt():
    """A step that interrupts the tests' main thread, wherever it is."""

    def interrupted(*_):
        raise Interruption

    before = signal.signal(signal.SIGUSR1, interrupted)
    yield Step("interrupt", lambda _: os.kill(os.getpid(), signal.SIGUSR1))
    signal.signal(signal.SIGUSR1, before)


def test_an_interruption_while_connecting_leaves_no_socket_open(monkeypatch):
    sockets = []

    def connect(sock, _):
        sockets.append(sock)
        raise Interruption

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(Interruption):
        SmtpClient.open(Settings(host=LOOPBACK))
    assert [sock.fileno() for sock in sockets] == [-1]


@pytest.mark.parametrize("when", ["EHLO", "TLS handshake", "AUTH"])
def test_an_interruption_of_the_opening_leaves_no_socket_open(open_client, interrupt, when):
    settings = {"tls": TlsMode.STARTTLS} if when == "TLS handshake" else {}
    if when == "AUTH":
        settings["authentication"] = NTLM
    with scripted_peer([*UP_TO[when], interrupt, wait_for_close()]) as peer, pytest.raises(Interruption):
        open_client(peer, **settings)


@pytest.mark.parametrize("when", ["MAIL", "content", "final reply", "QUIT"])
def test_an_interruption_ends_the_session_without_another_word(open_client, interrupt, when):
    end = stop_reading() if when == "content" else wait_for_close()
    with scripted_peer([*UP_TO[when], interrupt, end]) as peer:
        client = open_client(peer)
        with pytest.raises(Interruption):
            client.close() if when == "QUIT" else client.send(EndlessNote() if when == "content" else Note())
        heard = len(peer.received)
        client.close()
    if when != "content":
        assert len(peer.received) == heard
