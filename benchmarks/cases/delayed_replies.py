"""A server that delays each final reply, as Exchange does: messages per second over one connection and several."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.cases import Case
from benchmarks.job import Job, Server
from benchmarks.rounds import MESSAGES_PER_SECOND, OURS, alternate

if TYPE_CHECKING:
    from benchmarks.bed import Bed
    from benchmarks.workers import Runner

ONE_CONNECTION, CONNECTIONS = f"{OURS}-bulk", f"{OURS}-connections"

_CONNECTIONS = 8
_MESSAGES = 50  # on each connection
_NAME = "delayed-replies/200ms"


def _measure(bed: Bed) -> None:
    job = partial(Job, server=Server(port=bed.sink("200ms")), bulk=True)
    jobs = {
        ONE_CONNECTION: job(messages=_MESSAGES),
        CONNECTIONS: job(messages=_MESSAGES * _CONNECTIONS, connections=_CONNECTIONS),
    }
    runner = bed.clients([OURS])[OURS]
    runner.run(job(messages=_CONNECTIONS, connections=_CONNECTIONS))  # loads the modules
    runs = {client: partial(_rate, runner, job) for client, job in jobs.items()}
    bed.results.add(_NAME, MESSAGES_PER_SECOND, alternate(runs, bed.few_rounds))


def _rate(client: Runner, job: Job) -> float:
    return job.messages / client.run(job).seconds


CASES = (Case(_NAME, _measure, in_quick=False),)
