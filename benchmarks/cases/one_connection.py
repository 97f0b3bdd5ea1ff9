"""Messages of 1 kB to one recipient on one connection: each after the one before, and in bulk."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.cases import Case
from benchmarks.job import Job, Server
from benchmarks.rounds import MESSAGES_A_SECOND, OURS, alternate

if TYPE_CHECKING:
    from benchmarks.bed import Bed
    from benchmarks.workers import Runner

_SINGLE = (OURS, f"{OURS}-async", "hook", "smtplib", "aiosmtplib", "nodemailer", "smtp-source")
_BULK = (OURS, "hook", "nodemailer", "smtp-source")
_WITHOUT_PIPELINING = (OURS, "hook", "smtplib", "smtp-source")

_FEWEST = 100
_WARM_UP = {"nodemailer": 2_000}  # until its code is compiled


def _measure(name: str, clients: tuple[str, ...], bed: Bed) -> None:
    way, sink = name.split("/")
    runs = {}
    for client, runner in bed.clients(clients).items():
        job = Job(server=Server(port=bed.sink(sink)), messages=_WARM_UP.get(client, _FEWEST), bulk=way == "bulk")
        rate, _ = _costs(runner, job)
        runs[client] = partial(_costs, runner, replace(job, messages=max(_FEWEST, round(rate * bed.seconds))))
    measured = alternate(runs, bed.rounds)
    for number, (row, unit) in enumerate([(name, MESSAGES_A_SECOND), (f"{name}/cpu", "us")]):
        bed.results.add(row, unit, {client: [costs[number] for costs in each] for client, each in measured.items()})


def _costs(client: Runner, job: Job) -> tuple[float, float]:
    """Return messages a second, and microseconds of CPU a message."""
    cost = client.run(job)
    return job.messages / cost.seconds, 1e6 * cost.cpu / job.messages


def _case(name: str, clients: tuple[str, ...]) -> Case:
    return Case(name, partial(_measure, name, clients))


CASES = (
    _case("single/smtp-sink", _SINGLE),
    _case("single/chunking", _SINGLE),
    _case("bulk/smtp-sink", _BULK),
    _case("bulk/chunking", _BULK),
    _case("single/no-pipelining", _WITHOUT_PIPELINING),
)
