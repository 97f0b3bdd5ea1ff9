"""Server processes: free ports, start, wait until they listen, and an end without leftovers."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

LOOPBACK = "127.0.0.1"

# How long to wait for what is to come: this limits a failure, and no machine is so slow that it decides a success.
PATIENCE_SECONDS = 300.0

# Below Linux's range for outgoing connections, so that none of those takes a port between choice and use.
_PORTS = range(10_000, 32_768)
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.01


def free_ports(count: int) -> list[int]:
    """Choose TCP ports of 127.0.0.1 that nobody listens on; no other process gets them while this one lives."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.choice(_PORTS)
        if _reserve(port):
            ports.append(port)
    return ports


def _reserve(port: int) -> bool:
    # A name in the abstract namespace has one owner, and is free again when its process ends, whatever ends it.
    with socket.socket(socket.AF_UNIX) as reservation, socket.socket() as probe:
        try:
            reservation.bind(f"\0tests.servers: port {port}")
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        reservation.detach()
        return True


def wait_until(met: Callable[[], object], seconds: float = PATIENCE_SECONDS, pause: float = _POLL_SECONDS) -> bool:
    """Look again after every pause until the condition is met; False if it still is not after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


@contextmanager
def running(
    command: Sequence[str | Path], *, port: int, env: Mapping[str, str], output: Path, logs: Sequence[Path] = ()
) -> Iterator[None]:
    """Run a server in the foreground for the duration of the block, from when it listens.

    Args:
        command: the server and its arguments; it must not put itself into the background.
        port: the TCP port that shows that it is up.
        env: set in its environment, on top of the tests' own.
        output: where its standard output and error go.
        logs: further files that explain a failure to start.

    Raises:
        RuntimeError: it does not start; with what it wrote.
    """
    with output.open("ab") as sink:
        # A session of its own: Ctrl-C reaches the tests alone, which then stop the server; and whatever it starts
        # is found by its process group, whose id is its own.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
            start_new_session=True,
        )
    with _guarded(process.pid):
        try:
            wait_until(lambda: process.poll() is not None or is_listening(port))
            if process.poll() is not None or not is_listening(port):
                raise RuntimeError(_failure(command, process.poll(), [output, *logs]))
            yield
        finally:
            _stop(process)


def is_listening(port: int) -> bool:
    """Tell whether somebody takes connections to the port."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@contextmanager
def _guarded(group: int) -> Iterator[None]:
    """Have the process group ended if the tests are killed before the end of the block."""
    # The pipe closes when they are gone, whatever ended them.
    wait_and_end = ["sh", "-c", 'read -r line; kill -TERM "-$1"', "guard", str(group)]
    with subprocess.Popen(wait_and_end, stdin=subprocess.PIPE, start_new_session=True) as guard:
        try:
            yield
        finally:
            guard.kill()


def _failure(command: Sequence[str | Path], status: int | None, logs: Sequence[Path]) -> str:
    state = "does not listen" if status is None else f"ended with status {status}"
    written = [f"{log}:\n{log.read_text(errors='replace')}" for log in logs if log.exists()]
    return "\n".join([f"{' '.join(map(str, command))} {state}", *written])


def _stop(process: subprocess.Popen[bytes]) -> None:
    for stop, seconds in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, PATIENCE_SECONDS)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, stop)
        if wait_until(lambda: not _group_lives(process.pid), seconds):
            break
    process.wait()


def _group_lives(group: int) -> bool:
    """Tell whether the group has a process that is not merely a zombie, waiting for some parent's attention."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state != "Z":
                return True
    return False
