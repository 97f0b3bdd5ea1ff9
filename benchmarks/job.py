"""The jobs of the clients and their costs: the lines that the harness and its workers exchange, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SENDER = "reports@bench.test"
READER = "reader@bench.test"
TEXT = "".join(f"{line:3d} All work and no play makes Jack a dull boy, says the proverb.\n" for line in range(15))


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server to send to.

    Attributes:
        port: TCP port of 127.0.0.1.
        starttls: whether to use STARTTLS.
        login: "ntlm", "kerberos", "password" (Airflow's own hook), or None for no login.
        chunking: whether this project's client uses BDAT; the others use what they always do.
    """

    port: int
    starttls: bool = False
    login: str | None = None
    chunking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail: the fields from which each client builds its message."""

    recipients: list[str]
    subject: str
    attachment: str | None
    pictures: list[str]

    @property
    def html(self) -> str:
        """HTML that names the pictures; without any, it is not sent."""
        names = (f'<p>{Path(path).name}</p><img src="cid:{Path(path).name}">' for path in self.pictures)
        return f"<h1>Report</h1>{''.join(names)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a client does in a round.

    Attributes:
        server: the server to send to.
        messages: number of messages.
        recipients: number of recipients of each message.
        attachment: path of a file to attach.
        pictures: paths of images to show inside HTML.
        bulk: whether the client may send further messages before the reply to the previous one.
        connections: over how many connections this project's client sends in bulk.
        reconnect: whether each message gets its own connection, which is then part of the cost.
    """

    server: Server
    messages: int = 1
    recipients: int = 1
    attachment: str | None = None
    pictures: list[str] = field(default_factory=list)
    bulk: bool = False
    connections: int = 1
    reconnect: bool = False

    def mails(self) -> Iterator[Mail]:
        """Yield the mails; each has a different subject."""
        recipients = [f"reader{number}@bench.test" for number in range(self.recipients)]
        for number in range(self.messages):
            yield Mail(
                recipients=recipients,
                subject=f"Report {number}",
                attachment=self.attachment,
                pictures=self.pictures,
            )

    def as_line(self) -> str:
        """Return the job as a line for ``from_line`` and for the worker in JavaScript."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Job:
        """Return the job that ``as_line`` has written."""
        read: Mapping[str, Any] = json.loads(line)
        return cls(**{**read, "server": Server(**read["server"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of a job.

    Attributes:
        seconds: from the first message, or connection, to the last reply.
        cpu: CPU seconds of the client's process in that time.
    """

    seconds: float
    cpu: float
