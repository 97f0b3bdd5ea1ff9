"""The rules of a session: how it begins, how it starts TLS, and what ends it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from airflow_smtp_cm.smtp.errors import (
    Disconnected,
    Phase,
    ProtocolError,
    Refused,
    SmtpError,
    StartTlsNotOffered,
    TimedOut,
    TlsError,
)
from airflow_smtp_cm.smtp.reply_parser import MAX_LINE, MAX_LINES
from airflow_smtp_cm.smtp.settings import Tls, TlsMode
from tests.smtp.driver import END, SILENCE, Breaks, ehlo
from tests.smtp.outgoing import Note

STARTTLS = {"tls": Tls(mode=TlsMode.STARTTLS)}


def send(session, note=None, **options):
    return session.send(note or Note(), all_or_nothing=options.get("all_or_nothing", False), notification=None)


# --- how it begins


def test_a_session_begins_with_the_greeting_and_ehlo(driver):
    session = driver.session()
    driver.feed("220-mail.test\n220 ESMTP")
    driver.run(session.open("me.test"), ehlo("PIPELINING", "SIZE 1000"))
    assert driver.writes == [b"EHLO me.test\r\n"]
    assert session.wire.extensions.size_limit == 1000
    assert driver.trace == [
        "S: 220 mail.test ESMTP",
        "C: EHLO me.test",
        "S: 250 mail.test PIPELINING SIZE 1000",
    ]
    assert [repr(event).partition(", ")[2] for event in driver.traced][1] == "'C', 'EHLO me.test')"


@pytest.mark.parametrize("code", [500, 502, 504])
def test_helo_is_sent_if_ehlo_is_not_implemented(driver, code):
    session = driver.session()
    driver.feed("220 hi")
    driver.run(session.open("me.test"), f"{code} what?", "250-mail.test\n250 PIPELINING")
    assert driver.sent == ["EHLO me.test", "HELO me.test"]
    assert "PIPELINING" not in session.wire.extensions


@pytest.mark.parametrize("code", [421, 450, 451, 501, 503, 535, 550, 554])
def test_helo_is_not_sent_if_ehlo_is_refused_for_another_reason(driver, code):
    session = driver.session()
    driver.feed("220 hi")
    with pytest.raises(Refused) as raised:
        driver.run(session.open("me.test"), f"{code} no")
    assert driver.sent == ["EHLO me.test"]
    assert raised.value.code == code
    assert raised.value.transient is (code < 500)


def test_a_server_that_accepts_neither_ehlo_nor_helo_is_an_error(driver):
    driver.feed("220 hi")
    with pytest.raises(Refused, match=r"refused EHLO and HELO: 550 5\.7\.1 no"):
        driver.run(driver.session().open("me.test"), "502 what?", "550 5.7.1 no")


@pytest.mark.parametrize("code", [421, 450, 521, 554])
def test_nothing_is_sent_to_a_server_that_rejects_the_connection(driver, code):
    driver.feed(f"{code} no")
    with pytest.raises(Refused, match=f"{code} no") as raised:
        driver.run(driver.session().open("me.test"))
    assert raised.value.phase is Phase.GREETING
    assert raised.value.transient is (code < 500)
    assert driver.writes == []


# --- STARTTLS


def test_extensions_offered_before_tls_are_forgotten(driver):
    session = driver.session(**STARTTLS)
    driver.feed("220 hi")
    driver.run(
        session.open("me.test"), ehlo("AUTH NTLM", "STARTTLS", "PIPELINING", "SIZE 1"), "220 go", ehlo("CHUNKING")
    )
    assert driver.sent == ["EHLO me.test", "STARTTLS", "EHLO me.test"]
    assert session.wire.extensions.keywords == {"CHUNKING": ""}
    assert session.wire.extensions.mechanisms == ()
    assert session.wire.tls is not None


def test_extensions_offered_before_tls_are_forgotten_even_if_only_helo_succeeds_under_tls(driver):
    session = driver.session(**STARTTLS)
    driver.feed("220 hi")
    driver.run(session.open("me.test"), ehlo("STARTTLS", "PIPELINING"), "220 go", "502 what?", "250 hi")
    assert driver.sent[-2:] == ["EHLO me.test", "HELO me.test"]
    assert session.wire.extensions.keywords == {}


@pytest.mark.parametrize("hello", [(ehlo("AUTH NTLM"),), ("502 what?", "250 hi")])
def test_nothing_is_sent_unencrypted_if_starttls_is_not_offered(driver, hello):
    driver.feed("220 hi")
    with pytest.raises(StartTlsNotOffered, match=r"not offer STARTTLS\. Enable SSL makes TLS mandatory") as raised:
        driver.run(driver.session(**STARTTLS).open("me.test"), *hello)
    assert not raised.value.transient
    assert driver.sent[-1] in ("EHLO me.test", "HELO me.test")


@pytest.mark.parametrize("code", [421, 454, 501, 502, 554])
def test_nothing_is_sent_unencrypted_if_starttls_is_refused(driver, code):
    driver.feed("220 hi")
    with pytest.raises(StartTlsNotOffered, match=f'refused STARTTLS: "{code} no" Enable SSL makes') as raised:
        driver.run(driver.session(**STARTTLS).open("me.test"), ehlo("STARTTLS"), f"{code} no")
    assert driver.sent[-1] == "STARTTLS"
    assert raised.value.transient is (code < 500)


@pytest.mark.parametrize(
    "injected", ["250-mail.test\n250 AUTH NTLM", b"2", b"\r\n", "454 no", b"\x16\x03\x03\x00\x02"]
)
def test_bytes_that_come_with_the_220_to_starttls_are_an_error(driver, injected):
    """Otherwise, an attacker could inject plaintext into the TLS session."""
    session = driver.session(**STARTTLS)
    driver.feed("220 hi")
    with pytest.raises(ProtocolError) as raised:
        driver.run(session.open("me.test"), ehlo("STARTTLS"), ("220 go", injected))
    assert not raised.value.transient
    assert session.wire.closed
    assert driver.sent[-1] == "STARTTLS"


def test_implicit_tls_begins_before_the_greeting(driver):
    driver.under_tls = "220 hi"
    driver.run(driver.session(tls=Tls(mode=TlsMode.IMPLICIT)).open("me.test"), ehlo("STARTTLS"))
    assert driver.sent == ["EHLO me.test"]
    assert driver.trace[:2] == ["*: TLSv1.3, TLS_AES_256_GCM_SHA384", "S: 220 hi"]


# --- what ends it


def commands_of(session):
    return {
        "MAIL": send(session),
        "NOOP": session.noop(),
        "nothing": session.check(),
    }


@pytest.mark.parametrize("command", ["MAIL", "NOOP", "nothing"])
@pytest.mark.parametrize("doubled", ["250 ok\n250 ok", ("250 ok", b"25"), ("250 ok", b"\r\n")])
def test_an_unsolicited_reply_is_an_error_before_the_next_command(driver, command, doubled):
    """Otherwise, it would be mistaken for the reply to that command."""
    session = driver.opened("PIPELINING", "CHUNKING", chunking=True)
    driver.run(session.noop(), doubled)
    with pytest.raises(ProtocolError, match=r"sent an unsolicited reply|not an SMTP reply") as raised:
        driver.run(commands_of(session)[command])
    assert raised.value.phase in (Phase.MAIL, Phase.NOOP)
    assert session.wire.closed
    assert driver.sent == ["NOOP"]


@pytest.mark.parametrize("command", ["MAIL", "NOOP", "nothing"])
@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("421 4.4.2 idle for too long", Refused),
        ("451 4.4.2 idle for too long", Refused),
        (("451 4.4.2 idle for too long", END), Refused),
        (END, Disconnected),
        (("421 4.4.2 bye", END), Refused),
    ],
)
def test_a_closed_connection_is_noticed_before_the_next_command(driver, command, data, error):
    """A message that is not even sent cannot be uncertain."""
    session = driver.opened("PIPELINING", "CHUNKING", chunking=True)
    driver.feed(data)
    with pytest.raises(error) as raised:
        driver.run(commands_of(session)[command])
    assert type(raised.value) is error
    assert raised.value.transient
    assert session.wire.closed
    assert driver.writes == []


ENDS = {
    "end": (END, Disconnected, True),
    "half a reply": ((b"250 o", END), Disconnected, True),
    "silence": (SILENCE, TimedOut, True),
    "silence in mid-reply": (("250-more", SILENCE), TimedOut, True),
    "421": ("421 4.3.2 bye", Refused, True),
    "TLS fails": (TlsError("bad record"), TlsError, False),
    "garbage": ("HTTP/1.1 400 Bad Request", ProtocolError, False),
    "endless line": (b"250 " + b"x" * MAX_LINE, ProtocolError, False),
    "endless reply": (b"250-x\r\n" * (MAX_LINES + 1), ProtocolError, False),
    "two codes": ("250-a\n251 b", ProtocolError, False),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("when", ["EHLO", "STARTTLS", "NOOP", "MAIL", "RCPT", "DATA"])
def test_every_end_of_the_conversation_has_its_error_at_every_command(driver, when, end):
    answer, error, transient = ENDS[end]
    if when in ("EHLO", "STARTTLS"):
        session = driver.session(**STARTTLS)
        driver.feed("220 hi")
        steps = session.open("me.test")
        answers = [answer] if when == "EHLO" else [ehlo("STARTTLS"), answer]
    else:
        session = driver.opened()
        steps = session.noop() if when == "NOOP" else send(session)
        before = {"NOOP": 0, "MAIL": 0, "RCPT": 1, "DATA": 2}[when]
        answers = [*["250 ok"] * before, answer]
    if (when, end) == ("STARTTLS", "421"):
        error = StartTlsNotOffered
    with pytest.raises(SmtpError) as raised:
        driver.run(steps, *answers)
    assert type(raised.value) is error
    assert raised.value.transient is transient
    assert session.wire.closed
    assert driver.sent[-1].startswith(when)


def test_a_protocol_error_has_its_phase(driver):
    session = driver.opened()
    with pytest.raises(ProtocolError, match="not an SMTP reply: 'what") as raised:
        driver.run(session.noop(), "what")
    assert (raised.value.phase, raised.value.command) == (Phase.NOOP, "NOOP")


@pytest.mark.parametrize(
    ("last_words", "error", "code"),
    [
        ("", Disconnected, None),
        ("what", Disconnected, None),
        ("250-half", Disconnected, None),
        ("421 4.7.0 too many errors", Refused, 421),
        ("554 5.7.1 go away", Refused, 554),
        ("250 ok\n554 5.7.1 go away", Refused, 554),
    ],
)
def test_the_servers_last_words_are_the_error_if_the_connection_breaks_in_a_command(driver, last_words, error, code):
    session = driver.opened()
    with pytest.raises(error) as raised:
        driver.run(session.noop(), Breaks(last_words))
    assert raised.value.code == code
    assert session.wire.closed


@pytest.mark.parametrize("answer", ["221 bye", "421 bye", "500 what?", "what", END, SILENCE, Breaks(), (b"2", END)])
def test_quit_is_sent_once_and_ends_the_session_whatever_the_reply(driver, answer):
    session = driver.opened()
    with suppress(SmtpError):
        driver.run(session.quit(), answer)
    assert session.wire.closed
    assert driver.sent == ([] if isinstance(answer, Breaks) else ["QUIT"])
