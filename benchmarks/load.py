"""Tens of thousands of messages to Postfix. Each must be delivered once, and neither memory nor open files may grow.

Four cases: threads with a client each, and the same with sessions that the server ends with 421, in a process that
does nothing else; one task that sends all, and mapped tasks, in a running Airflow with LocalExecutor. All log in with
NTLM under STARTTLS. The exit status is 1 if a case failed.

Run: make load, as root; or .venv/bin/python -m benchmarks.load
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.local_executor import PARALLELISM, local_executor
from tests import connections
from tests.load import MAILBOX, MAY_GROW_KIB, Cost, copies, message_ids, send_from_new_process, to_postfix
from tests.servers.certificates import make_certificates
from tests.servers.kdc import running_kdc
from tests.servers.people import MAIL_DOMAIN
from tests.servers.postfix import MESSAGES_PER_SESSION, running_postfix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.live.standalone import Standalone
    from tests.servers.certificates import Certificates
    from tests.servers.postfix import Postfix

MESSAGES = 10_000
THREADS = 8
THROTTLED_MESSAGES = 4_000
MAPPED_TASKS = 200

_RUN_SECONDS = 600.0


class Load:
    """The cases, and whether all of them have passed so far."""

    def __init__(self, postfix: Postfix, certificates: Certificates) -> None:
        self.postfix = postfix
        self.certificates = certificates
        self.passed = True

    def threads(self) -> None:
        """Send from threads with a client each."""
        cost = self._from_new_process("default", "threads", MESSAGES)
        self._report_sent(f"{THREADS} threads with a client each", "threads", cost)

    def throttled(self) -> None:
        """Send from threads, in sessions that the server ends with 421."""
        cost = self._from_new_process("throttled", "throttled", THROTTLED_MESSAGES)
        resent = THREADS * ((THROTTLED_MESSAGES // THREADS - 1) // MESSAGES_PER_SESSION)
        name = f"{THREADS} threads, 421 after every {MESSAGES_PER_SESSION} messages, {cost.resent} times"
        self._report_sent(name, "throttled", cost, resent)

    def one_task(self, airflow: Standalone) -> None:
        """Send all messages in one session of one task."""
        cost = _run(airflow, "load_in_one_task", "send_all", case="one-task", messages=MESSAGES)
        self._report_sent("one task with one client", "one-task", Cost(**cost))

    def mapped_tasks(self, airflow: Standalone) -> None:
        """Send each message in its own task."""
        started = perf_counter()
        to = f"{MAILBOX}+mapped@{MAIL_DOMAIN}"
        sent = _run(airflow, "load_in_mapped_tasks", "gather", to=to, tasks=MAPPED_TASKS)
        seconds = perf_counter() - started
        ids = sorted({task["message_id"] for task in sent})
        peaks = [task["peak_kib"] for task in sent]
        left_open = sum(task["files_after"] != task["files_before"] for task in sent)
        self._report(
            f"{MAPPED_TASKS} mapped tasks, {PARALLELISM} at a time",
            ids,
            seconds,
            f"memory of a task {_mib(min(peaks))} to {_mib(max(peaks))} MiB; {left_open} tasks left files open",
            passed=len(ids) == MAPPED_TASKS and not left_open,
        )

    def _from_new_process(self, port: str, case: str, messages: int) -> Cost:
        manager = to_postfix(self.postfix, self.certificates, port)
        return send_from_new_process(manager, case, messages, threads=THREADS)

    def _report_sent(self, name: str, case: str, cost: Cost, resent: int = 0) -> None:
        self._report(
            name,
            message_ids(case, cost.messages),
            cost.seconds,
            f"memory {_mib(cost.early_kib)} MiB after a tenth, {_mib(cost.peak_kib)} MiB at the end "
            f"(allowed growth: {_mib(MAY_GROW_KIB)} MiB); "
            f"open files: {cost.files_before} before, {cost.files_after} after",
            passed=cost.is_flat and cost.resent == resent,
        )

    def _report(self, name: str, ids: list[str], seconds: float, cost: str, *, passed: bool) -> None:
        self.postfix.wait_until_idle()
        delivered = copies(self.postfix, ids)
        connections = self._connections()
        passed = passed and delivered == {1: len(ids)} and connections == 0
        self.passed = self.passed and passed
        times = ", ".join(f"{number:,} {times}x" for times, number in delivered.items())
        print(
            f"{name}: {'passed' if passed else 'FAILED'}",
            f"{len(ids):,} messages in {seconds:.1f} s, {len(ids) / seconds:.3g}/s; delivered: {times}",
            f"{cost}; open connections: {connections}",
            sep="\n    ",
            flush=True,
        )

    def _connections(self) -> int:
        """Count the open connections to Postfix."""
        ports = set(self.postfix.ports.values())
        return sum(
            bool(found.raddr) and found.raddr.port in ports and found.status != psutil.CONN_TIME_WAIT
            for found in psutil.net_connections("tcp")
        )


def _run(airflow: Standalone, dag_id: str, task_id: str, **params: object) -> Any:
    """Run a DAG, and return the result of a task."""
    run = airflow.succeed(dag_id, _RUN_SECONDS, **params)
    return airflow.returned(dag_id, run, task_id)


def _mib(kib: int) -> str:
    return f"{kib / 1024:.1f}"


@contextmanager
def load() -> Iterator[Load]:
    """Run Postfix for the block."""
    with tempfile.TemporaryDirectory(prefix="load-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for Postfix's own users
        certificates = make_certificates(folder / "certificates")
        with running_kdc(folder / "kdc") as kdc, running_postfix(folder / "postfix", kdc, certificates) as postfix:
            yield Load(postfix, certificates)


def main() -> int:
    with load() as running:
        running.threads()
        running.throttled()
        connection = connections.to_postfix(running.postfix, running.certificates)
        with local_executor({"AIRFLOW_CONN_LOAD": connection}) as airflow:
            running.one_task(airflow)
            running.mapped_tasks(airflow)
        return 0 if running.passed else 1


if __name__ == "__main__":
    sys.exit(main())
