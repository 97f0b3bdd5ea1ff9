"""The wire: commands out, replies in, one by one or in one flight (RFC 5321; PIPELINING, RFC 2920).

Nothing here, nor in what builds on it, does I/O: every method that has to is a generator of effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.effects import Read, Write
from airflow_smtp_cm.smtp.errors import Disconnected, Phase, ProtocolError, Refused, SmtpError
from airflow_smtp_cm.smtp.extensions import Extensions
from airflow_smtp_cm.smtp.replies import MAX_CHALLENGE_LINE, MAX_LINE, Reply, ReplyParser
from airflow_smtp_cm.smtp.trace import REDACTED, Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.smtp.effects import Steps, TlsSession
    from airflow_smtp_cm.smtp.settings import Settings

CLOSING = 421  # "service not available, closing transmission channel": may answer any command


@dataclass(frozen=True, slots=True)
class Command:
    """One command line.

    Attributes:
        phase: what it belongs to.
        line: the line without its CRLF; checked for controls by whoever built it.
        payload: octets that follow in the same write (BDAT).
    """

    phase: Phase
    line: str
    payload: bytes = b""

    def encode(self) -> bytes:
        """Return the octets to send."""
        return self.line.encode() + b"\r\n" + self.payload


class Wire:
    """One connection's state, and how a command is asked and answered on it.

    Attributes:
        settings: how the connection was asked for.
        extensions: what the last EHLO offered.
        tls: the TLS session, once there is one.
        closed: whether the conversation is over; set by 421, by a broken rule, or by QUIT.
    """

    def __init__(self, settings: Settings, trace: Trace) -> None:
        self.settings = settings
        self.trace = trace
        self.extensions = Extensions.none()
        self.tls: TlsSession | None = None
        self.closed = False
        self._parser = ReplyParser()

    @property
    def peer(self) -> str:
        """How error messages name the server."""
        return f"{self.settings.host}:{self.settings.port}"

    @property
    def pipelining(self) -> bool:
        """Whether several commands may be sent without waiting."""
        return self.settings.pipelining and "PIPELINING" in self.extensions

    def command(self, command: Command) -> Steps[Reply]:
        """Send one command and return its reply."""
        yield from self.write(command.encode(), command.phase)
        self.trace("C", command.line)
        return (yield from self.reply(command.phase, command.line))

    def flight(self, commands: Sequence[Command]) -> Steps[list[Reply]]:
        """Send commands in one write where the server allows, and return every reply, in order.

        Where it does not, each command waits for the reply before it, and none follows a refused MAIL.
        """
        replies: list[Reply] = []
        if self.pipelining:
            yield from self.send_all(commands)
            yield from self.read_all(commands, replies)
            return replies
        for command in commands:
            replies.append((yield from self.command(command)))
            if command.phase is Phase.MAIL and not replies[-1].positive:
                break
        return replies

    def send_all(self, commands: Sequence[Command]) -> Steps[None]:
        """Send commands in one write."""
        yield from self.write(b"".join([command.encode() for command in commands]), commands[0].phase)
        for command in commands:
            self.trace("C", command.line)

    def read_all(self, commands: Sequence[Command], replies: list[Reply]) -> Steps[None]:
        """Add the reply to each command to ``replies``, as they come, so that an error leaves those before it."""
        for command in commands:
            replies.append((yield from self.reply(command.phase, command.line)))  # noqa: PERF401 - see above

    def write(self, data: bytes, phase: Phase) -> Steps[None]:
        """Send octets; if the connection breaks, the server's parting words become the error.

        Raises:
            ProtocolError: the server has said something that nobody asked for.
        """
        self.nothing_unasked(phase)
        try:
            yield Write(data, phase)
        except Disconnected:
            yield from self._parting_words(phase)
            raise
        except SmtpError:
            self.closed = True
            raise

    def reply(self, phase: Phase, command: str | None = None, *, secret: bool = False) -> Steps[Reply]:
        """Wait for one reply.

        Args:
            phase: what is waited for; it decides how long.
            command: what is being answered, for error messages.
            secret: whether the reply's text belongs to an AUTH exchange.

        Raises:
            Refused: the reply was 421; the connection is over.
            Disconnected: the server closed the connection instead.
            ProtocolError: it broke the rules; the connection is over.
        """
        self._parser.max_line = MAX_CHALLENGE_LINE if secret else MAX_LINE
        try:
            while (reply := self._parser.next_reply()) is None:
                data = yield Read(phase)
                if not data:
                    raise Disconnected(
                        f"{self.peer} closed the connection instead of answering {command or phase}.",
                        phase=phase,
                        command=command,
                    )
                self._parser.feed(data)
        except ProtocolError as error:
            error.phase, error.command = phase, command
            self.closed = True
            raise
        except SmtpError:
            self.closed = True
            raise
        self.trace("S", f"{reply.code} {REDACTED}" if secret and reply.code == 334 else str(reply))  # noqa: PLR2004
        if reply.code == CLOSING:
            self.closed = True
            raise self.refused(f"{self.peer} is closing the connection", phase, command, reply)
        return reply

    def expect(self, command: Command, what: str) -> Steps[Reply]:
        """Send one command; anything but a positive reply is an error that begins with ``what``."""
        reply = yield from self.command(command)
        if not reply.positive:
            raise self.refused(what, command.phase, command.line, reply)
        return reply

    def refused(self, what: str, phase: Phase, command: str | None, reply: Reply) -> Refused:
        """Word a refusal."""
        return Refused(f"{what}: {reply}", phase=phase, command=command, reply=reply)

    def nothing_unasked(self, phase: Phase) -> None:
        """Make sure that the server said nothing that was not asked for.

        Raises:
            ProtocolError: it did. After STARTTLS such octets are an attempt to inject text into the TLS session.
        """
        if not self._parser.idle:
            self.closed = True
            raise ProtocolError(f"{self.peer} sent more than it was asked for.", phase=phase)

    def _parting_words(self, phase: Phase) -> Steps[None]:
        """Raise the error that the server left behind before it closed the connection, if there is one."""
        self.closed = True
        while True:
            while (reply := self._parser.next_reply()) is not None:
                self.trace("S", str(reply))
                if not reply.positive and reply.code // 100 != 3:  # noqa: PLR2004
                    raise self.refused(f"{self.peer} closed the connection", phase, None, reply)
            try:
                data = yield Read(phase)
            except SmtpError:
                return
            if not data:
                return
            self._parser.feed(data)
