"""Airflow's task state store, played: it keeps what a task writes, counts the calls, and may fail."""

from __future__ import annotations

import json


class Killed(BaseException):
    """Stands for the end of a worker: nothing is recorded any more, and nothing said."""


class Store:
    """Airflow's task state store.

    Attributes:
        kept: what was written, as JSON.
        calls: the names of the methods that were called.
        writes_left: how many writes succeed from now on; None for all.
        fault: what the others raise; by default it is gone, as it is to a worker that was killed.
    """

    def __init__(self):
        self.kept = {}
        self.calls = []
        self.writes_left = None
        self.fault = Killed()

    @property
    def writes(self):
        """How often something was written."""
        return self.calls.count("set")

    def get(self, key):
        """Return what was written."""
        self.calls.append("get")
        return json.loads(self.kept[key]) if key in self.kept else None

    def set(self, key, value):
        """Keep a value."""
        self.calls.append("set")
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise self.fault
        self.kept[key] = json.dumps(value)
