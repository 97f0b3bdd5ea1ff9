"""What a client is told to do, and what that cost: the lines that the harness and its workers exchange, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SENDER = "reports@bench.test"
TEXT = "".join(f"{line:3d} All work and no play makes Jack a dull boy, says the proverb.\n" for line in range(15))


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where to send.

    Attributes:
        port: TCP port of 127.0.0.1.
        starttls: whether to use STARTTLS.
        login: how to log in: "ntlm", "kerberos", or not at all.
    """

    port: int
    starttls: bool = False
    login: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What to send: the fields from which each client makes its message."""

    recipients: list[str]
    subject: str
    attachment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a client does in a round.

    Attributes:
        server: where to send.
        messages: how many.
        recipients: how many a message has.
        attachment: path of a file to attach.
        bulk: whether the client may have several messages under way; else each waits for the one before.
        reconnect: whether each message has a connection of its own, which then is part of the cost.
    """

    server: Server
    messages: int = 1
    recipients: int = 1
    attachment: str | None = None
    bulk: bool = False
    reconnect: bool = False

    def mails(self) -> Iterator[Mail]:
        """Return the messages; no two have the same subject."""
        recipients = [f"reader{number}@bench.test" for number in range(self.recipients)]
        for number in range(self.messages):
            yield Mail(recipients=recipients, subject=f"Report {number}", attachment=self.attachment)

    def as_line(self) -> str:
        """Return the job as ``from_line`` and the worker for Node read it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Job:
        """Read what ``as_line`` wrote."""
        read: Mapping[str, Any] = json.loads(line)
        return cls(**{**read, "server": Server(**read["server"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a job cost.

    Attributes:
        seconds: from the first message, or connection, to the last reply.
        cpu: seconds of CPU that the client's process took meanwhile.
    """

    seconds: float
    cpu: float
