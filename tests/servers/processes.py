"""Server processes: choose free ports, start a server, wait until it listens, and stop it with its children."""

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
# For servers in network namespaces, which nothing outside can reach.
ALL_INTERFACES = "0.0.0.0"

# The limit of a wait for something that must happen: no machine is so slow that a success takes longer.
PATIENCE_SECONDS = 300.0

# Below the range that Linux uses for outgoing connections, which could otherwise take a chosen port.
_PORTS = range(10_000, 32_768)
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.01


def free_ports(count: int) -> list[int]:
    """Return free TCP ports of 127.0.0.1; they are reserved for this process until it ends."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.choice(_PORTS)
        if _reserve(port):
            ports.append(port)
    return ports


def _reserve(port: int) -> bool:
    # A name in the abstract namespace has one owner, and is free again when its process ends in any way.
    with socket.socket(socket.AF_UNIX) as reservation, socket.socket() as probe:
        try:
            reservation.bind(f"\0tests.servers: port {port}")
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        reservation.detach()
        return True


def wait_until(met: Callable[[], object], seconds: float = PATIENCE_SECONDS, pause: float = _POLL_SECONDS) -> bool:
    """Check the condition until it is met, with pauses; return False if it is not met within ``seconds``."""
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
    """Run a server in the foreground; the block begins when it listens.

    Args:
        command: the server and its arguments; it must not go to the background.
        port: its TCP port; when it accepts connections, the server is ready.
        env: added to the tests' own environment.
        output: file for its standard output and error.
        logs: further files that explain a failure to start.

    Raises:
        RuntimeError: it did not start; with its output.
    """
    with output.open("ab") as sink:
        # In its own session: Ctrl-C reaches only the tests, which then stop the server. Its children are found by
        # their process group, whose id is that of the server.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
            start_new_session=True,
        )
    with _guarded(process.pid, 'kill -TERM "-$1"'):
        try:
            wait_until(lambda: process.poll() is not None or is_listening(port))
            if process.poll() is not None or not is_listening(port):
                raise RuntimeError(_failure(command, process.poll(), [output, *logs]))
            yield
        finally:
            _stop(process)


@contextmanager
def running_session(
    command: Sequence[str | Path], env: Mapping[str, str], output: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in a session of its own during the block; after it, the whole session is ended.

    It is for programs whose children have process groups of their own. If the tests are killed, it ends as well.

    Args:
        command: the program and its arguments; it must not go to the background.
        env: its whole environment.
        output: file to which its standard output and error are appended.
    """
    with output.open("ab") as sink:
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with _guarded(process.pid, 'pkill -TERM -s "$1"; sleep 5; pkill -KILL -s "$1"'):
        try:
            yield process
        finally:
            for stop in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):  # the first one does not reach everything
                kill_session(process.pid, stop)
                if wait_until(lambda: process.poll() is not None and not _living(process.pid), _STOP_SECONDS):
                    break


def kill_session(session: int, with_signal: signal.Signals) -> None:
    """Send a signal to all processes of a session; it may have ended."""
    for pid in _living(session):
        with suppress(ProcessLookupError):
            os.kill(pid, with_signal)


def _living(session: int) -> list[int]:
    """Return the processes of the session except zombies."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, _, rest = stat.read_text().partition(" (")
            state, _parent, _group, of_session = rest.rpartition(")")[2].split()[:4]
            if int(of_session) == session and state != "Z":
                found.append(int(pid))
    return found


def is_listening(port: int) -> bool:
    """Return whether a server accepts connections on the port."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@contextmanager
def _guarded(pid: int, end: str) -> Iterator[None]:
    """Run a command of the shell, whose $1 is the process, if the tests are killed before the end of the block."""
    # The pipe closes when the tests have ended in any way.
    wait_and_end = ["sh", "-c", f"read -r line; {end}", "guard", str(pid)]
    with subprocess.Popen(wait_and_end, stdin=subprocess.PIPE, start_new_session=True) as guard:
        try:
            yield
        finally:
            guard.kill()
            guard.wait()  # after Ctrl-C, Popen waits for a quarter of a second only


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
    """Return whether the group has a process that is not a zombie."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state != "Z":
                return True
    return False
