"""Secrets of a login never leak: not into the trace, a log, an error or a repr."""

from __future__ import annotations

import base64
import logging
from functools import partial

import pytest
import spnego

from airflow_smtp_cm.smtp.effects import Call, Write
from airflow_smtp_cm.smtp.errors import Phase, SmtpError
from airflow_smtp_cm.smtp.reply import Reply
from airflow_smtp_cm.smtp.settings import Identity, MechanismChoice, WindowsAuthentication
from airflow_smtp_cm.smtp.trace import Trace
from airflow_smtp_cm.smtp.wire import Command
from tests.hidden import assert_hidden, texts_of
from tests.servers.people import ALICE, NTLM_USERS
from tests.smtp.driver import END, ehlo


class Acceptor:
    """The server's side of AUTH NTLM, by pyspnego: a function for the driver; its challenges can be distorted.

    Attributes:
        secrets: every token that was exchanged.
    """

    def __init__(self, distort=None) -> None:
        self._context = spnego.server(protocol="ntlm")
        self._distort = distort or (lambda _, answer: answer)
        self._round = 0
        self.secrets: list[bytes] = []

    def __call__(self, line: bytes):
        if line == b"*\r\n":
            return "501 5.7.0 Authentication cancelled"
        self._round += 1
        token = base64.b64decode(line.split()[-1])
        self.secrets.append(token)
        try:
            answer = self._context.step(token)
        except spnego.exceptions.SpnegoError:
            reply = "535 5.7.8 Authentication failed"
        else:
            self.secrets += [answer] if answer else []
            reply = "235 2.7.0 Welcome" if self._context.complete else f"334 {base64.b64encode(answer).decode()}"
        return self._distort(self._round, reply)


def flip(reply: str) -> str:
    """Change some bytes of a challenge."""
    token = bytearray(base64.b64decode(reply.split()[1]))
    token[12:40] = bytes(byte ^ 0xFF for byte in token[12:40])
    return f"334 {base64.b64encode(token).decode()}"


DISTORTIONS = {
    "nothing": None,
    "the challenge is changed": lambda number, reply: flip(reply) if number == 1 else reply,
    "the challenge is no challenge": lambda number, reply: reply[:36] if number == 1 else reply,
    "the challenge is not base64": lambda number, reply: f"{reply[:-8]}?{reply[-8:]}" if number == 1 else reply,
    "the challenge has no code": lambda number, reply: reply[4:] if number == 1 else reply,
    "the challenge changes its code": lambda _, reply: f"334-{reply[4:]}\n235 {reply[4:]}",
    "the challenge has no end": lambda _, reply: reply.encode() * 100,
    "the challenge comes twice": lambda number, reply: (reply, reply) if number == 1 else reply,
    "the challenge is the end": lambda _, reply: (reply.encode(), END),
    "the server repeats what it does not understand": None,
}


@pytest.fixture
def ntlm_users(tmp_path, monkeypatch):
    users = tmp_path / "users"
    users.write_text(NTLM_USERS)
    monkeypatch.setenv("NTLM_USER_FILE", str(users))


@pytest.mark.usefixtures("ntlm_users")
@pytest.mark.parametrize("password", [ALICE.password, "another-password-7"], ids=["right", "wrong"])
@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_a_login_leaks_no_secret(driver, caplog, distortion, password):
    caplog.set_level(logging.DEBUG)
    acceptor = Acceptor(DISTORTIONS[distortion])
    answer = acceptor if "repeats" not in distortion else _repeating(acceptor)
    identity = Identity(username=ALICE.down_level, password=password)
    windows = WindowsAuthentication(identity=identity, mechanism=MechanismChoice.NTLM)
    session = driver.session(authentication=windows)
    # Again with the logger that is used without a trace function.
    to_log = Trace()
    session.wire.trace.sink = lambda event: (driver.traced.append(event), to_log(event.direction, event.text))
    driver.feed("220 hi")
    shown: list[str] = []
    try:
        driver.run(session.open("me.test"), ehlo("AUTH NTLM"), answer, answer)
    except SmtpError as error:
        shown += texts_of(error)
    assert (session.login is not None) is (distortion == "nothing" and password == ALICE.password)
    shown += [*driver.trace, caplog.text, repr(session), repr(session.wire), repr(session.wire.settings)]
    assert "C: AUTH NTLM ********" in driver.trace
    assert_hidden(shown, password.encode(), *acceptor.secrets)


def _repeating(acceptor):
    def answer(line: bytes):
        acceptor(line)
        return f'500 5.5.1 Command unrecognized: "{line.decode().strip()}"'

    return answer


def test_objects_with_secrets_do_not_show_them():
    assert "secret" not in repr(Write(b"secret", Phase.AUTH))
    assert "secret" not in repr(Command(Phase.FINAL, "BDAT 6 LAST", b"secret"))
    assert "secret" not in repr(Call(partial(print, b"secret")))
    challenge = Reply(334, ("secret",), secret=True)
    assert "secret" not in f"{challenge} {challenge!r}"
