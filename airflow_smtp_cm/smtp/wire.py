"""Sending commands and reading replies, one at a time or pipelined (RFC 5321; PIPELINING, RFC 2920).

Nothing here, nor in what builds on it, does I/O: every method that has to is a generator of effects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from airflow_smtp_cm.smtp.effects import Poll, Read, StartTls, Write
from airflow_smtp_cm.smtp.errors import Disconnected, Phase, ProtocolError, Refused, SmtpError
from airflow_smtp_cm.smtp.exchange import explain, is_greeting
from airflow_smtp_cm.smtp.extensions import Extensions
from airflow_smtp_cm.smtp.reply import CONTINUE, Reply
from airflow_smtp_cm.smtp.reply_parser import ReplyParser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.smtp.effects import Steps, TlsSession
    from airflow_smtp_cm.smtp.settings import Settings
    from airflow_smtp_cm.smtp.trace import Trace

CLOSING = 421  # "service not available, closing transmission channel": may answer any command
TOO_LONG = (451, "4.4.2")  # like 421, where a session was idle or lasted for too long (Exchange)
START_MAIL_INPUT = 354  # the positive reply to DATA: the content may be sent
_INTERMEDIATE = {Phase.AUTH: CONTINUE, Phase.DATA: START_MAIL_INPUT}


class Command(NamedTuple):
    """One command line.

    Attributes:
        phase: the phase that it belongs to.
        line: the line without its CRLF; the caller has checked it for control characters.
        payload: data that follows in the same write (BDAT).
    """

    phase: Phase
    line: str
    payload: bytes = b""

    def __repr__(self) -> str:
        return f"Command(phase={self.phase!r}, line={self.line!r})"  # the payload is private

    def encode(self) -> bytes:
        """Return the bytes to send."""
        return self.line.encode() + b"\r\n" + self.payload


class Pipeline:
    """Commands that are sent together, and their replies; after an error it holds the replies before the error.

    Attributes:
        commands: the commands, in order.
        replies: the replies so far, in the same order.
        sent: whether all of the data was passed to the network.
    """

    __slots__ = ("commands", "replies", "sent")

    def __init__(self, commands: Sequence[Command]) -> None:
        self.commands = commands
        self.replies: list[Reply] = []
        self.sent = False

    def encode(self) -> bytes:
        """Return the bytes to send."""
        return b"".join([command.encode() for command in self.commands])


class Wire:
    """The state of one connection, and the exchange of commands and replies on it.

    Attributes:
        settings: the settings of the connection.
        extensions: the extensions in the last reply to EHLO.
        exchange: whether the server is Exchange, by its greeting or its extensions.
        tls: the TLS session; None before the handshake.
        logged_in: whether the client has logged in.
        closed: whether the session is over; set by a 421 reply, a protocol error, a lost connection, or QUIT.
        ended_by: the error that ended it; None if there was none.
    """

    def __init__(self, settings: Settings, trace: Trace) -> None:
        self.settings = settings
        self.trace = trace
        self.extensions = Extensions.none()
        self.exchange = False
        self.tls: TlsSession | None = None
        self.logged_in = False
        self.closed = False
        self.ended_by: SmtpError | None = None
        self._parser = ReplyParser()
        self._checked = False  # whether the check for unsolicited data was made since the last write

    @property
    def peer(self) -> str:
        """The server's host and port, for error messages."""
        return f"{self.settings.host}:{self.settings.port}"

    @property
    def pipelining(self) -> bool:
        """Whether several commands may be sent without waiting for replies."""
        return self.settings.pipelining and "PIPELINING" in self.extensions

    @property
    def chunking(self) -> bool:
        """Whether content is sent with BDAT (RFC 3030)."""
        return self.settings.chunking and "CHUNKING" in self.extensions

    def end(self, error: SmtpError) -> None:
        """Note that the session is over because of an error."""
        self.closed = True
        self.ended_by = self.ended_by or error

    def start_tls(self) -> Steps[None]:
        """Perform the TLS handshake."""
        self._checked = False
        self.tls = yield StartTls()
        self.trace("*", f"{self.tls.version}, {self.tls.cipher}")

    def command(self, command: Command) -> Steps[Reply]:
        """Send one command and return its reply."""
        yield from self.write(command.encode(), command.phase)
        self.trace("C", command.line)
        return (yield from self.reply(command.phase, command.line))

    def send_pipelined(self, pipeline: Pipeline) -> Steps[None]:
        """Send commands in one write if the server offers PIPELINING, and read all replies.

        Without PIPELINING, each command waits for the reply to the one before, and nothing follows a refused MAIL.
        If the connection breaks during the write, the replies that the server sent before are still read.
        """
        if not self.pipelining:
            for command in pipeline.commands:
                pipeline.replies.append((yield from self.command(command)))
                if command.phase is Phase.MAIL and not pipeline.replies[-1].positive:
                    break
            return
        broken: Disconnected | None = None
        try:
            yield from self._checked_write(pipeline.encode(), pipeline.commands[0].phase)
            pipeline.sent = True
            if self.trace.sink is not None:
                for command in pipeline.commands:
                    self.trace("C", command.line)
        except Disconnected as error:
            broken = error
        try:
            yield from self.read_replies(pipeline)
        except SmtpError as error:
            if broken is not None and not isinstance(error, Refused):
                raise broken from error
            raise
        if broken is not None and pipeline.replies[-1].positive:
            raise broken

    def read_replies(self, pipeline: Pipeline) -> Steps[None]:
        """Read the replies to a pipeline that was sent."""
        for command in pipeline.commands:
            pipeline.replies.append((yield from self.reply(command.phase, command.line)))

    def write(self, data: bytes, phase: Phase) -> Steps[None]:
        """Send data; if the connection breaks, raise the negative reply that the server sent before, if there is one.

        Raises:
            ProtocolError: the server has sent unsolicited data.
        """
        try:
            yield from self._checked_write(data, phase)
        except Disconnected:
            yield from self._raise_last_reply(phase)
            raise

    def write_unchecked(self, data: bytes, phase: Phase) -> Steps[None]:
        """Send data without the check for unsolicited data: replies to earlier commands may be pending."""
        self._checked = False
        try:
            yield Write(data, phase)
        except SmtpError as error:
            self.end(error)
            raise

    def reply(self, phase: Phase, command: str | None = None) -> Steps[Reply]:
        """Wait for one reply.

        Args:
            phase: the phase of the command; it decides the timeout, and whether the reply is secret.
            command: the command that the reply answers, for error messages.

        Raises:
            Refused: the reply was 421; the session is over.
            Disconnected: the server closed the connection without a reply.
            ProtocolError: the reply violates the protocol; the session is over.
        """
        try:
            continued = False
            while (reply := self._next_reply(phase, command)) is None:
                data = yield Read(phase, continued=continued)
                continued = True
                if not data:
                    raise Disconnected(
                        f"{self.peer} closed the connection instead of answering {command or phase}.",
                        phase=phase,
                        command=command,
                    )
                self._parser.feed(data)
            if not _is_valid(reply, phase):
                raise ProtocolError(
                    f"{self.peer} sent an unexpected reply to {command or phase} ({reply}): replies and commands "
                    f"are out of step.",
                    phase=phase,
                    command=command,
                    reply=reply,
                )
        except SmtpError as error:
            self.end(error)
            raise
        return reply

    def expect(self, command: Command, what: str) -> Steps[Reply]:
        """Send one command and return its reply; if it is not positive, raise an error that begins with ``what``."""
        reply = yield from self.command(command)
        if not reply.positive:
            raise self.refused(what, command.phase, command.line, reply)
        return reply

    def refused(self, what: str, phase: Phase, command: str | None, reply: Reply) -> Refused:
        """Return the error for a negative reply."""
        if phase is Phase.GREETING:
            self.exchange = is_greeting(reply)
        explained = self.explained(reply)
        text = f"{what}: {reply}"
        error = Refused(
            f"{text.rstrip('.')}. {explained}" if explained else text, phase=phase, command=command, reply=reply
        )
        error.explanation = explained
        return error

    def explained(self, *replies: Reply) -> str:
        """Return what replies mean if the server is Exchange; empty if this is not known."""
        explanation = explain(replies, logged_in=self.logged_in) if self.exchange else ""
        return explanation and f"On Exchange: {explanation}"

    def check_for_unsolicited_data(self, phase: Phase) -> Steps[None]:
        """Check that the connection is open and that no unsolicited data has arrived.

        Raises:
            Refused: the server sent 421 or its equivalent, or refused the message while its content is being sent.
            Disconnected: the server closed the connection.
            ProtocolError: the server sent something else. It would be read as the reply to the next command; after
                STARTTLS it is an attempt to inject data into the TLS session.
        """
        try:
            arrived: bytes | None = None
            unsolicited = self._next_reply(phase)
            while unsolicited is None and (arrived := (yield Poll(phase))):
                self._parser.feed(arrived)
                unsolicited = self._next_reply(phase)
            if arrived == b"":
                raise Disconnected(f"{self.peer} closed the connection.", phase=phase)
            if phase is Phase.CONTENT:
                if unsolicited is None and not self._parser.idle:
                    unsolicited = yield from self.reply(phase)
                if unsolicited is not None and unsolicited.code // 100 in (4, 5):
                    raise self.refused(f"{self.peer} refused the message before its end", phase, None, unsolicited)
            if unsolicited is not None and (unsolicited.code, unsolicited.enhanced_code) == TOO_LONG:
                raise self.refused(f"{self.peer} ended the session", phase, None, unsolicited)
            if unsolicited is not None or not self._parser.idle:
                quoted = f": {unsolicited}" if unsolicited is not None else "."
                raise ProtocolError(f"{self.peer} sent an unsolicited reply{quoted}", phase=phase)
        except SmtpError as error:
            self.end(error)
            raise
        self._checked = True

    def _checked_write(self, data: bytes, phase: Phase) -> Steps[None]:
        if not self._checked:  # each check is a system call
            yield from self.check_for_unsolicited_data(phase)
        yield from self.write_unchecked(data, phase)

    def _next_reply(self, phase: Phase, command: str | None = None) -> Reply | None:
        """Return the next reply if it has arrived completely, else None.

        Raises:
            Refused: the reply is 421.
            ProtocolError: the data is not an SMTP reply.
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

    def _raise_last_reply(self, phase: Phase) -> Steps[None]:
        """Raise the negative reply that the server sent before it closed the connection, if there is one."""
        reply: Reply | None = None
        try:
            while reply is None or reply.code // 100 in (2, 3):
                reply = yield from self.reply(phase)
        except Refused:
            raise
        except SmtpError:
            return
        raise self.refused(f"{self.peer} closed the connection", phase, None, reply)


def _is_valid(reply: Reply, phase: Phase) -> bool:
    """Whether a reply is possible in this phase; if it is not, replies and commands are out of step."""
    match reply.code // 100:
        case 3:
            return reply.code == _INTERMEDIATE.get(phase)
        case 2 if phase is Phase.DATA:
            return False
        case 2 if phase is Phase.FINAL:
            # The code is about an address (RFC 3463, section 3.2): it accepts a recipient, not the content.
            return not (reply.enhanced_code or "").startswith("2.1.")
        case _:
            return True
