"""The wire: commands out, replies in, one by one or in one flight (RFC 5321; PIPELINING, RFC 2920).

Nothing here, nor in what builds on it, does I/O: every method that has to is a generator of effects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.effects import Poll, Read, StartTls, Write
from airflow_smtp_cm.smtp.errors import Disconnected, Phase, ProtocolError, Refused, SmtpError
from airflow_smtp_cm.smtp.extensions import Extensions
from airflow_smtp_cm.smtp.reply import CONTINUE, Reply
from airflow_smtp_cm.smtp.reply_parser import ReplyParser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.smtp.effects import Steps, TlsSession
    from airflow_smtp_cm.smtp.settings import Settings
    from airflow_smtp_cm.smtp.trace import Trace

CLOSING = 421  # "service not available, closing transmission channel": may answer any command
GO_AHEAD = 354  # the content may come after DATA
_INTERMEDIATE = {Phase.AUTH: CONTINUE, Phase.DATA: GO_AHEAD}


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
    payload: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Return the octets to send."""
        return self.line.encode() + b"\r\n" + self.payload


@dataclass(slots=True)
class Flight:
    """Commands that go out together, and how far they got; an error leaves what came before it.

    Attributes:
        commands: the commands, in order.
        replies: their replies so far.
        left: whether all octets were handed to the network.
    """

    commands: Sequence[Command]
    replies: list[Reply] = field(default_factory=list)
    left: bool = False

    def encode(self) -> bytes:
        """Return the octets to send."""
        return b"".join([command.encode() for command in self.commands])


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
        self._quiet = False  # has nothing been said since we looked?

    @property
    def peer(self) -> str:
        """How error messages name the server."""
        return f"{self.settings.host}:{self.settings.port}"

    @property
    def pipelining(self) -> bool:
        """Whether several commands may be sent without waiting."""
        return self.settings.pipelining and "PIPELINING" in self.extensions

    def start_tls(self) -> Steps[None]:
        """Do the TLS handshake."""
        self._quiet = False
        self.tls = yield StartTls()
        self.trace("*", f"{self.tls.version}, {self.tls.cipher}")

    def command(self, command: Command) -> Steps[Reply]:
        """Send one command and return its reply."""
        yield from self.write(command.encode(), command.phase)
        self.trace("C", command.line)
        return (yield from self.reply(command.phase, command.line))

    def fly(self, flight: Flight) -> Steps[None]:
        """Send commands in one write where the server allows, and take every reply.

        Where it does not, each command waits for the reply before it, and none follows a refused MAIL. If the
        connection breaks, what the server had said before still counts.
        """
        if not self.pipelining:
            for command in flight.commands:
                flight.replies.append((yield from self.command(command)))
                if command.phase is Phase.MAIL and not flight.replies[-1].positive:
                    break
            return
        broken: Disconnected | None = None
        try:
            yield from self._put(flight.encode(), flight.commands[0].phase)
            flight.left = True
            if self.trace.sink is not None:
                for command in flight.commands:
                    self.trace("C", command.line)
        except Disconnected as error:
            broken = error
        try:
            yield from self.hear(flight)
        except SmtpError as error:
            if broken is not None and not isinstance(error, Refused):
                raise broken from error
            raise
        if broken is not None and flight.replies[-1].positive:
            raise broken

    def hear(self, flight: Flight) -> Steps[None]:
        """Take every reply to a flight that has left."""
        for command in flight.commands:
            flight.replies.append((yield from self.reply(command.phase, command.line)))

    def write(self, data: bytes, phase: Phase) -> Steps[None]:
        """Send octets; if the connection breaks, the server's parting words become the error.

        Raises:
            ProtocolError: the server has said something that nobody asked for.
        """
        try:
            yield from self._put(data, phase)
        except Disconnected:
            yield from self._parting_words(phase)
            raise

    def write_on(self, data: bytes, phase: Phase) -> Steps[None]:
        """Send octets while replies to earlier ones are still to come."""
        self._quiet = False
        try:
            yield Write(data, phase)
        except SmtpError:
            self.closed = True
            raise

    def reply(self, phase: Phase, command: str | None = None) -> Steps[Reply]:
        """Wait for one reply.

        Args:
            phase: what is waited for; it decides how long, and whether the reply is a secret.
            command: what is being answered, for error messages.

        Raises:
            Refused: the reply was 421; the connection is over.
            Disconnected: the server closed the connection instead.
            ProtocolError: it broke the rules; the connection is over.
        """
        try:
            goes_on = False
            while (reply := self._next_reply(phase, command)) is None:
                data = yield Read(phase, goes_on=goes_on)
                goes_on = True
                if not data:
                    raise Disconnected(
                        f"{self.peer} closed the connection instead of answering {command or phase}.",
                        phase=phase,
                        command=command,
                    )
                self._parser.feed(data)
            if not _answers(reply, phase):
                raise ProtocolError(
                    f"{self.peer} answered {command or phase} with {reply}, which is no answer to that: it has lost "
                    f"count of its replies.",
                    phase=phase,
                    command=command,
                    reply=reply,
                )
        except SmtpError:
            self.closed = True
            raise
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

    def nothing_unasked(self, phase: Phase) -> Steps[None]:
        """Make sure that the server is still there, and said nothing that was not asked for.

        Raises:
            Refused: it said 421; the connection is over.
            Disconnected: it closed the connection.
            ProtocolError: it said something else, which would be taken for the reply to the next command; after
                STARTTLS it is an attempt to inject text into the TLS session.
        """
        try:
            arrived: bytes | None = None
            unasked = self._next_reply(phase)
            while unasked is None and (arrived := (yield Poll(phase))):
                self._parser.feed(arrived)
                unasked = self._next_reply(phase)
            if arrived == b"":
                raise Disconnected(f"{self.peer} closed the connection.", phase=phase)
            if phase is Phase.CONTENT:
                if unasked is None and not self._parser.idle:
                    unasked = yield from self.reply(phase)
                if unasked is not None and unasked.code // 100 in (4, 5):
                    raise self.refused(f"{self.peer} refused the message half-way", phase, None, unasked)
            if unasked is not None or not self._parser.idle:
                raise ProtocolError(f"{self.peer} sent more than it was asked for.", phase=phase)
        except SmtpError:
            self.closed = True
            raise
        self._quiet = True

    def _put(self, data: bytes, phase: Phase) -> Steps[None]:
        if not self._quiet:  # each look is a system call
            yield from self.nothing_unasked(phase)
        yield from self.write_on(data, phase)

    def _next_reply(self, phase: Phase, command: str | None = None) -> Reply | None:
        """Return the next reply that is there, if one is.

        Raises:
            Refused: it is 421.
            ProtocolError: it is none.
        """
        if self._parser.idle:
            return None
        secret = self._parser.secret = phase is Phase.AUTH
        try:
            reply = self._parser.next_reply()
        except ProtocolError as error:
            error.phase, error.command = phase, command
            raise
        if reply is None:
            return None
        if secret and not reply.secret:
            reply = reply.without_tokens()
        self.trace("S", reply)
        if reply.code == CLOSING:
            raise self.refused(f"{self.peer} is closing the connection", phase, command, reply)
        return reply

    def _parting_words(self, phase: Phase) -> Steps[None]:
        """Raise the error that the server left behind before it closed the connection, if there is one."""
        reply: Reply | None = None
        try:
            while reply is None or reply.code // 100 in (2, 3):
                reply = yield from self.reply(phase)
        except Refused:
            raise
        except SmtpError:
            return
        raise self.refused(f"{self.peer} closed the connection", phase, None, reply)


def _answers(reply: Reply, phase: Phase) -> bool:
    """Whether a reply can be the one to what was said last; an extra one before it would be taken for the next."""
    match reply.code // 100:
        case 3:
            return reply.code == _INTERMEDIATE.get(phase)
        case 2 if phase is Phase.DATA:
            return False
        case 2 if phase is Phase.FINAL:
            # About an address (RFC 3463, section 3.2): a recipient was accepted, not the content.
            return not (reply.enhanced_code or "").startswith("2.1.")
        case _:
            return True
