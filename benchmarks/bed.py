"""What the cases share: the sinks and the clients, each started when it is first asked for, and how long to take."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from benchmarks import cores
from benchmarks.rounds import Results
from benchmarks.sinks import fast_sink, servers, smtp_sink
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
}


class Bed:
    """A running bed; it ends all that it started at the end of the ``with`` block.

    Args:
        quick: take a minute for all cases, not ten.

    Attributes:
        rounds: how often every client has its turn.
        few_rounds: the same where a turn takes seconds.
        seconds: how long a turn takes where the number of messages is free.
        results: what has been measured so far.
        folder: for files; any user may read there.
        environment: of the clients.
    """

    def __init__(self, *, quick: bool) -> None:
        self.rounds = 3 if quick else 5
        self.few_rounds = 1 if quick else 3
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
        """Return the port of a sink.

        Raises:
            Unavailable: the machine lacks what it needs.
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
            Unavailable: the machine lacks one of them, or this is not root.
        """
        return self._serve(servers(self.folder))

    def clients(self, names: Iterable[str]) -> dict[str, Runner]:
        """Return those of the clients that this machine has, by name; each is started once, and stays warm."""
        for name in names:
            if name not in self._clients:
                runner = self._clients[name] = start(name, self.environment)
                if runner:
                    self._started.callback(runner.close)
        return {name: runner for name in names if (runner := self._clients[name])}

    def say(self, text: str) -> None:
        """Tell who waits."""
        print(text, file=sys.stderr, flush=True)

    def _serve(self, server: AbstractContextManager[T]) -> T:
        with cores.on(cores.SERVERS):
            return self._started.enter_context(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()
