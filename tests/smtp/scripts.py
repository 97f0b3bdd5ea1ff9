"""Parts of scripts for a scripted peer, and settings of its clients."""

from __future__ import annotations

import select
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.settings import Identity, MechanismChoice, WindowsAuthentication
from tests.servers.processes import PATIENCE_SECONDS
from tests.servers.scripted import Step, expect, expect_bytes, expect_content, say
from tests.smtp.driver import ehlo
from tests.smtp.outgoing import Note

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.client import SmtpClient

NTLM = WindowsAuthentication(
    identity=Identity(username="CORP\\alice", password="secret"), mechanism=MechanismChoice.NTLM
)


@dataclass(frozen=True)
class Endless:
    """Content that is too large for the network buffers: it is never sent completely before the peer reads."""

    size: int = 64 * 1024 * 1024
    body: str = "7BIT"
    utf8: bool = False
    in_memory: bool = False

    def chunks(self):
        chunk = (b"x" * 1022 + b"\r\n") * 64
        for _ in range(self.size // len(chunk)):
            yield chunk


class EndlessNote(Note):
    def content(self, **_):
        return Endless()


def hello(*extensions: str) -> list[Step]:
    return [say("220 hi"), expect("EHLO"), say(ehlo(*extensions).replace("\n", "\r\n"))]


def wait_until_the_peer_has_closed(client: SmtpClient) -> None:
    poll = select.poll()
    poll.register(client._transport._sock, select.POLLRDHUP)
    assert poll.poll(PATIENCE_SECONDS * 1000)


GOODBYE = [expect("QUIT"), say("221 bye")]

# The script up to each point of a dialogue.
UP_TO: dict[str, list[Step]] = {
    "greeting": [],
    "EHLO": hello()[:2],
    "STARTTLS": [*hello("STARTTLS"), expect("STARTTLS")],
    "TLS handshake": [*hello("STARTTLS"), expect("STARTTLS"), say("220 go"), expect_bytes(1)],
    "AUTH": [*hello("AUTH NTLM"), expect("AUTH NTLM")],
    "MAIL": [*hello(), expect("MAIL")],
    "RCPT": [*hello(), expect("MAIL"), say("250 ok"), expect("RCPT")],
    "DATA": [*hello(), expect("MAIL"), say("250 ok"), expect("RCPT"), say("250 ok"), expect("DATA")],
    "QUIT": [*hello(), expect("QUIT")],
}
UP_TO["content"] = [*UP_TO["DATA"], say("354 go"), expect_bytes(50_000)]
UP_TO["final reply"] = [*UP_TO["DATA"], say("354 go"), expect_content()]
