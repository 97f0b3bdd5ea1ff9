"""The processes of the clients: each is started once, and does one job after the other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmarks import cores
from benchmarks.job import READER, SENDER, TEXT, Cost
from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from benchmarks.job import Job

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".build" / "bench"
SMTP_SOURCE = Path("/usr/sbin/smtp-source")

_PYTHON = {
    "airflow-smtp-cm": "airflow_smtp_cm",
    "airflow-smtp-cm-bulk": "airflow_smtp_cm",
    "airflow-smtp-cm-binarymime": "airflow_smtp_cm",
    "airflow-smtp-cm-async": "airflow_smtp_cm_async",
    "hook": "hook",
    "smtplib": "standard_library",
    "aiosmtplib": "aiosmtplib_client",
}


class Runner(Protocol):
    """A client that does jobs."""

    def run(self, job: Job) -> Cost:
        """Do the job, and return its cost."""

    def close(self) -> None:
        """End the client."""


def start(name: str, environment: Mapping[str, str]) -> Runner | None:
    """Start a client, and return it; None if it is not installed."""
    if name == "smtp-source":
        return SmtpSource() if SMTP_SOURCE.exists() else None
    if name == "nodemailer":
        if not (FOLDER / "node_modules/nodemailer").exists():
            return None
        command = ["node", str(ROOT / "benchmarks/clients/nodemailer.js"), SENDER, TEXT]
        environment = {**environment, "NODE_PATH": str(FOLDER / "node_modules")}
    else:
        command = python_client(name)
    return Worker(name, command, environment)


def python_client(name: str) -> list[str]:
    """Return the command that runs a client in Python."""
    return [sys.executable, "-m", "benchmarks.clients", _PYTHON[name]]


class Worker:
    """A client in a process that does many jobs.

    Args:
        name: the client's name.
        command: the program, which reads jobs from standard input.
        environment: added to the harness's own environment.
    """

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        self._name = name
        self._log = FOLDER / f"{name}.log"
        with cores.on(cores.CLIENTS), self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
                cwd=ROOT,
                env={**os.environ, **environment},
            )

    def run(self, job: Job) -> Cost:
        """Do the job, and return its cost.

        Raises:
            RuntimeError: the job failed; with the client's output.
        """
        return Cost(**json.loads(self.ask(job.as_line())))

    def ask(self, line: str) -> str:
        """Write a line to the process, and return its answer, a line.

        Raises:
            RuntimeError: the process has ended instead; with its output.
        """
        assert self._process.stdin
        assert self._process.stdout
        answer = ""
        with suppress(BrokenPipeError):
            self._process.stdin.write(line + "\n")
            answer = self._process.stdout.readline()
        if not answer:
            self.close()
            raise RuntimeError(f"{self._name} failed at {line}:\n{self._log.read_text(errors='replace')}")
        return answer

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def reset_peak(self) -> int:
        """Reset the peak memory of the process; return its current memory, in KiB."""
        (self._proc / "clear_refs").write_text("5")  # proc(5): resets VmHWM
        return self._kib("VmRSS")

    def peak(self) -> int:
        """Return the peak memory since ``reset_peak``, in KiB."""
        return self._kib("VmHWM")

    @property
    def _proc(self) -> Path:
        return Path(f"/proc/{self.pid}")

    def _kib(self, name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+) kB", (self._proc / "status").read_text())
        assert found
        return int(found[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def smtp_source(job: Job) -> list[str]:
    """Return the command with which smtp-source does a job."""
    length = Path(job.attachment).stat().st_size * 4 // 3 if job.attachment else len(TEXT)
    command = [str(SMTP_SOURCE), "-m", str(job.messages), "-r", str(job.recipients), "-l", str(length)]
    command += ["-f", SENDER, "-t", READER, "-M", "bench.test"]
    return [*command, *([] if job.reconnect else ["-d"]), f"{LOOPBACK}:{job.server.port}"]


class SmtpSource:
    """Postfix's smtp-source: a program in C that does one job and ends."""

    def run(self, job: Job) -> Cost:
        """Do the job, and return its cost, which includes the start of the program."""
        with cores.on(cores.CLIENTS):
            started = time.perf_counter()
            process = subprocess.Popen(smtp_source(job))
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"smtp-source failed at {job}")
        return Cost(seconds=seconds, cpu=usage.ru_utime + usage.ru_stime)

    def close(self) -> None:
        """Do nothing: the program has ended."""
