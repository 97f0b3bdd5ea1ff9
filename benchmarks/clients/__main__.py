"""A worker: reads jobs from standard input, one per line, and answers each with a line that contains its cost.

Run by the harness: python -m benchmarks.clients CLIENT
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.job import Cost, Job

if TYPE_CHECKING:
    from benchmarks.clients import Client


def main(name: str) -> None:
    # Output of libraries goes to standard error.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    client = import_module(f"benchmarks.clients.{name}").client()
    for line in sys.stdin:
        print(json.dumps(asdict(do(client, Job.from_line(line)))), file=answers)


def do(client: Client, job: Job) -> Cost:
    if not job.reconnect:
        client.open(job.server)
    started, cpu = time.perf_counter(), time.process_time()
    if job.reconnect:
        for mail in job.mails():
            client.open(job.server)
            client.send([mail])
            client.close()
    elif job.bulk:
        client.send_bulk(job.mails(), job.connections)
    else:
        client.send(job.mails())
    cost = Cost(seconds=time.perf_counter() - started, cpu=time.process_time() - cpu)
    if not job.reconnect:
        client.close()
    return cost


if __name__ == "__main__":
    main(sys.argv[1])
