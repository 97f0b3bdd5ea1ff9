"""What is started, ended and started again, as systemd does it."""

from __future__ import annotations

import signal
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tests.servers.processes import kill_session, running_session

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.cluster.network import Machine


class Server:
    """A server that can be restarted with its data.

    Args:
        machine: where it runs.
        start: a function that returns the running server as a context.
    """

    def __init__(self, machine: Machine, start: Callable[[], AbstractContextManager[object]]) -> None:
        self._machine = machine
        self._start = start
        self._running = ExitStack()

    @contextmanager
    def running(self) -> Iterator[Server]:
        """Run it during the block."""
        with self._running:
            self._enter()
            yield self

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop it for the block, and start it again."""
        self._running.close()
        yield
        self._enter()

    def _enter(self) -> None:
        self._running.enter_context(self._machine.namespaces.running(self._start()))


class Component:
    """A component of Airflow on a machine.

    Args:
        machine: where it runs.
        command: an airflow command.
        env: its environment.
        output: the file for its output.
    """

    def __init__(self, machine: Machine, command: list[str], env: Mapping[str, str], output: Path) -> None:
        self.machine = machine
        self.output = output
        self._command = [*machine.namespaces.launcher, *command]
        self._env = env
        self._running = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[Component]:
        """Run it during the block."""
        with self._running:
            self.restart_if_ended()
            yield self

    def restart_if_ended(self) -> None:
        """Start it if it does not run, as systemd does with ``Restart=always``."""
        if self._process is None or self._process.poll() is not None:
            self._running.close()
            self._process = self._running.enter_context(running_session(self._command, self._env, self.output))

    def check(self) -> None:
        """Raise RuntimeError with its output if it has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"{self._command} has ended:\n{self.output.read_text(errors='replace')}")

    def kill(self) -> None:
        """Kill it and all its processes with SIGKILL, and wait until it has ended."""
        assert self._process
        kill_session(self._process.pid, signal.SIGKILL)
        self._process.wait()
