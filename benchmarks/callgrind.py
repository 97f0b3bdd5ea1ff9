"""Count the user-space instructions of a process with valgrind: the count does not depend on the machine's load."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from benchmarks.sinks import Unavailable
from benchmarks.workers import FOLDER, ROOT, Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self


class CountedWorker:
    """A worker under valgrind. It counts only during ``count``: otherwise, the start would take minutes.

    Args:
        name: the worker's name.
        command: the program; it answers each line of its input with a line.
        environment: added to the harness's own environment.

    Raises:
        Unavailable: valgrind is not installed.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._file = FOLDER / f"{name}.callgrind"
        self._worker = Worker(name, [*_callgrind(self._file), "--instr-atstart=no", *command], environment)
        self._counts = 0

    def count(self, line: str) -> int:
        """Send a line to the worker, and return the number of instructions until its answer.

        The worker must have answered a line before: valgrind accepts no commands while it starts.

        Raises:
            RuntimeError: valgrind did not accept a command; with its output.
        """
        self._control("instrumentation", "on")
        self._worker.ask(line)
        self._control("instrumentation", "off")
        self._control("dump")
        self._counts += 1
        return _total(self._file.with_name(f"{self._file.name}.{self._counts}"))

    def ask(self, line: str) -> None:
        """Send a line to the worker, and wait for its answer, without counting."""
        self._worker.ask(line)

    def _control(self, *command: str) -> None:
        vgdb = ["vgdb", f"--pid={self._worker.pid}", *command]
        outcome = subprocess.run(vgdb, capture_output=True, text=True, check=False)
        if outcome.returncode:
            raise RuntimeError(f"{' '.join(vgdb)} failed:\n{outcome.stderr}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()


def count(command: Sequence[str]) -> int:
    """Run a program to its end, and return the number of its instructions.

    Raises:
        Unavailable: valgrind is not installed.
    """
    file = FOLDER / "program.callgrind"
    subprocess.run([*_callgrind(file), *command], cwd=ROOT, capture_output=True, check=True)
    return _total(file)


def _callgrind(file: Path) -> list[str]:
    if shutil.which("valgrind") is None:
        raise Unavailable("valgrind, which counts instructions")
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}"]


def _total(file: Path) -> int:
    found = re.search(r"^totals: (\d+)$", file.read_text(), re.MULTILINE)
    assert found
    file.unlink()
    return int(found[1])
