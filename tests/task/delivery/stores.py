"""Airflow's task state store, played: it keeps what a task writes, counts the calls, and may be gone."""

from __future__ import annotations

import json


class Killed(BaseException):
    """Stands for the end of a worker: nothing is recorded any more, and nothing said."""


class Store:
    """Airflow's task state store, which may be gone after some writes, as it is to a worker that was killed."""

    def __init__(self):
        self.kept = {}
        self.calls = []
        self.writes_left = None

    @property
    def writes(self):
        """How often something was written."""
        return self.calls.count("set")

    def get(self, key):
        """Return what was written."""
        self.calls.append("get")
        return json.loads(self.kept[key]) if key in self.kept else None

    def set(self, key, value):
        """Keep a value.

        Raises:
            Killed: so many writes were all that was left.
        """
        self.calls.append("set")
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise Killed
        self.kept[key] = json.dumps(value)
