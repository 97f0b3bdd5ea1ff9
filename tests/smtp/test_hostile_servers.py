"""Hostile servers, and attackers between client and server: no secret leaks, and no injected text is accepted."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import ProtocolError, StartTlsNotOffered, TlsError
from airflow_smtp_cm.smtp.settings import Settings, Tls, TlsMode
from tests.fuzz import challenges, sessions
from tests.fuzz.inputs import BORDER
from tests.patience import PATIENT
from tests.servers.people import MAIL_DOMAIN
from tests.servers.processes import LOOPBACK
from tests.servers.scripted import Step, expect, say, scripted_peer, wait_for_close
from tests.smtp.driver import ehlo
from tests.smtp.outgoing import Note
from tests.smtp.scripts import NTLM

CORPUS = Path(__file__).parent.parent / "fuzz/corpus"


def open_blocking(settings: Settings) -> None:
    SmtpClient.open(settings).close()


def open_async(settings: Settings) -> None:
    async def main() -> None:
        async with await AsyncSmtpClient.open(settings):
            pass

    asyncio.run(main())


clients = pytest.mark.parametrize("open_client", [open_blocking, open_async], ids=["blocking", "asyncio"])


def requiring_tls(port: int, *, verify: bool = True) -> Settings:
    """Return settings of a client that logs in, with mandatory TLS."""
    return Settings(
        host=LOOPBACK,
        port=port,
        ehlo_name="me.test",
        tls=Tls(mode=TlsMode.STARTTLS, verify=verify),
        authentication=NTLM,
        timeouts=PATIENT,
    )


# --- TLS that is stripped, or that text is injected into


def hello(*extensions: str) -> list[Step]:
    return [say("220 hi"), expect("EHLO"), say(ehlo("AUTH NTLM", *extensions).replace("\n", "\r\n"))]


STRIPPED = {
    "left out": hello(),
    "masked": hello("XXXXXXXA"),
    "offered in the greeting only": [say("220 hi STARTTLS"), *hello()[1:]],
    "offered as a mechanism only": hello("AUTH STARTTLS"),
    "no EHLO": [say("220 hi"), expect("EHLO"), say("502 what?"), expect("HELO"), say("250 STARTTLS")],
    "refused": [*hello("STARTTLS"), expect("STARTTLS"), say("454 4.7.0 not now")],
    "not known after all": [*hello("STARTTLS"), expect("STARTTLS"), say("500 what?")],
}


@clients
@pytest.mark.parametrize("how", STRIPPED)
def test_if_tls_was_stripped_nothing_is_sent_unencrypted(open_client, how):
    with (
        scripted_peer([*STRIPPED[how], wait_for_close()], to_the_end=False) as peer,
        pytest.raises(StartTlsNotOffered),
    ):
        open_client(requiring_tls(peer.port))
    assert {command.split()[0] for command in peer.commands} <= {"EHLO", "HELO", "STARTTLS"}
    assert not re.search(rb"AUTH|MAIL|TlRM", peer.received)


@clients
def test_a_real_server_without_starttls_gets_neither_login_nor_mail(postfix, open_client):
    with pytest.raises(StartTlsNotOffered):
        open_client(requiring_tls(postfix.port("no_starttls")))


@clients
@pytest.mark.parametrize(
    "injected",
    [b"250 AUTH NTLM\r\n", b"250-mail.test\r\n250 AUTH PLAIN\r\n", b"2", b"\r\n", b"235 2.7.0 welcome\r\n"],
)
def test_text_injected_before_tls_is_an_error(open_client, injected):
    script = [*hello("STARTTLS"), expect("STARTTLS"), say("220 go", injected), wait_for_close()]
    with scripted_peer(script) as peer, pytest.raises(ProtocolError, match=r"an unsolicited reply|not an SMTP reply"):
        open_client(requiring_tls(peer.port, verify=False))
    assert peer.received.endswith(b"STARTTLS\r\n")


@clients
def test_a_server_that_continues_unencrypted_after_starttls_is_an_error(open_client):
    """At that point, the client accepts only TLS."""
    script = [*hello("STARTTLS"), expect("STARTTLS"), say("220 go")]
    in_clear = Step(
        "answer in clear", lambda connection: (connection.fill(), connection.socket.sendall(b"250 hi\r\n"))
    )
    with scripted_peer([*script, in_clear, wait_for_close()], to_the_end=False) as peer, pytest.raises(TlsError):
        open_client(requiring_tls(peer.port, verify=False))
    assert b"EHLO" not in peer.received.partition(b"STARTTLS\r\n")[2]


# --- one message that a server could read as two

SMUGGLED = [
    "\n.\n",
    "\n.\r\n",
    "\r.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r\n.\r",
    "\n.\r",
    "\r.\n",
    "\r\n\0.\r\n",
    "\r\n.\r\n",
]


@pytest.mark.parametrize("chunking", [False, True], ids=["DATA", "BDAT"])
def test_a_real_server_reads_one_message_as_one(postfix, submission, chunking):
    """With every sequence that ends the content for some server, followed by commands."""
    commands = (
        f"MAIL FROM:<alice@{MAIL_DOMAIN}>\r\nRCPT TO:<carol@{MAIL_DOMAIN}>\r\nDATA\r\nSubject: smuggled\r\n\r\n.\r\n"
    )
    note = Note(text="".join(f"first{end}{commands}" for end in SMUGGLED if "\0" not in end))
    last = Note()
    with SmtpClient.open(submission(postfix.port(), chunking=chunking)) as client:
        client.send(note)
        client.send(last)
    arrived = postfix.wait_for_message(note.message_id)
    assert arrived.get_content().count("MAIL FROM:<alice@") == len(SMUGGLED) - 1
    postfix.wait_for_message(last.message_id)
    postfix.wait_until_idle()
    assert "smuggled" not in [message["Subject"] for message in postfix.messages("carol")]


# --- arbitrary data

lines = st.sampled_from(
    [
        *(
            "220 hi",
            "250 ok",
            "250-x",
            "354 go",
            "334 ",
            "235 ok",
            "421 bye",
            "550 5.1.1 no",
            "451 later",
            "503 what",
        ),
        *(ehlo(), ehlo("STARTTLS", "AUTH NTLM"), ehlo("PIPELINING", "CHUNKING"), ehlo("PIPELINING", "SIZE 99")),
        *("250 ok\n250 ok\n250 ok", "250 ok\n550 no\n354 go", "garbage", ""),
    ]
).map(lambda text: "".join(f"{line}\r\n" for line in text.splitlines()).encode())


@settings(max_examples=2 * settings().max_examples)
@given(st.sets(st.sampled_from(sessions.WISHES)), st.lists(lines | st.binary(max_size=20), max_size=12))
def test_the_rules_of_a_session_hold_for_any_data_from_the_server(wishes, received):
    sessions.check(wishes, received)


@st.composite
def changed_challenges(draw):
    """Return real challenges, with bytes that are changed, removed or inserted."""
    found = draw(st.sampled_from(sorted((CORPUS / "challenges").iterdir())))
    made = []
    for challenge in found.read_bytes()[1:].split(BORDER + b"then" + BORDER):
        start = draw(st.integers(0, len(challenge)))
        end = draw(st.integers(start, min(len(challenge), start + 8)))
        made.append(challenge[:start] + draw(st.binary(max_size=8)) + challenge[end:])
    return made


@given(st.sampled_from(challenges.MECHANISMS), changed_challenges() | st.lists(st.binary(), max_size=3))
def test_a_login_with_any_challenges_ends_with_its_own_error(mechanism, received):
    challenges.check(mechanism, received)
