"""Connecting: the addresses of a name race each other (RFC 8305), alike in both clients."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from contextlib import ExitStack

import pytest

from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.connecting import connect
from airflow_smtp_cm.smtp.errors import ConnectError, Phase, SettingsError
from airflow_smtp_cm.smtp.settings import Settings, Timeouts
from airflow_smtp_cm.smtp.timeouts import Deadlines
from tests.patience import PATIENT, ImpatientIn
from tests.servers.processes import LOOPBACK, free_ports
from tests.servers.scripted import scripted_peer
from tests.smtp.addresses import infos, resolving_to, silent
from tests.smtp.clock import Clock
from tests.smtp.scripts import GOODBYE, hello

SILENT, SILENT_TOO, CLOSED = "127.0.0.2", "127.0.0.3", "127.0.0.4"


def open_and_close(settings: Settings) -> None:
    with SmtpClient.open(settings):
        pass


def open_and_close_async(settings: Settings) -> None:
    async def main():
        async with await AsyncSmtpClient.open(settings):
            pass

    asyncio.run(main())


@pytest.fixture(params=[open_and_close, open_and_close_async], ids=["blocking", "asyncio"])
def visit(request):
    """Open a session and close it, with either client."""
    return request.param


@pytest.fixture
def port():
    (port,) = free_ports(1)
    return port


@pytest.fixture
def silent_addresses(port):
    """On ``port``, ``SILENT`` and ``SILENT_TOO`` do not answer."""
    with silent(SILENT, port), silent(SILENT_TOO, port):
        yield


@pytest.fixture
def opened(monkeypatch):
    """The sockets that have begun to connect."""
    opened = []
    connect = socket.socket.connect

    def recorded(sock, address):
        opened.append(sock)
        connect(sock, address)

    monkeypatch.setattr(socket.socket, "connect", recorded)
    return opened


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in ("connecting", "timeouts"):
        monkeypatch.setattr(f"airflow_smtp_cm.smtp.{module}.time", clock)
    return clock


# --- one address


def test_no_server_on_the_port_is_a_connect_error(visit, port):
    with pytest.raises(ConnectError) as raised:
        visit(Settings(host=LOOPBACK, port=port))
    assert str(raised.value) == (
        f"Cannot connect to {LOOPBACK}:{port}: Connection refused ({LOOPBACK}). Check the server's name and port, "
        f"and whether a firewall blocks this machine."
    )
    assert raised.value.transient
    assert raised.value.phase is Phase.CONNECT


def test_an_unknown_server_name_is_a_connect_error(visit, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectError) as raised:
        visit(Settings(host="mail.test"))
    assert str(raised.value) == (
        "Cannot connect to mail.test:25: Name or service not known. Check the server's name. If it is right, check "
        "the DNS of this machine."
    )


def test_a_name_that_is_not_resolved_in_time_is_a_connect_error(visit, monkeypatch):
    """The DNS is asked in a thread that holds up neither the client nor the end of its event loop."""
    answer = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer.wait())
    try:
        with pytest.raises(ConnectError, match=r"mail\.test:25: its name was not resolved in time\. .* DNS"):
            visit(Settings(host="mail.test", timeouts=ImpatientIn(Phase.CONNECT)))
    finally:
        answer.set()


@pytest.mark.parametrize("name", ["mail..test", ".mail.test", "mail.test..", "x" * 64, "☃.test"])
@pytest.mark.parametrize("setting", ["host", "server_name"])
def test_an_invalid_server_name_is_an_error(visit, name, setting):
    with pytest.raises(SettingsError, match=f"'{name}' is not a valid server name"):
        visit(Settings(**{"host": LOOPBACK, setting: name}))


# --- several addresses


def test_a_server_whose_first_addresses_are_silent_or_closed_is_reached(visit, monkeypatch):
    """For example, if IPv6 is announced and does not work."""
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to(SILENT, CLOSED, SILENT_TOO, LOOPBACK))
    with ExitStack() as stack:
        peer = stack.enter_context(scripted_peer([*hello(), *GOODBYE]))
        for address in (SILENT, SILENT_TOO):
            stack.enter_context(silent(address, peer.port))
        visit(Settings(host="mail.test", port=peer.port, ehlo_name="me.test", timeouts=PATIENT))


@pytest.mark.usefixtures("silent_addresses")
def test_if_no_address_answers_the_error_names_each_of_them(visit, monkeypatch, port, clock):
    clock.tick = 0.01  # so the time ends after some waits, however long they last
    monkeypatch.setattr("airflow_smtp_cm.smtp.connecting.ATTEMPT_DELAY", 0)
    resolved, resolve = threading.Event(), resolving_to(SILENT, CLOSED, SILENT_TOO)

    def look_up(*arguments, **options):
        resolved.set()
        return resolve(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(ConnectError) as raised:
        visit(Settings(host="mail.test", port=port, timeouts=ImpatientIn(Phase.CONNECT, begins=resolved.is_set)))
    assert str(raised.value) == (
        f"Cannot connect to mail.test:{port}: no answer in time ({SILENT}), Connection refused ({CLOSED}), no answer "
        f"in time ({SILENT_TOO}). Check the server's name and port, and whether a firewall blocks this machine."
    )


@pytest.mark.usefixtures("silent_addresses")
def test_the_next_address_is_tried_250_ms_after_the_one_before(clock, port, opened):
    with socket.create_server((LOOPBACK, port)):
        race = connect(infos(SILENT, SILENT_TOO, LOOPBACK, port=port), Deadlines(Settings(host="mail.test")))
        sockets = []
        for _ in range(2):
            attempt = next(race) if not sockets else race.send(None)
            assert attempt.seconds == 0.25
            sockets.append(attempt.sockets[-1])
            assert attempt.sockets == tuple(sockets) == tuple(opened)
            clock.now += 0.2
            attempt = race.send(None)
            assert (attempt.sockets, round(attempt.seconds, 6)) == (tuple(sockets), 0.05)
            clock.now += 0.05
        attempt = race.send(None)
        assert attempt.sockets == tuple(opened)
        assert len(opened) == 3
        assert attempt.seconds == 30 - clock.now  # there is no other address, so it waits for these
        (ready,) = writable(attempt.sockets)
        with pytest.raises(StopIteration) as ended:
            race.send(ready)
        with ended.value.value as sock:
            assert sock.getpeername() == (LOOPBACK, port)
            assert not sock.getblocking()
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert [sock.fileno() for sock in sockets] == [-1, -1]


@pytest.mark.usefixtures("silent_addresses")
def test_the_next_address_is_tried_at_once_if_the_one_before_has_failed(clock, port):
    race = connect(infos(SILENT, CLOSED, SILENT_TOO, port=port), Deadlines(Settings(host="mail.test")))
    (first,) = next(race).sockets
    clock.now += 0.25
    attempt = race.send(None)
    assert len(attempt.sockets) == 2
    attempt = race.send(*writable(attempt.sockets))
    assert len(attempt.sockets) == 2
    assert attempt.sockets[0] is first
    race.close()
    assert [sock.fileno() for sock in attempt.sockets] == [-1, -1]


def test_the_failure_of_an_earlier_address_does_not_hurry_the_next(clock, port):
    """RFC 8305 limits how fast attempts follow each other."""
    with silent(SILENT, port):
        race = connect(infos(CLOSED, SILENT, SILENT_TOO, port=port), Deadlines(Settings(host="mail.test")))
        (first,) = next(race).sockets
        clock.now += 0.25
        attempt = race.send(None)
        clock.now += 0.1
        attempt = race.send(first)
        assert len(attempt.sockets) == 1
        assert round(attempt.seconds, 6) == 0.15
        race.close()


@pytest.mark.usefixtures("silent_addresses")
def test_the_addresses_share_the_timeout_and_the_total_time(clock, port):
    race = connect(
        infos(SILENT, SILENT_TOO, CLOSED, port=port),
        Deadlines(Settings(host="mail.test", timeouts=Timeouts(connect=30, total=0.4))),
    )
    next(race)
    clock.now += 0.25
    attempt = race.send(None)
    assert round(attempt.seconds, 6) == 0.15
    clock.now += 0.15
    with pytest.raises(ConnectError) as raised:
        race.send(None)
    assert f"no answer in time ({SILENT}), no answer in time ({SILENT_TOO}), not tried ({CLOSED})" in str(
        raised.value
    )
    assert [sock.fileno() for sock in attempt.sockets] == [-1, -1]


def test_the_families_of_the_addresses_take_turns(monkeypatch):
    """So that a broken family costs one delay, however many addresses it has."""
    tried = []

    def refused(_, address):
        tried.append(address[0])
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket.socket, "connect", refused)
    addresses = ("2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.2")
    with pytest.raises(ConnectError):
        next(connect(infos(*addresses, port=25), Deadlines(Settings(host="mail.test"))))
    assert tried == ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"]


def test_an_address_whose_family_this_machine_lacks_is_one_that_failed(monkeypatch):
    class NoIpv6(socket.socket):
        def __init__(self, family, *args, **keywords):
            if family is socket.AF_INET6:
                raise OSError(97, "Address family not supported by protocol")
            super().__init__(family, *args, **keywords)

    monkeypatch.setattr(socket, "socket", NoIpv6)
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        race = connect(infos("2001:db8::1", LOOPBACK, port=port), Deadlines(Settings(host="mail.test")))
        attempt = next(race)
        with pytest.raises(StopIteration) as ended:
            race.send(*writable(attempt.sockets))
        ended.value.value.close()


def writable(sockets):
    """Return the first of these sockets that has an outcome."""
    return select.select([], sockets, [])[1][:1]


# --- interruptions


class Interruption(BaseException):
    """As Airflow's timeout, which is raised in a signal handler, and is not an Exception."""


def test_an_interruption_while_connecting_leaves_no_socket_open(monkeypatch):
    sockets = []

    def interrupted(sock, _):
        sockets.append(sock)
        raise Interruption

    monkeypatch.setattr(socket.socket, "connect", interrupted)
    with pytest.raises(Interruption):
        SmtpClient.open(Settings(host=LOOPBACK))
    assert [sock.fileno() for sock in sockets] == [-1]


@pytest.mark.usefixtures("silent_addresses")
def test_cancelling_while_connecting_leaves_no_socket_open(monkeypatch, port, opened):
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to(SILENT, SILENT_TOO))

    async def main():
        opening = asyncio.create_task(AsyncSmtpClient.open(Settings(host="mail.test", port=port, timeouts=PATIENT)))
        while len(opened) < 2:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    asyncio.run(main())
    assert [sock.fileno() for sock in opened] == [-1, -1]
