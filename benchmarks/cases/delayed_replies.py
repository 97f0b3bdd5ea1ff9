"""A server that delays each final reply, as Exchange does: messages per second over one connection and several."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from airflow_smtp_cm.testing import SmtpTestServer
from benchmarks import cores
from benchmarks.cases import Case
from benchmarks.job import Job, Server
from benchmarks.rounds import MESSAGES_PER_SECOND, OURS, alternate
from benchmarks.workers import start
from tests.servers.people import ALICE

if TYPE_CHECKING:
    from benchmarks.bed import Bed
    from benchmarks.workers import Runner

ONE_CONNECTION, CONNECTIONS = f"{OURS}-bulk", f"{OURS}-connections"

_DELAY = 0.2  # seconds
_CONNECTIONS = 8
_ON_ONE, _ON_EACH = 50, 100  # messages; so many that opening the further connections hardly matters
_NAME = "delayed-replies/200ms"


def _measure(bed: Bed) -> None:
    exchange = SmtpTestServer(
        users={ALICE.down_level: ALICE.password}, personality="exchange", max_acknowledgement_delay=_DELAY
    )
    with cores.on(cores.SERVERS), exchange as server:
        environment = {**bed.environment, "SSL_CERT_FILE": server.ca_bundle}
        job = partial(Job, server=Server(port=server.port, starttls=True, login="ntlm", name=server.server_name))
        jobs = {
            ONE_CONNECTION: job(messages=_ON_ONE, bulk=True),
            CONNECTIONS: job(messages=_ON_EACH * _CONNECTIONS, bulk=True, connections=_CONNECTIONS),
        }
        runner = start(OURS, environment)
        assert runner
        with closing(runner):
            runner.run(job(bulk=True))  # loads the modules
            runs = {client: partial(_rate, runner, job) for client, job in jobs.items()}
            bed.results.add(_NAME, MESSAGES_PER_SECOND, alternate(runs, bed.few_rounds))


def _rate(client: Runner, job: Job) -> float:
    return job.messages / client.run(job).seconds


CASES = (Case(_NAME, _measure, in_quick=False),)
