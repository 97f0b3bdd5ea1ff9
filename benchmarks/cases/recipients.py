"""Many recipients: the time of a message at several round-trip times, and the number of its round trips."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.cases import Case
from benchmarks.delaying_proxy import DelayingProxy
from benchmarks.job import Job, Server
from benchmarks.rounds import OURS, alternate

if TYPE_CHECKING:
    from benchmarks.bed import Bed
    from benchmarks.workers import Runner

_BULK = f"{OURS}-bulk"
_TIMED = (OURS, _BULK, "hook", "nodemailer")
_COUNTED = (*_TIMED, "smtplib", "aiosmtplib", "smtp-source")

_WARM_UP = 5
_MESSAGES = 10  # with one recipient; fewer with more recipients
_BULK_MESSAGES = 20
_BULK_COUNTED = 200  # so many that the first ones, which are sent without waiting, do not matter
_LONG = 1.0  # seconds for a client that waits after each command; such times hardly vary, and one round is enough
_OTHERS = 3  # MAIL, DATA and the content, in addition to RCPT for each recipient
_COUNTING_RTT = 0.005  # seconds, much longer than a server needs for a reply


def _measure_time(recipients: int, rtt: float, name: str, bed: Bed) -> None:
    postfix = bed.sink("postfix")
    single = max(1, _MESSAGES // recipients)
    is_long = single * (_OTHERS + recipients) * rtt > _LONG
    with DelayingProxy(postfix, rtt) as proxy:
        runs = {}
        for client, runner in bed.clients(_TIMED).items():
            job = Job(server=Server(port=postfix), messages=_WARM_UP, bulk=client == _BULK)
            runner.run(job)
            messages = _BULK_MESSAGES if job.bulk else single
            server = Server(port=proxy.port) if rtt else job.server
            runs[client] = partial(
                _milliseconds, runner, replace(job, server=server, recipients=recipients, messages=messages)
            )
        bed.results.add(name, "ms", alternate(runs, 1 if is_long else bed.few_rounds))


def _milliseconds(client: Runner, job: Job) -> float:
    return 1000 * client.run(job).seconds / job.messages


def _count(recipients: int, sink: str, name: str, bed: Bed) -> None:
    with DelayingProxy(bed.sink(sink), _COUNTING_RTT) as proxy:
        counted = {}
        for client, runner in bed.clients(_COUNTED).items():
            server = Server(port=proxy.port, chunking=sink == "chunking")
            job = Job(server=server, recipients=recipients, bulk=client == _BULK)
            counted[client] = [_round_trips(runner, job, proxy)]
        bed.results.add(name, "round trips", counted)


def _round_trips(client: Runner, job: Job, proxy: DelayingProxy) -> float:
    """Return the number of round trips for one more message, without those that open and end the session."""
    client.run(job)
    first = proxy.round_trips
    further = _BULK_COUNTED if job.bulk else 1
    client.run(replace(job, messages=1 + further))
    return (proxy.round_trips - first) / further


def _timed_case(recipients: int, milliseconds: int) -> Case:
    name = f"recipients-{recipients}/{milliseconds}ms"
    in_quick = (recipients, milliseconds) in {(1, 20), (100, 20)}
    return Case(name, partial(_measure_time, recipients, milliseconds / 1000, name), in_quick)


def _counted_case(recipients: int, sink: str) -> Case:
    name = f"round-trips-{recipients}/{sink}"
    return Case(name, partial(_count, recipients, sink, name), in_quick=recipients == 1)


CASES = (
    *(_timed_case(recipients, milliseconds) for milliseconds in (0, 5, 20, 100) for recipients in (1, 10, 100, 500)),
    *(_counted_case(recipients, sink) for sink in ("smtp-sink", "chunking") for recipients in (1, 100)),
)
