"""Counts the instructions of a process outside the kernel, by valgrind: no load of the machine changes them."""

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
    """A worker under valgrind, which counts only while it answers: a start would take minutes otherwise.

    Args:
        name: the worker's name.
        command: what answers lines.
        environment: set on top of the harness's own.

    Raises:
        Unavailable: the machine has no valgrind.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._file = FOLDER / f"{name}.callgrind"
        self._worker = Worker(name, [*_callgrind(self._file), "--instr-atstart=no", *command], environment)
        self._counts = 0

    def count(self, line: str) -> int:
        """Have the worker answer a line, and return how many instructions that took.

        It must have answered one before: valgrind takes no orders while it starts.

        Raises:
            RuntimeError: valgrind takes none now either; with what was said.
        """
        self._tell("instrumentation", "on")
        self._worker.ask(line)
        self._tell("instrumentation", "off")
        self._tell("dump")
        self._counts += 1
        return _total(self._file.with_name(f"{self._file.name}.{self._counts}"))

    def ask(self, line: str) -> None:
        """Have the worker answer a line without counting."""
        self._worker.ask(line)

    def _tell(self, *command: str) -> None:
        vgdb = ["vgdb", f"--pid={self._worker.pid}", *command]
        told = subprocess.run(vgdb, capture_output=True, text=True, check=False)
        if told.returncode:
            raise RuntimeError(f"{' '.join(vgdb)} failed:\n{told.stderr}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()


def count(command: Sequence[str]) -> int:
    """Run a program to its end, and return how many instructions that took.

    Raises:
        Unavailable: the machine has no valgrind.
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
