"""The page with the tables of faults: ``python -m tests.smtp.fault_page > docs/faults.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.smtp.fault_table import COLUMNS, OUTCOMES, WAYS, Cell

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.servers.faulty_proxy import Fault
    from tests.smtp.fault_table import Way

_INTRODUCTION = """\
# When the server or the network fails

A message is delivered once. If delivery is uncertain, the error says so, and the message is not resent, unless the
task has `on_uncertain="resend"`.

The tables are about one session of the client. [What a retry does](reliability.md#what-a-retry-does) describes what a
task makes of an outcome, and [What each error means](errors.md) what to do.

These tables show the outcome for every point of the session and every kind of fault. Each cell is a test: a proxy
between the client and a real Postfix injects the fault, and the messages in Postfix's mailboxes are counted. The
client logs in with NTLM under STARTTLS and sends one message to two recipients. Both clients are tested, the blocking
one and the asyncio one. In every cell:

- the outcome is the one in the table;
- the server received the expected commands, and nothing else;
- the client returned within its timeouts, and its connection was closed;
- Postfix delivered the message once or not at all, as the table shows. It never delivers a message twice, and never
  loses one without an error.

## The outcomes

| cell | meaning |
|---|---|
| delivered | no error; the message was delivered once to every recipient |
| delivered, new session | the same; the session failed before the message, and a new one was opened |
| retriable `Error` | this error, with `transient` true: the message was not delivered, and a retry sends it |
| final `Error` | this error, with `transient` false: the message was not delivered, and a retry would not help |
| final `RecipientsRefused` | one recipient was refused; the message was delivered to the other |
| uncertain, delivered | `DeliveryUncertain`: the whole message was sent, but not confirmed. Here, it was delivered |
| uncertain, not delivered | `DeliveryUncertain`. Here, it was not delivered; the client cannot distinguish the two |
| - | impossible: there is no data before the connection, and no command before the greeting |

*Final* is about the client. If the reply to a recipient was 4xx, a task with `retries` sends the message to this
recipient in its next try (Airflow 3.3).

## The faults

| fault | what happens to the reply |
|---|---|
| silence | no more data arrives, and the connection stays open |
| endless drip | the reply arrives byte by byte: each byte in time, the whole reply never |
| reset | the connection is reset |
| half-close | the server closes its side of the connection and continues reading |
| 421 | the server sends 421 and closes the connection |
| 4xx, 5xx | the server refuses |
| garbage | a line that is not an SMTP reply |
| endless line, endless continuation | a line, or a reply, without an end |
| wrong multi-line codes | a reply whose lines have different codes |
| one byte at a time | the reply arrives byte by byte; in mid-content, the server reads byte by byte |
| reply before command | the reply arrives together with the previous one, before the command was sent |
| doubled reply | the reply arrives twice; in mid-content, the previous one arrives again |

If a fault replaces a reply, the tests assume the worst case: the server has executed the command, and everything that
was sent with it, and the client does not know it. If the fault is a refusal (421, 4xx, 5xx), the server has not
executed the command. In the row DATA/BDAT of the table for BDAT, the command is lost, too, so that Postfix never gets
the content.

The connection's setting `chunking` chooses between the tables for DATA and BDAT. With DATA, the default, delivery is
uncertain only after a fault at the final reply: before it, the server does not have the content, and a retry is safe.
With BDAT, the content is sent together with the envelope, so that the server may have delivered the message after a
fault at any reply. [DATA or BDAT](reliability.md#data-or-bdat) has the other reasons for the default.
"""

_END = """
## Limits

If a server sends one reply too many while the envelope and the content are sent together, replies and commands are
out of step. The client does not mistake the reply to the last recipient for the final reply, because the enhanced
status codes differ (2.1.x, RFC 3463). If the server sends no such codes, the client cannot distinguish them.
"""


def page() -> str:
    """Return docs/faults.md."""
    return "".join([_INTRODUCTION, *map(_section, WAYS), _END])


def _section(way: Way) -> str:
    columns: list[list[Fault]] = []
    for fault in COLUMNS:
        if columns and _column(way, columns[-1][0]) == _column(way, fault):
            columns[-1].append(fault)
        else:
            columns.append([fault])
    rows = [
        ["", *(", ".join(faults) for faults in columns)],
        ["---"] * (len(columns) + 1),
        *([f"**{point}**", *(_words(row[faults[0]]) for faults in columns)] for point, row in way.outcomes.items()),
    ]
    return "\n".join(["", f"## {way.title}", "", *(f"| {' | '.join(row)} |" for row in rows), ""])


def _column(way: Way, fault: Fault) -> list[str]:
    return [_words(row[fault]) for row in way.outcomes.values()]


def _words(outcome: str) -> str:
    return str(OUTCOMES[outcome]) if outcome in OUTCOMES else "-"


def as_played(played: Collection[Cell], wrong: Collection[Cell]) -> str:
    """Return the tables as plain text, for a terminal.

    Args:
        played: the cells that were tested; others are blank.
        wrong: the cells with another outcome; they are marked.
    """
    lines = ["Faults (docs/faults.md); ! marks a wrong outcome"]
    for way in WAYS:
        lines += ["", way.title, f"{'':15}{''.join(f'{fault[:6]:8}' for fault in COLUMNS)}".rstrip()]
        for point, row in way.outcomes.items():
            cells = {Cell(way, point, fault): word for fault, word in row.items()}
            words = (
                f"{word if cell in played else '':6}{'!' if cell in wrong else ' '}" for cell, word in cells.items()
            )
            lines.append(f"{point:15}{' '.join(words)}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - a script prints
