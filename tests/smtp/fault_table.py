"""The right outcome of every fault at every point of a dialogue, for the tests and for docs/faults.md."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from airflow_smtp_cm.smtp.errors import (
    AuthenticationRefused,
    ConnectError,
    DeliveryUncertain,
    Disconnected,
    Phase,
    ProtocolError,
    RecipientsRefused,
    Refused,
    SmtpError,
    StartTlsNotOffered,
    TimedOut,
    TlsError,
)
from tests.servers.faulty_proxy import Fault, Point

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST, LAST = "first", "last"  # the mailboxes of the recipients


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one message to two recipients.

    Attributes:
        error: the error's class; None for success.
        transient: whether Airflow may retry.
        delivered: whether Postfix delivers to the recipients; None: only to the one that was not refused.
        session: ``on``: the session continues; ``ended``: the client closes the connection without another command;
            ``second``: the session had ended, and the message is sent over a second one.
    """

    error: type[SmtpError] | None = None
    transient: bool = False
    delivered: bool | None = False
    session: Literal["on", "ended", "second"] = "ended"

    def __str__(self) -> str:
        copies = "not delivered" if self.delivered is False else "delivered"
        if self.error is None:
            return "delivered, new session" if self.session == "second" else "delivered"
        if self.error is DeliveryUncertain:
            return f"uncertain, {copies}"
        return f"{'retriable' if self.transient else 'final'} `{self.error.__name__}`"


OUTCOMES = {
    "ok": Outcome(delivered=True, session="on"),
    "ok end": Outcome(delivered=True),
    "ok 2nd": Outcome(delivered=True, session="second"),
    "noconn": Outcome(ConnectError, transient=True),
    "lost": Outcome(Disconnected, transient=True),
    "slow": Outcome(TimedOut, transient=True),
    "bye": Outcome(Refused, transient=True),
    "later": Outcome(Refused, transient=True, session="on"),
    "never": Outcome(Refused, session="on"),
    "later!": Outcome(Refused, transient=True),
    "never!": Outcome(Refused),
    "notls4": Outcome(StartTlsNotOffered, transient=True),
    "notls5": Outcome(StartTlsNotOffered),
    "tls": Outcome(TlsError),
    "auth4": Outcome(AuthenticationRefused, transient=True),
    "auth5": Outcome(AuthenticationRefused),
    "other": Outcome(RecipientsRefused, delivered=None, session="on"),
    "rules": Outcome(ProtocolError),
    "maybe0": Outcome(DeliveryUncertain),
    "maybe1": Outcome(DeliveryUncertain, delivered=True),
}

COLUMNS = (
    Fault.SILENCE,
    Fault.DRIP,
    Fault.RESET,
    Fault.HALF_CLOSE,
    Fault.CLOSING,
    Fault.LATER,
    Fault.NEVER,
    Fault.GARBAGE,
    Fault.ENDLESS_LINE,
    Fault.ENDLESS_CONTINUATION,
    Fault.CODES,
    Fault.ONE_BYTE_AT_A_TIME,
    Fault.EARLY,
    Fault.DOUBLED,
)


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One way of sending a message.

    Attributes:
        title: its title on the page.
        port: the port of ``Postfix``.
        writes: the commands of each write of the client, named as in ``FaultyProxy.received``.
        outcomes: the right outcome for each row and column; "-" is an impossible cell.
        chunking: whether the client's setting ``chunking`` is on.
    """

    title: str
    port: str
    writes: tuple[tuple[str, ...], ...]
    outcomes: dict[Point, dict[Fault, str]]
    chunking: bool = False


def _grid(text: str) -> dict[Point, dict[Fault, str]]:
    rows = (line.split("|") for line in text.strip().splitlines()[1:])
    return {
        Point(name.strip()): dict(zip(COLUMNS, (word.strip() for word in words), strict=True))
        for name, *words in rows
    }


_OPENING = (("EHLO",), ("STARTTLS",), ("EHLO",), ("AUTH",), ("response",))
_QUIT = ("QUIT",)

OPENING = Way(
    "Opening the session",
    "ntlm_only",
    (*_OPENING, ("MAIL", "RCPT", "RCPT", "DATA"), ("content",), _QUIT),
    _grid("""
              |silent|drip  |reset |half  |421   |4xx   |5xx   |garbag|line  |contin|codes |bytes |early |double
connect       |noconn|-     |noconn|-     |-     |-     |-     |-     |-     |-     |-     |-     |-     |-
greeting      |slow  |slow  |lost  |lost  |bye   |later!|never!|rules |rules |rules |rules |ok    |-     |rules
EHLO          |slow  |slow  |lost  |lost  |bye   |later!|never!|rules |rules |rules |rules |ok    |rules |rules
STARTTLS      |slow  |slow  |lost  |lost  |notls4|notls4|notls5|rules |rules |rules |rules |ok    |rules |rules
TLS handshake |slow  |slow  |lost  |lost  |tls   |tls   |tls   |tls   |tls   |tls   |tls   |ok    |rules |tls
EHLO under TLS|slow  |slow  |lost  |lost  |bye   |later!|never!|rules |rules |rules |rules |ok    |rules |rules
AUTH          |slow  |slow  |lost  |lost  |bye   |auth4 |auth5 |rules |rules |rules |rules |ok    |rules |rules
AUTH response |slow  |slow  |lost  |lost  |bye   |auth4 |auth5 |rules |rules |rules |rules |ok    |rules |ok 2nd
"""),
)

DATA = Way(
    "DATA, the default: the envelope and DATA in one write, then the content",
    "default",
    (*_OPENING, ("MAIL", "RCPT", "RCPT", "DATA"), ("content",), _QUIT),
    _grid("""
              |silent|drip  |reset |half  |421   |4xx   |5xx   |garbag|line  |contin|codes |bytes |early |double
MAIL          |slow  |slow  |lost  |lost  |bye   |later |never |rules |rules |rules |rules |ok    |ok 2nd|rules
first RCPT    |slow  |slow  |lost  |lost  |bye   |other |other |rules |rules |rules |rules |ok    |ok    |rules
last RCPT     |slow  |slow  |lost  |lost  |bye   |other |other |rules |rules |rules |rules |ok    |ok    |rules
DATA/BDAT     |slow  |slow  |lost  |lost  |bye   |later |never |rules |rules |rules |rules |ok    |ok    |rules
mid-content   |slow  |slow  |lost  |lost  |bye   |later!|never!|rules |rules |rules |rules |ok    |rules |rules
final reply   |maybe1|maybe1|maybe1|maybe1|maybe0|later |never |maybe1|maybe1|maybe1|maybe1|ok    |rules |ok end
QUIT          |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok end|ok
"""),
)

BDAT = Way(
    "BDAT (`chunking` is on): the envelope and the content in one write",
    "default",
    (*_OPENING, ("MAIL", "RCPT", "RCPT", "BDAT"), _QUIT),
    _grid("""
              |silent|drip  |reset |half  |421   |4xx   |5xx   |garbag|line  |contin|codes |bytes |early |double
MAIL          |maybe1|maybe1|maybe1|maybe1|bye   |later |never |maybe1|maybe1|maybe1|maybe1|ok    |ok 2nd|maybe1
first RCPT    |maybe1|maybe1|maybe1|maybe1|bye   |other |other |maybe1|maybe1|maybe1|maybe1|ok    |ok    |maybe1
last RCPT     |maybe1|maybe1|maybe1|maybe1|bye   |other |other |maybe1|maybe1|maybe1|maybe1|ok    |ok    |maybe1
DATA/BDAT     |maybe0|maybe0|maybe0|maybe0|maybe0|later |never |maybe0|maybe0|maybe0|maybe0|ok    |ok    |ok end
mid-content   |slow  |slow  |lost  |lost  |bye   |later!|never!|rules |rules |rules |rules |ok    |rules |rules
final reply   |maybe1|maybe1|maybe1|maybe1|maybe0|later |never |maybe1|maybe1|maybe1|maybe1|ok    |ok    |ok end
QUIT          |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok end|ok
"""),
    chunking=True,
)

ONE_BY_ONE = Way(
    "Without PIPELINING: one command at a time, DATA",
    "bare",
    (*_OPENING, ("MAIL",), ("RCPT",), ("RCPT",), ("DATA",), ("content",), _QUIT),
    _grid("""
              |silent|drip  |reset |half  |421   |4xx   |5xx   |garbag|line  |contin|codes |bytes |early |double
MAIL          |slow  |slow  |lost  |lost  |bye   |later |never |rules |rules |rules |rules |ok    |ok 2nd|rules
first RCPT    |slow  |slow  |lost  |lost  |bye   |other |other |rules |rules |rules |rules |ok    |rules |rules
last RCPT     |slow  |slow  |lost  |lost  |bye   |other |other |rules |rules |rules |rules |ok    |rules |rules
DATA/BDAT     |slow  |slow  |lost  |lost  |bye   |later |never |rules |rules |rules |rules |ok    |rules |rules
mid-content   |slow  |slow  |lost  |lost  |bye   |later!|never!|rules |rules |rules |rules |ok    |rules |rules
final reply   |maybe1|maybe1|maybe1|maybe1|maybe0|later |never |maybe1|maybe1|maybe1|maybe1|ok    |rules |ok end
QUIT          |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok    |ok end|ok
"""),
)

WAYS = (OPENING, DATA, BDAT, ONE_BY_ONE)


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault at one point of one way."""

    way: Way
    point: Point
    fault: Fault

    def __str__(self) -> str:
        way = "chunking" if self.way.chunking else self.way.port
        return f"{way}-{self.point}-{self.fault}"

    @property
    def outcome(self) -> Outcome:
        return OUTCOMES[self.way.outcomes[self.point][self.fault]]

    @property
    def delivered(self) -> dict[str, int]:
        """The number of copies for each recipient."""
        if self.outcome.delivered is None:
            refused = FIRST if self.point is Point.FIRST_RCPT else LAST
            return {FIRST: 1, LAST: 1} | {refused: 0}
        return dict.fromkeys((FIRST, LAST), int(self.outcome.delivered))

    @property
    def phase(self) -> Phase:
        """The phase in which the client waits at this point."""
        if self.point is Point.DATA:
            return Phase.FINAL if self.way.chunking else Phase.DATA
        return _PHASES.get(self.point) or Phase(self.point)

    @property
    def heard_before(self) -> int:
        """The minimum number of commands that the server has received when the client begins to wait there."""
        return max(0, _POSITIONS.get(self.point, 0))

    @property
    def received(self) -> list[list[str]]:
        """The commands that the server receives in each connection; if the session continues, the test sends NOOP."""
        if self.point is Point.CONNECT:
            return []
        *sent, quit_ = everything = [command for write in self.way.writes for command in write]
        match self.outcome:
            case Outcome(error=None, session="on"):
                return [everything]
            case Outcome(error=None, session="ended"):
                return [sent]
            case Outcome(session="second"):
                return [everything[: everything.index("MAIL")], everything]
            case Outcome(session="on"):
                given_up = self.point is Point.MAIL or (self.point is Point.DATA and "DATA" in sent)
                reset = given_up or (self.way.chunking and self.point in (Point.DATA, Point.FINAL))
                return [[*(self._heard if given_up else sent), *(["RSET"] if reset else []), "NOOP", quit_]]
            case _:
                return [self._heard]

    @property
    def _heard(self) -> list[str]:
        """The commands that the server has received when the fault occurs."""
        everything = [command for write in self.way.writes for command in write]
        at = _POSITIONS.get(self.point, len(everything) - (1 if self.point is Point.QUIT else 2))
        if self.fault is Fault.CLOSING:
            return everything[: at + 1]  # the server reads no further commands
        if self.fault is Fault.EARLY and self.point not in (Point.TLS, Point.CONTENT):
            at -= 1
        ends = accumulate(len(write) for write in self.way.writes)
        return everything[: next(end for end in ends if end > at)] if at >= 0 else []


_POSITIONS = {
    Point.GREETING: -1,
    Point.EHLO: 0,
    Point.STARTTLS: 1,
    Point.TLS: 1,
    Point.EHLO_UNDER_TLS: 2,
    Point.AUTH: 3,
    Point.AUTH_RESPONSE: 4,
    Point.MAIL: 5,
    Point.FIRST_RCPT: 6,
    Point.LAST_RCPT: 7,
    Point.DATA: 8,
    Point.CONTENT: 8,
}

_PHASES = {
    Point.EHLO_UNDER_TLS: Phase.EHLO,
    Point.AUTH_RESPONSE: Phase.AUTH,
    Point.FIRST_RCPT: Phase.RCPT,
    Point.LAST_RCPT: Phase.RCPT,
    Point.CONTENT: Phase.CONTENT,
}


def cells() -> Iterator[Cell]:
    """Yield all possible cells."""
    for way in WAYS:
        for point, row in way.outcomes.items():
            yield from (Cell(way, point, fault) for fault, word in row.items() if word != "-")
