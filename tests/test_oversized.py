"""Oversized input: an error before anything is sent; memory and work grow at most in proportion to the input."""

from __future__ import annotations

import sys
import tracemalloc
from contextlib import contextmanager

import pytest

import airflow_smtp_cm.smtp.authentication  # noqa: F401 - the first login imports it, which must not count here
from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.connection_manager.connection_string import ConnectionString
from airflow_smtp_cm.mail import Attachment, InvalidMessage, MailMessage
from airflow_smtp_cm.mail.headers import MAX_TEXT
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.data_encoding import DataLines
from airflow_smtp_cm.smtp.errors import ProtocolError, SettingsError
from airflow_smtp_cm.smtp.reply_parser import MAX_REPLY, ReplyParser
from airflow_smtp_cm.smtp.settings import Settings
from airflow_smtp_cm.smtp.transport import MAX_UNREAD
from tests.fuzz.messages import header_names
from tests.patience import PATIENT
from tests.servers.processes import LOOPBACK
from tests.servers.scripted import Step, expect, say, scripted_peer
from tests.smtp.driver import ehlo
from tests.smtp.scripts import NTLM

MEGABYTE = 1024 * 1024
LARGE = 10 * MEGABYTE


@contextmanager
def memory_below(limit: int):
    """Assert that the block allocates less memory than this, at any time."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit


def work(function, *arguments) -> int:
    """Count the function calls inside a call: unlike the time, the number is reproducible."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return calls


def message(**fields):
    return MailMessage(**{"from_email": "a@x", "to": "b@y"} | fields)


# --- input of users

# Each is difficult for some algorithm: no place to break a line, white space only, a part of an encoded word,
# characters of four bytes, and characters with a meaning in addresses.
SHAPES = ["x", " ", "=? ", "\N{SLIGHTLY SMILING FACE}", '"', "(", ";", "["]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "write",
    [
        lambda text: {"subject": text},
        lambda text: {"headers": {"X-Own": text}},
        lambda text: {"headers": {f"X-{text}": "value"}},
        lambda text: {"from_email": f"{text} <a@x>"},
        lambda text: {"from_email": f"{text}@x"},
        lambda text: {"to": f'"{text}" <b@y>'},
        lambda text: {"cc": f"a@{text}"},
        lambda text: {"bcc": f"{text}b"},
        lambda text: {"reply_to": [text + "b"]},
        lambda text: {"priority": text},
        lambda text: {"message_id": f"<{text}@x>"},
        lambda text: {"attachments": f"/{text}b"},
        lambda text: {"attachments": f"{text}[b"},
    ],
    ids=[
        *("subject", "value", "name", "display name", "local part", "quoted name", "domain", "line", "lines"),
        *("priority", "message id", "path", "pattern"),
    ],
)
def test_a_field_of_ten_megabytes_is_rejected_with_a_short_error(write, shape):
    fields = write(shape * (LARGE // len(shape.encode())))
    with memory_below(16 * LARGE), pytest.raises(InvalidMessage) as caught:
        message(**fields)
    assert len(str(caught.value)) < 100_000


@pytest.mark.parametrize("shape", ["x", "\N{SLIGHTLY SMILING FACE}", "日", "=?", " "])
def test_the_longest_header_stays_below_the_limit_of_servers(shape):
    """Postfix keeps 102,400 bytes of a header, and silently drops the rest."""
    text = shape * (MAX_TEXT // len(shape.encode()))
    data = b"".join(message(subject=text).content(eight_bit=False, binary=False, utf8=False).chunks())
    assert data.index(b"Message-ID: ") - data.index(b"Subject: ") < 102_400
    with pytest.raises(InvalidMessage, match="truncate or refuse more than 32,768"):
        message(subject=text + shape)


@pytest.mark.parametrize("shape", ["x", "\N{SLIGHTLY SMILING FACE}", "."])
def test_a_file_name_of_a_megabyte_is_rejected(shape):
    with memory_below(16 * MEGABYTE), pytest.raises(InvalidMessage, match="longer than 1,024 characters") as caught:
        Attachment(b"", shape * MEGABYTE)
    assert len(str(caught.value)) < 1000


def test_the_cost_per_recipient_does_not_grow_with_their_number():
    def make(count: int) -> MailMessage:
        made = message(to=[f"Somebody <user{number}@example.com>" for number in range(count)])
        assert len(made.recipients) == count
        return made

    few, many = work(make, 1000), work(make, 4000)
    assert many < 4.5 * few
    with memory_below(60 * MEGABYTE):
        made = make(30_000)
        content = made.content(eight_bit=True, binary=False, utf8=False)
        head = b"".join(content.chunks())
    assert header_names(head).count("to") == 1


def test_a_large_body_needs_a_few_times_its_size_and_is_sent_in_pieces():
    text, html = "x" * MEGABYTE, "<p>Größe\r\n" * (MEGABYTE // 12)
    made = message(text=text, html=html)
    with memory_below(8 * (len(text) + len(html))):
        content = made.content(eight_bit=False, binary=False, utf8=False)
        encoder = DataLines()
        longest = max(len(encoder.feed(chunk)) for chunk in content.chunks())
    assert longest < 200_000


@pytest.mark.parametrize(
    "text",
    [
        "x" * LARGE,
        "SmtpServer=" + "x" * LARGE,
        "a;" * (LARGE // 2),
        "a=b;" * (LARGE // 4),
        "Password=x;" * (LARGE // 11),
        "Timeout=" + "9" * LARGE,
        ":" * LARGE,
        "=" * LARGE,
    ],
    ids=lambda text: text[:12],
)
def test_a_connection_string_of_ten_megabytes_is_rejected(text):
    with memory_below(MEGABYTE), pytest.raises(SettingsError, match="longer than 1,000 characters"):
        ConnectionString.parse(text)


@pytest.mark.parametrize(
    "name",
    ["smtp_server", "server_name", "username", "password", "keytab", "ca_bundle", "spn", "from_email", "ehlo_name"],
)
def test_a_connection_with_ten_megabytes_in_a_field_is_rejected(name):
    given = {"smtp_server": "mail.test", "use_windows_authentication": True, "username": "alice", "password": "x"}
    manager = SmtpConnectionManager(**given | {name: "x" * LARGE})
    with memory_below(LARGE), pytest.raises(SettingsError) as caught:
        manager.settings()
    assert str(caught.value) == f"{name} is longer than 4,096 characters."


# --- data from servers


def endless(piece: bytes) -> Step:
    """Return a step that sends the same data until the client closes the connection."""

    def play(connection):
        for _ in range(64 * MEGABYTE // len(piece)):
            connection.socket.sendall(piece)
        pytest.fail("The client listens to all of it.")

    return Step("endless", play)


LONG = b"x" * 64 * 1024
ENDLESS = {
    "a greeting line": [say(b"220 "), endless(LONG)],
    "a greeting": [endless(b"220-x\r\n" * 10_000)],
    "an EHLO line": [say("220 hi"), expect("EHLO"), say(b"250-"), endless(LONG)],
    "EHLO": [say("220 hi"), expect("EHLO"), endless(b"250-SIZE 1\r\n" * 10_000)],
    "a challenge line": [
        *(say("220 hi"), expect("EHLO"), say(ehlo("AUTH NTLM").replace("\n", "\r\n"))),
        *(expect("AUTH"), say(b"334 "), endless(LONG)),
    ],
    "a challenge": [
        *(say("220 hi"), expect("EHLO"), say(ehlo("AUTH NTLM").replace("\n", "\r\n"))),
        *(expect("AUTH"), endless(b"334-TlRMTVNTUAAC\r\n" * 5000)),
    ],
}


@pytest.mark.parametrize("what", ENDLESS)
def test_endless_data_from_a_server_is_an_error(what):
    with (
        scripted_peer(ENDLESS[what], to_the_end=False) as peer,
        memory_below(3 * MEGABYTE),
        pytest.raises(ProtocolError) as caught,
    ):
        SmtpClient.open(Settings(host=LOOPBACK, port=peer.port, authentication=NTLM, timeouts=PATIENT))
    assert len(str(caught.value)) < 500


def test_the_cost_per_reply_does_not_grow_with_their_number():
    def read(count: int) -> None:
        parser = ReplyParser()
        parser.feed(b"250 2.1.5 Ok\r\n" * count)
        while parser.next_reply():
            pass

    assert work(read, 40_000) < 4.5 * work(read, 10_000)


def test_the_cost_of_a_reply_byte_by_byte_is_proportional_to_its_length():
    def read(length: int) -> None:
        parser = ReplyParser()
        for byte in b"250 " + b"x" * length:
            parser.feed(bytes([byte]))
            assert parser.next_reply() is None

    assert work(read, 4000) < 4.5 * work(read, 1000)


def test_data_that_arrives_while_the_client_writes_is_limited():
    assert MAX_REPLY < MAX_UNREAD <= 16 * MEGABYTE
