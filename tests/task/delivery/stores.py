"""Substitutes for Airflow's task state store, which count the calls and can fail or kill."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path


class Killed(BaseException):
    """Simulates the kill of a worker: it writes neither a record nor a log."""


class Store:
    """A task state store in memory.

    Attributes:
        kept: the written values, as JSON.
        calls: the names of the methods that were called.
        writes_left: how many further writes succeed; None means all.
        retention: how long the last value is kept; None means Airflow's default.
        fault: the exception that the others raise; by default the worker is killed.
    """

    def __init__(self):
        self.kept = {}
        self.calls = []
        self.retention = None
        self.writes_left = None
        self.fault = Killed()

    @property
    def writes(self):
        """How often a value was written."""
        return self.calls.count("set")

    def get(self, key):
        """Return a written value."""
        self.calls.append("get")
        return json.loads(self.kept[key]) if key in self.kept else None

    def set(self, key, value, retention=None):
        """Keep a value, for a time."""
        self.retention = retention
        self.calls.append("set")
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise self.fault
        self.kept[key] = json.dumps(value)


class StoreInFile(Store):
    """A store in a file; instead of one of its writes, the process is killed (kill -9).

    Args:
        file: the file.
        killed_at: the number of that write, counted from 1; None means that all succeed.
    """

    def __init__(self, file, killed_at=None):
        super().__init__()
        self._file = Path(file)
        self._killed_at = killed_at
        if self._file.exists():
            self.kept = json.loads(self._file.read_text())

    def set(self, key, value, retention=None):
        """Keep a value, or kill the process."""
        if self.writes + 1 == self._killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        super().set(key, value, retention)
        self._file.write_text(json.dumps(self.kept))
