"""Messages per second, and CPU time per message, of clients that send for a given time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.rounds import MESSAGES_PER_SECOND, alternate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.bed import Bed
    from benchmarks.job import Job
    from benchmarks.workers import Runner

_WARM_UP = {"nodemailer": 2_000}  # messages until V8 has compiled its code


def measure_rates(bed: Bed, name: str, clients: Mapping[str, Runner], job: Job) -> None:
    """Measure a case, and add its rows to the bed's results.

    Args:
        bed: the sinks, and the duration of a turn.
        name: the case.
        clients: the clients to compare.
        job: the job; its number of messages is the minimum. A first run with that number shows how many messages fill
            a turn.
    """
    runs = {}
    for client, runner in clients.items():
        warm_up = job.messages if job.reconnect else _WARM_UP.get(client, job.messages)
        rate, _ = _costs(runner, replace(job, messages=warm_up))
        runs[client] = partial(_costs, runner, replace(job, messages=max(job.messages, round(rate * bed.seconds))))
    bed.results.add_costs({name: MESSAGES_PER_SECOND, f"{name}/cpu": "us"}, alternate(runs, bed.rounds))


def _costs(client: Runner, job: Job) -> tuple[float, float]:
    cost = client.run(job)
    return job.messages / cost.seconds, 1e6 * cost.cpu / job.messages
