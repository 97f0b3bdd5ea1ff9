"""Many messages, each on the heels of the one before (RFC 2920, section 3.1; RFC 3030, section 4.2)."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.effects import Settled
from airflow_smtp_cm.smtp.errors import MessageError, Phase, Refused, SmtpError
from airflow_smtp_cm.smtp.transaction import Transaction
from airflow_smtp_cm.smtp.wire import CLOSING, Command, Flight

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.reply import Reply
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.wire import Wire

# With CHUNKING, messages leave in groups of so many, or of so many octets, and two groups may be on their way: while
# the server works on one, the next is made. If the connection breaks, these are the messages in doubt.
GROUP = 20
GROUP_OCTETS = 256 * 1024

# What a message leaves behind on a server that refused it half-way must not become part of the next one.
_RESET = Command(Phase.RSET, "RSET")


@dataclass(slots=True)
class _Letter:
    """A message on its way.

    Attributes:
        message: what is sent.
        transaction: its state on this connection.
        flight: its envelope, with BDAT or DATA, and the replies so far.
        content: what follows DATA.
        error: why it cannot go to this server; then nothing of it leaves.
    """

    message: Outgoing
    transaction: Transaction
    flight: Flight = field(default_factory=lambda: Flight([]))
    content: bytes = b""
    error: SmtpError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """What a server that counts messages lets through.

    Attributes:
        messages_per_minute: how many messages a minute, evenly spaced; None for as many as it takes.
        max_messages_per_connection: how many over one connection, before another is opened; None for any number.

    Raises:
        ValueError: one of them lets nothing through.
    """

    messages_per_minute: float | None = None
    max_messages_per_connection: int | None = None

    def __post_init__(self) -> None:
        for name in ("messages_per_minute", "max_messages_per_connection"):
            most = getattr(self, name)
            if most is not None and not most > 0:
                raise ValueError(f"{name} must be a positive number, not {most!r}.")


class Bulk:
    """Messages that are sent over one session after the other until none is left.

    Args:
        messages: what to send.
        all_or_nothing: send a message to nobody if the server refuses anybody.
        throttle: how fast, and how many over one connection.
    """

    def __init__(self, messages: Iterable[Outgoing], *, all_or_nothing: bool, throttle: Throttle) -> None:
        self._messages = iter(messages)
        self._returned: deque[Outgoing] = deque()  # taken from there, and not sent
        self._all_or_nothing = all_or_nothing
        self._throttle = throttle
        self._due = time.monotonic()
        self._flying: deque[_Letter] = deque()
        self._taken = 0
        self._settled = 0
        self._source_error: Exception | None = None

    @classmethod
    def runs(cls, messages: Iterable[Outgoing], *, all_or_nothing: bool, throttle: Throttle) -> Iterator[Bulk]:
        """Yield the same bulk again and again, to be run after its ``pause`` in a session that is open then."""
        bulk = cls(messages, all_or_nothing=all_or_nothing, throttle=throttle)
        while (message := bulk._take()) is not None:
            bulk._put_back(message)
            yield bulk

    @property
    def pause(self) -> float:
        """How many seconds from now the next message may leave."""
        return max(0.0, self._due - time.monotonic())

    @property
    def session_is_full(self) -> bool:
        """Whether no more messages may leave over this session."""
        most = self._throttle.max_messages_per_connection
        return most is not None and self._taken >= most

    def run(self, wire: Wire) -> Steps[None]:
        """Send messages until none is left, until the session is over or full, or until there is a pause to make.

        Raises:
            SmtpError: it was over before anything became of a single message.
        """
        if getattr(self, "_wire", None) is not wire:  # each run is counted with those before it in its session
            self._wire, self._taken, self._settled = wire, 0, 0
        try:
            if self._throttle.messages_per_minute is not None:
                yield from self._next_one(60 / self._throttle.messages_per_minute)
            elif not wire.pipelining or self._all_or_nothing:
                yield from self._one_by_one()
            elif "CHUNKING" in wire.extensions:
                yield from self._in_groups()
            else:
                yield from self._in_turns()
        finally:
            if self._flying:  # whoever wanted the results is gone
                wire.closed = True
        if self._source_error is not None:
            raise self._source_error

    def _next(self) -> _Letter | None:
        """Return the next message, rendered for this server; None if there is none."""
        if self.session_is_full:
            return None
        try:
            message = self._take()
        except Exception as error:  # noqa: BLE001 - raised when those before it are settled
            self._source_error = error
            return None
        if message is None:
            return None
        self._taken += 1
        transaction = Transaction(self._wire, message, all_or_nothing=self._all_or_nothing, notification=None)
        letter = _Letter(message, transaction)
        try:
            transaction.prepare()
        except MessageError as error:
            letter.error = error
        except ValueError as error:  # the site's policy
            letter.error = MessageError(str(error))
        return letter

    def _take(self) -> Outgoing | None:
        return self._returned.popleft() if self._returned else next(self._messages, None)

    def _put_back(self, *messages: Outgoing) -> None:
        self._returned.extendleft(reversed(messages))

    def _settle(self, outcome: SendResult | SmtpError) -> Steps[None]:
        self._settled += 1
        yield Settled(outcome)

    def _leave(self, error: SmtpError, *unsent: Outgoing) -> None:
        """End the session; the messages that it did not take are for the next one."""
        self._wire.closed = True
        if unsent and not self._settled:
            raise error
        self._put_back(*unsent)

    def _fail(self, letter: _Letter, error: SmtpError) -> Steps[None]:
        """Settle a message that was not delivered, unless the server just wants no more messages in this session."""
        if self._wire.closed and _is_about_the_session(error):
            self._leave(error, letter.message)
        else:
            yield from self._settle(error)

    # --- with pauses

    def _next_one(self, seconds: float) -> Steps[None]:
        letter = self._next()
        if letter is not None:
            self._due = time.monotonic() + seconds
            yield from self._alone(letter)

    # --- without PIPELINING

    def _one_by_one(self) -> Steps[None]:
        while not self._wire.closed and (letter := self._next()) is not None:
            yield from self._alone(letter)

    def _alone(self, letter: _Letter) -> Steps[None]:
        if letter.error is not None:
            yield from self._settle(letter.error)
            return
        try:
            result = yield from letter.transaction.carry_out()
        except SmtpError as error:
            yield from self._fail(letter, error)
        else:
            yield from self._settle(result)

    # --- with DATA: the next envelope follows the content in the same write

    def _in_turns(self) -> Steps[None]:
        current: _Letter | None = None
        while not self._wire.closed:
            following = self._next()
            if current is None and following is None:
                return
            joining = following if following and (yield from self._can_join(following)) else None
            current = yield from self._turn(current, joining)
            if following is not None and joining is None:
                if self._wire.closed:
                    self._put_back(following.message)
                else:
                    yield from self._alone(following)

    def _can_join(self, letter: _Letter) -> Steps[bool]:
        if letter.error is not None or not letter.transaction.is_small:
            return False
        try:
            letter.content = yield from letter.transaction.data_lines()
        except MessageError as error:
            letter.error = error
            return False
        letter.flight = letter.transaction.data_flight()
        return True

    def _turn(self, current: _Letter | None, following: _Letter | None) -> Steps[_Letter | None]:
        """Send the content of one message and the envelope of the next; return the latter if it may go on."""
        wire = self._wire
        waiting = [following.message] if following else []
        octets = (current.content if current else b"") + (following.flight.encode() if following else b"")
        broken: SmtpError | None = None
        try:
            yield from wire.nothing_unasked(Phase.CONTENT if current else Phase.MAIL)
        except SmtpError as error:  # nothing has left
            if current is None:
                self._leave(error, *waiting)
            else:
                self._put_back(*waiting)
                yield from self._fail(current, error)
            return None
        try:
            yield from wire.write_on(octets, Phase.CONTENT)
        except SmtpError as error:
            broken = error
        if current is not None:
            try:  # whatever the server had said before still counts
                reply = yield from wire.reply(Phase.FINAL, "the content")
            except SmtpError as error:
                broken = error
                yield from self._settle(current.transaction.uncertain(error))
            else:
                yield from self._settle(_outcome(current.transaction, reply))
        if broken is not None:
            self._leave(broken, *waiting)
            return None
        return (yield from self._judged(following)) if following else None

    def _judged(self, letter: _Letter) -> Steps[_Letter | None]:
        """Hear what the server says to an envelope; return the message if its content may follow."""
        try:
            yield from self._wire.hear(letter.flight)
            yield from letter.transaction.judge(letter.flight)
        except SmtpError as error:
            yield from self._fail(letter, letter.transaction.refusal(letter.flight) or error)
            return None
        return letter

    # --- with CHUNKING: whole groups of messages in one write

    def _in_groups(self) -> Steps[None]:
        while not self._wire.closed:
            group, large = yield from self._group()
            before = len(self._flying)
            if not group and not before and large is None:
                return
            if group:
                yield from self._launch(group)
            # While the server works on this group, the one before is heard, and the next one made.
            yield from self._land(len(self._flying) if large else before)
            if large is None:
                continue
            if self._wire.closed:
                self._put_back(large.message)
            else:
                yield from self._alone(large)

    def _group(self) -> Steps[tuple[list[_Letter], _Letter | None]]:
        """Return the next messages to write, and the one that ended the group because it is large."""
        group: list[_Letter] = []
        octets = 0
        while len(group) < GROUP and octets < GROUP_OCTETS and (letter := self._next()) is not None:
            if letter.error is None and not letter.transaction.is_small:
                return group, letter
            group.append(letter)
            if letter.error is None:
                try:
                    letter.flight = yield from letter.transaction.bdat_flight()
                except MessageError as error:
                    letter.error = error
                else:
                    octets += len(letter.flight.commands[-1].payload)
        return group, None

    def _launch(self, group: list[_Letter]) -> Steps[None]:
        octets = b"".join([_RESET.encode() + letter.flight.encode() for letter in group if letter.error is None])
        first = not self._flying
        self._flying.extend(group)
        if not octets:
            return
        try:
            if first:
                yield from self._wire.nothing_unasked(Phase.MAIL)
            left = group[:-1]  # if the write breaks off, the end of the last one has not left
            yield from self._wire.write_on(octets, Phase.MAIL)
            left = group
        except SmtpError:
            # Whatever the server had said before still counts; to hear it ends in the same error.
            self._wire.closed = True
        for letter in left:
            letter.flight.left = True

    def _land(self, count: int) -> Steps[None]:
        """Hear what becomes of the messages that have been on their way for longest."""
        for _ in range(count):
            letter = self._flying[0]
            if letter.error is None:
                try:
                    yield from self._hear(letter.flight)
                except SmtpError as error:
                    yield from self._crash(error)
                    return
            self._flying.popleft()
            yield from self._settle(
                letter.error or _outcome(letter.transaction, letter.flight.replies[-1], letter.flight)
            )

    def _hear(self, flight: Flight) -> Steps[None]:
        reset = yield from self._wire.reply(_RESET.phase, _RESET.line)
        if not reset.positive:
            raise self._wire.refused("RSET was refused", _RESET.phase, _RESET.line, reset)
        yield from self._wire.hear(flight)

    def _crash(self, error: SmtpError) -> Steps[None]:
        """Say what has become of all that are on their way, now that the session is over."""
        # The server does nothing more after a 421: what came behind the command that it answers was not heard.
        closing = isinstance(error, Refused) and error.code == CLOSING
        letters = list(self._flying)
        self._flying.clear()
        for number, letter in enumerate(letters):
            refusal = letter.error or letter.transaction.refusal(letter.flight)
            unheard = closing and (number > 0 or error.phase is not Phase.FINAL)
            if refusal is None and (unheard or not letter.flight.left):
                self._leave(error, *(letter.message for letter in letters[number:]))
                return
            yield from self._settle(refusal or letter.transaction.uncertain(error))
        self._leave(error)


def _outcome(transaction: Transaction, reply: Reply, envelope: Flight | None = None) -> SendResult | SmtpError:
    try:
        return (envelope and transaction.refusal(envelope)) or transaction.conclude(reply)
    except SmtpError as error:
        return error


def _is_about_the_session(error: SmtpError) -> bool:
    """Whether another session may take the message: the server, or the network, ended this one."""
    return error.transient and (error.reply is None or error.code == CLOSING)
