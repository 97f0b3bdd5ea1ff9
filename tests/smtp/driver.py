"""Drives the conversation without sockets: records what the client sends, and feeds it a server's replies."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_smtp_cm.smtp.effects import Call, Poll, Read, Settled, StartTls, TlsSession, Write
from airflow_smtp_cm.smtp.errors import Disconnected, SmtpError, TimedOut
from airflow_smtp_cm.smtp.session import Session
from airflow_smtp_cm.smtp.settings import Settings
from airflow_smtp_cm.smtp.trace import Trace

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.effects import Effect, Steps
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.trace import TraceEvent

T = TypeVar("T")

END = object()  # the server closes the connection without a reset
SILENCE = TimedOut("The server did not answer in time.")


@dataclass(frozen=True)
class Breaks:
    """The connection breaks before the client has written everything; ``last_words`` is the server's last data."""

    last_words: str = ""


class Deadlock(AssertionError):
    """The client waits for a server that waits for the client."""


@dataclass
class Driver:
    """A transport and a server in one.

    The server's data is lines (``str``, CRLF is added to each), ``bytes``, or a tuple of these. An ``SmtpError`` is
    raised when the client reads and there is no more data.

    Attributes:
        piece: maximum number of bytes that the client gets in one read.
        writes: the client's writes.
        traced: the trace of the client.
        under_tls: the server's data right after the TLS handshake.
        outcomes: the outcomes of messages that were sent in bulk.
    """

    piece: int = 1 << 20
    writes: list[bytes] = field(default_factory=list)
    traced: list[TraceEvent] = field(default_factory=list)
    under_tls: str = ""
    outcomes: list[SendResult | SmtpError] = field(default_factory=list)
    _arrived: bytearray = field(default_factory=bytearray)
    _end: object = None

    def session(self, **settings: Any) -> Session:
        """Return a session that is not yet open."""
        return Session(Settings(host="mail.test", **settings), Trace(self.traced.append))

    def opened(self, *extensions: str, **settings: Any) -> Session:
        """Return an open session with a server that offers these extensions; the writes and the trace are cleared."""
        session = self.session(**settings)
        self.feed("220 hi")
        self.run(session.open("me.test"), ehlo(*extensions))
        self.writes.clear()
        self.traced.clear()
        return session

    def run(self, steps: Steps[T], *answers: object) -> T:
        """Execute a part of the conversation.

        Args:
            steps: the steps of the client.
            answers: the server's data after each write. A function gets the bytes of the write, and returns the data;
                if it returns None, it is called again for the next write. Further writes are not answered.
        """
        waiting = list(answers)
        with closing(steps):
            try:
                effect = next(steps)
                while True:
                    try:
                        outcome = self._perform(effect, waiting)
                    except Exception as error:  # noqa: BLE001 - like a transport
                        effect = steps.throw(error)
                    else:
                        effect = steps.send(outcome)
            except StopIteration as stop:
                result: T = stop.value
        assert not waiting, f"the client did not wait for {waiting}"
        return result

    def feed(self, data: object) -> None:
        """Send data from the server."""
        if isinstance(data, tuple):
            for part in data:
                self.feed(part)
        elif isinstance(data, str):
            self._arrived += "".join(f"{line}\r\n" for line in data.splitlines()).encode()
        elif isinstance(data, bytes):
            self._arrived += data
        else:
            self._end = data

    @property
    def sent(self) -> list[str]:
        """The lines that the client has sent."""
        return b"".join(self.writes).decode().splitlines()

    @property
    def trace(self) -> list[str]:
        """The trace without times."""
        return [f"{event.direction}: {event.text}" for event in self.traced]

    def _perform(self, effect: Effect | Settled, waiting: list[object]) -> Any:
        if isinstance(effect, Write):
            return self._write(effect.data, waiting)
        if isinstance(effect, Read):
            return self._read()
        if isinstance(effect, Poll):
            return self._read() if self._arrived or self._end is not None else None
        if isinstance(effect, Call):
            return effect.function()
        if isinstance(effect, Settled):
            self.outcomes.append(effect.outcome)
            return None
        assert isinstance(effect, StartTls)
        assert not self._arrived, "unencrypted data would become part of the TLS session"
        self.feed(self.under_tls)
        return TlsSession(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", certificate=b"", tls_unique=None)

    def _write(self, data: bytes, waiting: list[object]) -> None:
        answer = waiting.pop(0) if waiting else ()
        if isinstance(answer, Breaks):
            self.feed((answer.last_words, END))
            raise Disconnected("The connection was lost.")
        self.writes.append(data)
        reply = answer(data) if callable(answer) else answer
        if reply is None:
            waiting.insert(0, answer)
        else:
            self.feed(reply)

    def _read(self) -> bytes:
        if self._arrived:
            data = bytes(self._arrived[: self.piece])
            del self._arrived[: self.piece]
            return data
        if isinstance(self._end, SmtpError):
            raise self._end
        if self._end is END:
            return b""
        raise Deadlock(self.writes)


def ehlo(*extensions: str) -> str:
    """Return a reply to EHLO."""
    *others, last = ["mail.test", *extensions]
    return "\n".join([*(f"250-{other}" for other in others), f"250 {last}"])
