"""The right outcome of every fault of Airflow's API at every call that the record makes, for tests and docs.

``store_page`` writes the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

SUCCESS, RETRY, FAILED = "success", "up_for_retry", "failed"

# The columns; ``tests.servers.execution_api.Fault`` has the same values.
COLUMNS = ("500, once", "500", "timeout, not stored", "timeout, stored", "slow", "connection refused")


class Outcome(NamedTuple):
    """The outcome of a try that meets a fault, and of the next one, which meets none.

    Attributes:
        words: the cell on the page.
        state: the state of the task after the try.
        copies: how many messages were delivered until then; a message to three recipients counts for each of them.
        next_state: the state of the task after the next try.
        all_copies: how many messages were delivered after the next try.
        error: a part of the error of the try.
        log: a part of the log of the try, which says what is known and not recorded.
    """

    words: str
    state: str
    copies: int
    next_state: str
    all_copies: int
    error: str = ""
    log: str = ""


@dataclass(frozen=True)
class Row:
    """A call of the API.

    Attributes:
        title: its name on the page.
        scenario: the task; see ``test_store_faults``.
        call: the method and the path of the call.
        number: which of these calls in the try it is.
        outcomes: for each column the outcome.
        try_number: the try that meets the fault; the one before was killed when it had sent the message.
    """

    title: str
    scenario: str
    call: tuple[str, str]
    number: int
    outcomes: dict[str, Outcome]
    try_number: int = 1


_READ, _WRITE, _PUSH = ("GET", "/store/"), ("PUT", "/store/"), ("POST", "/xcoms/")
_UNREAD = "The record of earlier tries cannot be read, so nothing is sent"
_UNWRITTEN = "The record cannot be written, so nothing more is sent"


def _row(title: str, scenario: str, call: tuple[str, str], number: int, words: str, **changes: int) -> Row:
    """Return a row; the words are the names of the outcomes of the columns."""
    names = words.split()
    outcomes = {column: _OUTCOMES[scenario][name] for column, name in zip(COLUMNS, names, strict=True)}
    return Row(title, scenario, call, number, outcomes, **changes)


_OUTCOMES = {
    "read": {
        "ok": Outcome("sends nothing, returns the earlier result", SUCCESS, 1, SUCCESS, 1),
        "wait": Outcome(
            "sends nothing, is retried; the next retry returns the result", RETRY, 1, SUCCESS, 1, _UNREAD
        ),
    },
    "one": {
        "ok": Outcome("sent", SUCCESS, 1, SUCCESS, 1),
        "again": Outcome("not sent, is retried; the retry sends it", RETRY, 0, SUCCESS, 1, _UNWRITTEN),
        "maybe": Outcome("sent, succeeds; **uncertain**", SUCCESS, 1, FAILED, 1, log="(sent: the message)"),
        "result": Outcome("sent, is retried; the retry returns the result", RETRY, 1, SUCCESS, 1, "API_SERVER_ERROR"),
    },
    "deferred": {
        "ok": Outcome("not delivered, is retried; the retry sends it", RETRY, 0, SUCCESS, 1, "451 4.3.0"),
        "maybe": Outcome(
            "not delivered, is retried; **uncertain**", RETRY, 0, FAILED, 0, "451 4.3.0", "(not sent: the message)"
        ),
    },
    "refused": {
        "ok": Outcome("sent to the others, fails", FAILED, 2, FAILED, 2, "550 5.1.1"),
    },
    "parts": {
        "ok": Outcome("sent to all", SUCCESS, 3, SUCCESS, 3),
        "rest": Outcome(
            "sent to the first, is retried; the retry sends it to the others",
            *(RETRY, 2, SUCCESS, 3, "was delivered to 2 of 3"),
        ),
        "maybe": Outcome(
            "sent to the first, is retried; the retry sends it to the others; **uncertain** for the first",
            *(RETRY, 2, FAILED, 3, "was delivered to 2 of 3", "(not accepted for all recipients: the message)"),
        ),
    },
    "many": {
        "ok": Outcome("all sent", SUCCESS, 7, SUCCESS, 7),
        "rest": Outcome(
            "those before sent, is retried; the retry sends the others",
            *(RETRY, 3, SUCCESS, 7, "3 of 7 messages were sent"),
        ),
        "rest?": Outcome(
            "those before sent, is retried; the retry sends the others; **uncertain** for up to 40 before",
            *(RETRY, 3, FAILED, 7, "3 of 7 messages were sent", "(sent: messages[0], messages[1], messages[2]"),
        ),
        "maybe": Outcome("all sent, succeeds; **uncertain** for up to 40", SUCCESS, 7, FAILED, 7, log="messages[6])"),
    },
}

ROWS = (
    _row("read, at the start of a retry", "read", _READ, 1, "ok wait wait wait ok wait", try_number=2),
    _row("written before the content", "one", _WRITE, 1, "ok again again again ok again"),
    _row("written after the final reply", "one", _WRITE, 2, "ok maybe maybe ok ok maybe"),
    _row("written after a final reply 4xx", "deferred", _WRITE, 2, "ok maybe maybe ok ok maybe"),
    _row("written between two transactions of a message", "parts", _WRITE, 2, "ok maybe maybe rest ok maybe"),
    _row("many messages: written between groups", "many", _WRITE, 3, "ok rest? rest? rest ok rest?"),
    _row("many messages: written after the last one", "many", _WRITE, 4, "ok maybe maybe ok ok maybe"),
    _row("the result, stored in XCom", "one", _PUSH, 1, "ok result result result ok result"),
    _row("the result of a failed try, stored in XCom", "refused", _PUSH, 1, "ok ok ok ok ok ok"),
)


class Cell(NamedTuple):
    """A fault at a call."""

    row: Row
    column: str

    def __str__(self) -> str:
        return f"{self.row.title}-{self.column}"

    @property
    def outcome(self) -> Outcome:
        """The right outcome."""
        return self.row.outcomes[self.column]


def cells() -> Iterator[Cell]:
    """Yield all cells."""
    for row in ROWS:
        yield from (Cell(row, column) for column in COLUMNS)
