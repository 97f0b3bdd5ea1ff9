"""Every fault at every point of the dialogue with Postfix: the right error, and the message once or not at all.

What is right stands in ``fault_table``; docs/faults.md shows it.
"""

from __future__ import annotations

import asyncio
import select
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import Phase, SmtpError
from tests.conftest import SHOWN_AT_THE_END
from tests.patience import SOON, AuthLines, Patient
from tests.servers.faulty_proxy import Fault, FaultyProxy, Point
from tests.servers.processes import LOOPBACK, PATIENCE_SECONDS, free_ports
from tests.servers.scripted import scripted_peer
from tests.smtp.fault_page import as_played, page
from tests.smtp.fault_table import FIRST, LAST, Cell, cells
from tests.smtp.outgoing import Note

if TYPE_CHECKING:
    from collections.abc import Iterator

# More than the network buffers hold, and more than one block.
LARGE = "0123456789\r\n" * 700_000

CELLS_AT_ONCE = 8


@dataclass(frozen=True)
class CellTimeouts(Patient):
    """Timeouts of a client that gives up soon where its server stalls, and nowhere else."""

    cell: Cell
    proxy: FaultyProxy
    blocks: Iterator[int] = field(default_factory=count)
    auth_lines: AuthLines = field(default_factory=AuthLines)

    def of(self, phase):
        if phase is Phase.GREETING:
            self.proxy.client_is_connected.set()
        here = phase is self.cell.phase and self.cell.fault in {Fault.SILENCE, Fault.DRIP}
        return SOON if here and self.server_stalls() else super().of(phase)

    def server_stalls(self) -> bool:
        if self.cell.phase is Phase.AUTH:
            return self.auth_lines.sent >= (1 if self.cell.point is Point.AUTH else 2)
        if self.cell.point is not Point.CONTENT:
            return sum(map(len, self.proxy.received)) >= self.cell.heard_before
        # The server stops reading within the first block, which must be sent before the client can wait for that.
        return next(self.blocks) > 0 and self.proxy.at_point.wait(PATIENCE_SECONDS)


@dataclass(frozen=True)
class Seen:
    """The observed outcome of a cell."""

    error: type[SmtpError] | None
    transient: bool
    session_on: bool
    received: list[list[str]]
    client_left: list[bool]


@dataclass(frozen=True)
class Run:
    """A cell that was tested."""

    seen: Seen
    message_id: str


def blocking(settings, note):
    """Send a note; return the error, if any, and whether the session continues."""
    error = None
    try:
        client = SmtpClient.open(settings, trace=settings.timeouts.auth_lines)
    except SmtpError as failure:
        return failure, False
    try:
        client.send(note)
    except SmtpError as failure:
        error = failure
    if not is_on(client):
        return error, False  # not closed here: the client must have closed the connection itself
    if error:
        client.noop()
    client.close()
    return error, True


async def on_asyncio(settings, note):
    """Like ``blocking``, with the asyncio client."""
    error = None
    try:
        client = await AsyncSmtpClient.open(settings, trace=settings.timeouts.auth_lines)
    except SmtpError as failure:
        return failure, False
    try:
        await client.send(note)
    except SmtpError as failure:
        error = failure
    if not is_on(client):
        return error, False
    if error:
        await client.noop()
    await client.close()
    return error, True


CLIENTS = {"blocking": blocking, "asyncio": lambda settings, note: asyncio.run(on_asyncio(settings, note))}


def is_on(client) -> bool:
    return repr(client).endswith("open>")


def play(cell: Cell, client: str, settings, certificates) -> Run:
    """Run the dialogue of the cell."""
    text = LARGE if cell.point is Point.CONTENT else "Hello.\r\n"
    note = Note(recipients=(f"{FIRST}@corp.test", f"{LAST}@corp.test"), text=text)
    proxy = FaultyProxy(settings.port, certificates, cell.point, cell.fault, chunking=cell.way.chunking)
    opened = unreachable(cell.fault) if cell.point is Point.CONNECT else through(proxy)
    with opened as port:
        settings = replace(settings, port=port, chunking=cell.way.chunking, timeouts=CellTimeouts(cell, proxy))
        error, on = CLIENTS[client](settings, note)
        proxy.client_is_back.set()
    return Run(
        Seen(
            error=type(error) if error else None,
            transient=error is not None and error.transient,
            session_on=on,
            received=proxy.received,
            client_left=proxy.left,
        ),
        note.message_id,
    )


@contextmanager
def through(proxy):
    with scripted_peer([proxy.step], [proxy.step], to_the_end=False) as peer:
        yield peer.port


@contextmanager
def unreachable(fault: Fault):
    """Yield a port where no connection can be made."""
    if fault is Fault.RESET:
        yield from free_ports(1)
        return
    with socket.create_server((LOOPBACK, 0), backlog=0) as listener, socket.socket() as first:
        first.connect(listener.getsockname())
        select.select([listener], [], [])  # the backlog is full
        yield listener.getsockname()[1]


CELLS = [(cell, client) for client in CLIENTS for cell in cells()]


@pytest.fixture(scope="module")
def runs(request, postfix, certificates, submission):
    """The runs of all selected cells, in parallel."""
    items = [item for item in request.session.items if getattr(item, "module", None) is request.module]
    selected = [item.callspec.params for item in items if "cell" in item.fixturenames]
    with ThreadPoolExecutor(CELLS_AT_ONCE) as pool:
        yield {
            (cell, client): pool.submit(play, cell, client, submission(postfix.port(cell.way.port)), certificates)
            for cell, client in ((params["cell"], params["client"]) for params in selected)
        }


@pytest.mark.parametrize(("cell", "client"), CELLS, ids=str)
def test_the_client_has_the_outcome_of_the_table(runs, cell, client):
    assert runs[cell, client].result().seen == right(cell)


def right(cell: Cell) -> Seen:
    outcome = cell.outcome
    return Seen(
        error=outcome.error,
        transient=outcome.transient,
        session_on=outcome.error is None or outcome.session == "on",
        received=cell.received,
        client_left=[cell.fault is not Fault.RESET] * len(cell.received),
    )


def test_postfix_delivers_each_message_as_in_the_table(runs, postfix, record_property):
    played = {key: run.result() for key, run in runs.items()}
    postfix.wait_until_idle()
    delivered = {who: postfix.copies(who) for who in (FIRST, LAST)}
    copies = {
        (cell, client): {who: counted[run.message_id] for who, counted in delivered.items()}
        for (cell, client), run in played.items()
    }
    wrong = {key: found for key, found in copies.items() if found != key[0].delivered}
    failed = {cell for (cell, client), run in played.items() if run.seen != right(cell) or (cell, client) in wrong}
    record_property(SHOWN_AT_THE_END, as_played({cell for cell, _ in played}, failed))
    assert wrong == {}


def test_the_page_in_the_docs_shows_the_table():
    page_in_docs = Path(__file__).parents[2] / "docs" / "faults.md"
    assert page_in_docs.read_text() == page(), "python -m tests.smtp.fault_page > docs/faults.md writes it again"
