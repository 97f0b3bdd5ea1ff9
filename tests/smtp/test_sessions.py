"""A client's session over real sockets: total time, and what ends it between messages."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.client import PROBE_AFTER
from airflow_smtp_cm.smtp.ehlo_name import ehlo_name
from airflow_smtp_cm.smtp.errors import DeliveryUncertain, Phase, Refused, TimedOut
from airflow_smtp_cm.smtp.settings import Settings, Timeouts, TlsMode
from tests.servers.processes import LOOPBACK
from tests.servers.scripted import (
    Step,
    close,
    expect,
    expect_content,
    reset,
    say,
    scripted_peer,
    stop_reading,
    wait_for_close,
)
from tests.smtp.clock import Clock
from tests.smtp.driver import SILENCE
from tests.smtp.outgoing import Note
from tests.smtp.scripts import GOODBYE, NTLM, UP_TO, EndlessNote, hello, wait_until_the_peer_has_closed


def test_a_client_has_a_repr_before_it_is_open():
    """In a traceback with local variables, for instance."""
    assert repr(AsyncSmtpClient(Settings(host=LOOPBACK))) == "<AsyncSmtpClient 127.0.0.1:25 not open yet>"


# --- total time


def test_the_total_time_ends_an_operation_even_if_no_wait_is_too_long(open_client, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("airflow_smtp_cm.smtp.timeouts.time", clock)
    slow = [expect("MAIL"), clock.passes(300), say("250 ok"), expect("RCPT"), clock.passes(300), say("250 ok")]
    with scripted_peer([*hello(), *slow, wait_for_close()]) as peer:
        client = open_client(peer, Timeouts(command=1000, total=500))
        with pytest.raises(TimedOut, match=r"\(DATA\)") as raised:
            client.send(Note())
    assert raised.value.transient


def test_the_total_time_is_for_one_operation(open_client, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("airflow_smtp_cm.smtp.timeouts.time", clock)
    script = [*hello(), *[expect("NOOP"), clock.passes(300), say("250 ok")] * 3, *GOODBYE]
    with scripted_peer(script) as peer, open_client(peer, Timeouts(command=1000, total=500)) as client:
        for _ in range(3):
            client.noop()


def test_the_total_time_ends_content_that_is_sent_without_a_wait(open_client, monkeypatch):
    script = [*UP_TO["DATA"], say("354 go"), wait_for_close()]
    monkeypatch.setattr("airflow_smtp_cm.smtp.timeouts.time", Clock(tick=1))
    with scripted_peer(script) as peer:
        client = open_client(peer, Timeouts(total=100))
        with pytest.raises(TimedOut, match=r"\(content\)"):
            client.send(EndlessNote())


# --- sessions that end between two messages

ONE_MESSAGE = [
    expect("MAIL"),
    say("250 ok"),
    expect("RCPT"),
    say("250 ok"),
    expect("DATA"),
    say("354 go"),
    expect_content(),
]


def test_a_session_that_the_server_ended_with_421_is_replaced(open_client):
    first = [*hello(), *ONE_MESSAGE, say("421 4.3.2 bye")]
    second = [*hello(), *ONE_MESSAGE, say("250 queued"), *GOODBYE]
    with scripted_peer(first, second) as peer, open_client(peer) as client:
        with pytest.raises(DeliveryUncertain):
            client.send(Note())
        assert client.send(Note()).reply.code == 250


@pytest.mark.parametrize("words", [["421 4.4.2 idle"], ["451 4.7.0 idle"], ["250 what?"], []])
def test_a_session_that_the_server_ended_between_two_messages_is_replaced(open_client, words):
    first = [*hello(), *ONE_MESSAGE, say("250 queued"), say(*words)]
    second = [*hello(), *ONE_MESSAGE, say("250 queued"), *GOODBYE]
    with scripted_peer(first, second) as peer, open_client(peer) as client:
        client.send(Note())
        wait_until_the_peer_has_closed(client)
        assert client.send(Note()).reply.code == 250


@pytest.mark.parametrize("answer", [say("421 4.4.2 idle"), say("451 4.7.0 idle"), say("502 what?"), close(), reset()])
def test_an_idle_session_is_probed_and_replaced_if_it_is_dead(open_client, monkeypatch, answer):
    clock = Clock()
    first = [*hello(), *ONE_MESSAGE, say("250 queued"), expect("NOOP"), answer]
    second = [*hello(), *ONE_MESSAGE, say("250 queued"), *GOODBYE]
    with scripted_peer(first, second) as peer:
        monkeypatch.setattr("airflow_smtp_cm.smtp.client.time", clock)
        with open_client(peer) as client:
            client.send(Note())
            clock.now += PROBE_AFTER + 1
            assert client.send(Note()).reply.code == 250


def test_an_idle_session_that_is_alive_is_used_again(open_client, monkeypatch):
    clock = Clock()
    message = [*ONE_MESSAGE, say("250 queued")]
    script = [*hello(), *message, expect("NOOP"), say("250 ok"), *message, *GOODBYE]
    with scripted_peer(script) as peer:
        monkeypatch.setattr("airflow_smtp_cm.smtp.client.time", clock)
        with open_client(peer) as client:
            client.send(Note())
            clock.now += PROBE_AFTER + 1
            client.send(Note())


def test_if_no_session_can_be_opened_that_is_the_error_and_the_next_message_tries_again(open_client):
    first = [*hello(), *ONE_MESSAGE, say("421 4.3.2 bye")]
    second = [say("454 4.3.2 not yet")]
    third = [*hello(), *ONE_MESSAGE, say("250 queued"), *GOODBYE]
    with scripted_peer(first, second, third) as peer, open_client(peer) as client:
        for error in (DeliveryUncertain, Refused):
            with pytest.raises(error):
                client.send(Note())
        client.send(Note())


# --- interruptions: Airflow's timeout is raised in a signal handler, and is not an Exception


class Interruption(BaseException):
    pass


@pytest.fixture
def interrupt():
    """Return a step that interrupts the main thread of the tests at any point."""

    def interrupted(*_):
        raise Interruption

    before = signal.signal(signal.SIGUSR1, interrupted)
    yield Step("interrupt", lambda _: os.kill(os.getpid(), signal.SIGUSR1))
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("when", ["EHLO", "TLS handshake", "AUTH"])
def test_an_interruption_while_opening_leaves_no_socket_open(open_client, interrupt, when):
    settings = {"tls": TlsMode.STARTTLS} if when == "TLS handshake" else {}
    if when == "AUTH":
        settings["authentication"] = NTLM
    with scripted_peer([*UP_TO[when], interrupt, wait_for_close()]) as peer, pytest.raises(Interruption):
        open_client(peer, **settings)


@pytest.mark.parametrize("when", ["MAIL", "content", "final reply", "QUIT"])
def test_an_interruption_ends_the_session_without_another_command(open_client, interrupt, when):
    end = stop_reading() if when == "content" else wait_for_close()
    with scripted_peer([*UP_TO[when], interrupt, end]) as peer:
        client = open_client(peer)
        with pytest.raises(Interruption):
            client.close() if when == "QUIT" else client.send(EndlessNote() if when == "content" else Note())
        heard = len(peer.received)
        client.close()
    if when != "content":
        assert len(peer.received) == heard


# --- the name for EHLO


@pytest.mark.parametrize(
    ("host_name", "full_name", "address", "expected"),
    [
        ("worker.corp.test", None, "10.0.0.1", "worker.corp.test"),
        ("worker", "worker.corp.test", "10.0.0.1", "worker.corp.test"),
        ("worker", "worker", "10.0.0.1", "[10.0.0.1]"),
        ("worker", "worker", "2001:db8::1", "[IPv6:2001:db8::1]"),
        ("worker", "worker", "fe80::1%eth0", "[IPv6:fe80::1]"),
        ("my_worker.corp.test", None, "10.0.0.1", "[10.0.0.1]"),
        ("w\N{LATIN SMALL LETTER O WITH DIAERESIS}rker.corp.test", None, "10.0.0.1", "[10.0.0.1]"),
        ("worker..test", None, "10.0.0.1", "[10.0.0.1]"),
        ("-worker.corp.test", None, "10.0.0.1", "[10.0.0.1]"),
        (f"{'w' * 64}.test", None, "10.0.0.1", "[10.0.0.1]"),
        ("w." * 128 + "test", None, "10.0.0.1", "[10.0.0.1]"),
        ("10.20.30.40", None, "10.0.0.1", "[10.20.30.40]"),
        ("2001:db8::40", "2001:db8::40", "10.0.0.1", "[IPv6:2001:db8::40]"),
        ("10.20.30", None, "10.0.0.1", "[10.0.0.1]"),
        ("127.0.1.1", None, "10.0.0.1", "[10.0.0.1]"),
        ("0.0.0.0", None, "10.0.0.1", "[10.0.0.1]"),
        ("localhost.localdomain", None, "10.0.0.1", "[10.0.0.1]"),
        ("localhost", "localhost6.localdomain6", "2001:db8::1", "[IPv6:2001:db8::1]"),
        ("worker", "worker.LocalDomain", "10.0.0.1", "[10.0.0.1]"),
        ("worker.localhost", None, "10.0.0.1", "[10.0.0.1]"),
        ("localhost", "localhost", "10.0.0.1", "[10.0.0.1]"),
        ("worker1.localdomain.test", None, "10.0.0.1", "worker1.localdomain.test"),
        ("4.corp.test", None, "10.0.0.1", "4.corp.test"),
        ("worker.test\r\nRSET", None, "10.0.0.1", "[10.0.0.1]"),
    ],
)
def test_the_name_for_ehlo_is_the_machines_full_name_or_an_address(
    monkeypatch, driver, host_name, full_name, address, expected
):
    """The DNS, which may be slow, is asked only if the machine's own name is not fully qualified."""
    monkeypatch.setattr(socket, "gethostname", lambda: host_name)
    monkeypatch.setattr(socket, "getfqdn", lambda _: full_name or pytest.fail("the DNS was asked"))
    monkeypatch.setattr("airflow_smtp_cm.smtp.ehlo_name._full_names", {})
    assert driver.run(ehlo_name(address)) == expected


def test_if_the_dns_does_not_answer_in_time_the_name_for_ehlo_is_the_address(monkeypatch, driver):
    """It is asked once: each further session would wait, too."""
    asked = []

    def silent(name):
        asked.append(name)
        raise SILENCE  # as a transport does when the time is over

    monkeypatch.setattr(socket, "gethostname", lambda: "worker")
    monkeypatch.setattr(socket, "getfqdn", silent)
    monkeypatch.setattr("airflow_smtp_cm.smtp.ehlo_name._full_names", {})
    assert [driver.run(ehlo_name("10.0.0.1")) for _ in range(2)] == ["[10.0.0.1]"] * 2
    assert asked == ["worker"]


def test_the_lookup_of_the_name_for_ehlo_has_the_limit_of_the_connection(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "worker")
    monkeypatch.setattr("airflow_smtp_cm.smtp.ehlo_name._full_names", {})
    steps = ehlo_name("10.0.0.1")
    assert next(steps).phase is Phase.CONNECT
    steps.close()
