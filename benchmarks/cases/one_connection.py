"""Messages of 1 kB to one recipient on one connection: one after the other, and in bulk."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.cases import Case
from benchmarks.cases.rates import measure_rates
from benchmarks.job import Job, Server
from benchmarks.rounds import OURS

if TYPE_CHECKING:
    from benchmarks.bed import Bed

_SINGLE = (OURS, f"{OURS}-async", "hook", "smtplib", "aiosmtplib", "nodemailer", "smtp-source")
_FEW = (OURS, "hook", "nodemailer", "smtp-source")
_WITHOUT_PIPELINING = (OURS, "hook", "smtplib", "smtp-source")

_FEWEST = 100


def _measure(name: str, clients: tuple[str, ...], bed: Bed) -> None:
    way, sink = name.split("/")
    server = Server(port=bed.sink(sink), chunking=sink == "chunking")
    job = Job(server=server, messages=_FEWEST, bulk=way == "bulk")
    measure_rates(bed, name, bed.clients(clients), job)


def _case(name: str, clients: tuple[str, ...], *, in_quick: bool = True) -> Case:
    return Case(name, partial(_measure, name, clients), in_quick)


CASES = (
    _case("single/smtp-sink", _SINGLE),
    _case("single/chunking", _SINGLE),
    _case("bulk/smtp-sink", _FEW),
    _case("bulk/chunking", _FEW),
    _case("single/no-pipelining", _WITHOUT_PIPELINING, in_quick=False),
    _case("single/postfix", _FEW, in_quick=False),
    _case("bulk/postfix", _FEW, in_quick=False),
)
