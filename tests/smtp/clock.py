"""A clock that the tests control."""

from __future__ import annotations

from tests.servers.scripted import Step


class Clock:
    """A clock that the test sets; each reading advances it by ``tick`` seconds."""

    def __init__(self, tick: float = 0) -> None:
        self.now = 0.0
        self.tick = tick

    def monotonic(self) -> float:
        self.now += self.tick
        return self.now

    def passes(self, seconds: float) -> Step:
        return Step("time passes", lambda _: setattr(self, "now", self.now + seconds))
