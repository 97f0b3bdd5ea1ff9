"""The table of faults for the reader: ``python -m tests.smtp.fault_page > docs/faults.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.smtp.fault_table import COLUMNS, OUTCOMES, WAYS, Cell

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.servers.faulty_proxy import Fault
    from tests.smtp.fault_table import Way

_INTRODUCTION = """\
# When the server or the network fails

A message is delivered once. If that cannot be known, you are told, and nothing is sent again behind your back.

These tables say what that comes to, wherever and however the dialogue with the server breaks. Each cell is a test: a
proxy between the client and a real Postfix breaks the dialogue, and what arrives in Postfix's mailboxes is counted.
The client logs in by NTLM under STARTTLS and sends one message to two recipients; both clients are tested, the
blocking one and the asyncio one. In every cell

- the outcome is the one that stands here;
- the server has heard what it should have heard, and nothing else;
- the client was back within its timeouts, and its connection was closed;
- Postfix delivered the message once or not at all, as it stands here. Twice, or not at all without an error, never
  happens.

## How to read them

| cell | meaning |
|---|---|
| delivered | no error; every recipient got the message once |
| delivered, new session | the same; the session was spoilt before the message began, and a new one was opened |
| retriable `Error` | that error, with `transient` true: nobody got the message, and Airflow tries again |
| final `Error` | that error, with `transient` false: nobody got the message, and to try again is of no use |
| final `RecipientsRefused` | one recipient was refused; the other got the message |
| uncertain, delivered | `DeliveryUncertain`: all of the message left, no confirmation came. Here, it was delivered |
| uncertain, not delivered | `DeliveryUncertain`. Here, it was not delivered; the client cannot tell the two apart |
| - | cannot be: nobody speaks before there is a connection, and no command comes before the greeting |

## How it breaks

| fault | what happens instead of the answer, or to it |
|---|---|
| silence | nothing more comes, and the connection stays open |
| endless drip | a reply drips in so slowly that each octet, but never the whole, comes in time |
| reset | the connection is reset |
| half-close | the server ends its side of the connection and goes on reading |
| 421 | the server says that it is closing the connection, and does |
| 4xx, 5xx | the server refuses |
| garbage | a line that is no SMTP reply |
| endless line, endless continuation | a line, or a reply, that has no end |
| wrong multi-line codes | a reply whose lines have different codes |
| one octet at a time | the answer comes octet by octet; in mid-content, the server reads octet by octet |
| reply before command | the answer comes together with the one before, when the command had not been sent |
| doubled reply | the answer comes twice; in mid-content, the one before comes again |

Where a fault takes the place of an answer, the worst is assumed: the server has carried out the command and all that
came with it, and the client does not learn of it. A refusal, 421 included, takes the place of the command. In the row
DATA/BDAT of the first way of sending the command is lost as well, so the content never reaches Postfix.
"""

_END = """
## What nobody can see

A server that answers one command too often while the envelope and the content travel together is a reply ahead of the
client from then on. Its answer to the last recipient is then not taken for the one to the content, as its enhanced
status code (2.1.x, RFC 3463) tells them apart. From a server that sends no such codes the two look the same.
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
    """Return the tables in the words of ``fault_table``, for a terminal.

    Args:
        played: the cells that were tried; others are left blank.
        wrong: those in which something else came out; they are marked.
    """
    lines = ["Faults (docs/faults.md); ! is not as it should be"]
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
    print(page(), end="")  # noqa: T201 - it is a script
