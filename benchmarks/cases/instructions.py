"""User-space instructions for one more message of 1 kB on an open connection: the number hardly varies."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import callgrind
from benchmarks.callgrind import CountedWorker
from benchmarks.cases import Case
from benchmarks.job import Job, Server
from benchmarks.rounds import OURS, SMTP_SOURCE
from benchmarks.workers import SMTP_SOURCE as SMTP_SOURCE_PROGRAM
from benchmarks.workers import python_client, smtp_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bed import Bed

_BULK = f"{OURS}-bulk"
_CLIENTS = (OURS, _BULK, "hook", "smtplib")

_FEW, _MANY = 20, 60  # messages; the difference of the two sessions is the cost of 40 messages


def _measure(bed: Bed) -> None:
    jobs = {
        sink: Job(server=Server(port=bed.sink(sink), chunking=sink == "chunking"))
        for sink in ("smtp-sink", "chunking")
    }
    counted: dict[str, dict[str, list[float]]] = {sink: {} for sink in jobs}
    for client in _CLIENTS:
        with CountedWorker(f"{client}-counted", python_client(client), bed.environment) as worker:
            for sink, job in jobs.items():
                own = replace(job, bulk=client == _BULK)
                worker.ask(replace(own, messages=_FEW).as_line())
                counted[sink][client] = [_per_message(partial(_count, worker), own)]
    if SMTP_SOURCE_PROGRAM.exists():
        for sink, job in jobs.items():
            counted[sink][SMTP_SOURCE] = [_per_message(_count_smtp_source, job)]
    for sink, of_sink in counted.items():
        bed.results.add(f"instructions/{sink}", "instructions", of_sink)


def _count(worker: CountedWorker, job: Job) -> int:
    return worker.count(job.as_line())


def _count_smtp_source(job: Job) -> int:
    return callgrind.count(smtp_source(job))


def _per_message(count: Callable[[Job], int], job: Job) -> float:
    few, many = replace(job, messages=_FEW), replace(job, messages=_MANY)
    return (count(many) - count(few)) / (_MANY - _FEW)


CASES = (Case("instructions", _measure, in_quick=False),)
