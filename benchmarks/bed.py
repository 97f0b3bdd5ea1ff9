"""What the cases share: sinks and clients, each started at its first use, and the duration of a measurement."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from benchmarks import cores
from benchmarks.rounds import Results
from benchmarks.sinks import delaying_sink, fast_sink, servers, smtp_sink
from benchmarks.workers import FOLDER, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from typing import Self

    from benchmarks.sinks import Servers
    from benchmarks.workers import Runner

T = TypeVar("T")

_SINKS: dict[str, Callable[[], AbstractContextManager[int]]] = {
    "smtp-sink": smtp_sink,
    "no-pipelining": partial(smtp_sink, "-p"),
    "chunking": fast_sink,
    "binarymime": partial(fast_sink, "BINARYMIME"),
    "200ms": partial(delaying_sink, 0.2),
}


class Bed:
    """The running sinks and clients; at the end of the ``with`` block, they are stopped.

    Args:
        quick: measure all cases in one minute instead of ten.

    Attributes:
        rounds: number of turns of each client.
        few_rounds: number of turns of each client if a turn takes seconds.
        rounds_of_tasks: number of turns of each client in a running Airflow, whose durations vary more.
        seconds: duration of a turn if its number of messages is free.
        results: the results so far.
        folder: a temporary folder that every user may read.
        environment: the clients' environment variables.
    """

    def __init__(self, *, quick: bool) -> None:
        self.rounds = 3 if quick else 5
        self.few_rounds = 1 if quick else 3
        self.rounds_of_tasks = 2 if quick else 7
        self.seconds = 0.2 if quick else 0.3
        self.results = Results()
        self._started = ExitStack()
        self._sinks: dict[str, int] = {}
        self._clients: dict[str, Runner | None] = {}
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.folder = Path(self._started.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        self.folder.chmod(0o755)
        self.environment = {"AIRFLOW_HOME": str(self.folder), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}

    def sink(self, name: str) -> int:
        """Return the port of a sink; start it if necessary.

        Raises:
            Unavailable: a program that the sink needs is not installed.
        """
        if name == "postfix":
            return self.servers.postfix.port("discarding")
        if name not in self._sinks:
            self._sinks[name] = self._serve(_SINKS[name]())
        return self._sinks[name]

    @cached_property
    def servers(self) -> Servers:
        """Postfix and the KDC of its realm.

        Raises:
            Unavailable: one of them is not installed, or the user is not root.
        """
        return self._serve(servers(self.folder))

    def clients(self, names: Iterable[str]) -> dict[str, Runner]:
        """Return the installed ones of these clients by name; each is started once, and continues to run."""
        for name in names:
            if name not in self._clients:
                runner = self._clients[name] = start(name, self.environment)
                if runner:
                    self._started.callback(runner.close)
                else:
                    self.log(f"{name}: no results; it is not installed (`make bench` installs it)")
        return {name: runner for name in names if (runner := self._clients[name])}

    def log(self, text: str) -> None:
        """Write a line of progress to standard error."""
        print(text, file=sys.stderr, flush=True)

    def _serve(self, server: AbstractContextManager[T]) -> T:
        with cores.on(cores.SERVERS):
            return self._started.enter_context(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()
