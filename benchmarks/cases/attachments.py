"""Large attachments: time, CPU time and additional memory, each time in a new process.

And the number of bytes sent for each byte of the file.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.cases import Case
from benchmarks.delaying_proxy import DelayingProxy
from benchmarks.job import Job, Server
from benchmarks.rounds import OURS, SMTP_SOURCE, alternate
from benchmarks.workers import Worker, start

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bed import Bed

_BINARYMIME = f"{OURS}-binarymime"
_CLIENTS = (OURS, _BINARYMIME, "hook", "smtplib", "aiosmtplib", "nodemailer", "smtp-source")
_FOR_THE_LARGEST = (OURS, _BINARYMIME, "hook", "nodemailer", "smtp-source")

_MEGABYTE = 1_000_000
_KIB_PER_MIB = 1024
_SMALL = 1_000  # bytes: enough for a client to load its modules, and too few for a large buffer


def _measure(megabytes: int, clients: tuple[str, ...], name: str, bed: Bed) -> None:
    small = _write(bed.folder / "small.bin", _SMALL)
    large = _write(bed.folder / f"{megabytes}.bin", megabytes * _MEGABYTE)
    runs = {}
    for client in clients:
        server = Server(port=_port(client, bed), chunking=client == _BINARYMIME)
        runs[client] = partial(_cost, bed, client, Job(server=server, attachment=str(large)), small)
    rows = {name: "s", f"{name}/cpu": "s", f"{name}/memory": "MiB"}
    bed.results.add_costs(rows, alternate(runs, bed.few_rounds))
    large.unlink()


def _count_wire_bytes(bed: Bed) -> None:
    file = _write(bed.folder / "counted.bin", _MEGABYTE)
    counted = {}
    for client, runner in bed.clients(_CLIENTS).items():
        if client != SMTP_SOURCE:  # it does not send the file
            with DelayingProxy(_port(client, bed), 0) as proxy:
                server = Server(port=proxy.port, chunking=client == _BINARYMIME)
                runner.run(Job(server=server, attachment=str(file)))
                counted[client] = [proxy.bytes_sent / _MEGABYTE]
    bed.results.add("wire-bytes", "bytes", counted)


def _port(client: str, bed: Bed) -> int:
    return bed.sink("binarymime" if client == _BINARYMIME else "chunking")


def _write(file: Path, size: int) -> Path:
    block = bytes(range(256)) * 4096
    with file.open("wb") as target:
        while size:
            size -= target.write(block[:size])
    return file


def _cost(bed: Bed, client: str, job: Job, small: Path) -> tuple[float, ...]:
    """Return seconds, CPU seconds and, if known, MiB; () if the client is not installed."""
    runner = start(client, bed.environment)
    if runner is None:
        return ()
    with closing(runner):
        if not isinstance(runner, Worker):
            cost = runner.run(job)
            return cost.seconds, cost.cpu
        runner.run(replace(job, attachment=str(small)))
        idle = runner.reset_peak()
        cost = runner.run(job)
        return cost.seconds, cost.cpu, (runner.peak() - idle) / _KIB_PER_MIB


def _case(megabytes: int, clients: tuple[str, ...], *, in_quick: bool = False) -> Case:
    name = f"attachment-{megabytes}MB"
    return Case(name, partial(_measure, megabytes, clients, name), in_quick)


CASES = (
    _case(1, _CLIENTS),
    _case(10, _CLIENTS),
    _case(50, _CLIENTS, in_quick=True),
    _case(200, _FOR_THE_LARGEST),
    Case("wire-bytes", _count_wire_bytes),
)
