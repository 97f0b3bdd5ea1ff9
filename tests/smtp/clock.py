"""Time that the tests pass."""

from __future__ import annotations

from tests.servers.scripted import Step


class Clock:
    """A clock that goes on when it is told to, and by this many seconds whenever somebody looks."""

    def __init__(self, tick: float = 0) -> None:
        self.now = 0.0
        self._tick = tick

    def monotonic(self) -> float:
        self.now += self._tick
        return self.now

    def passes(self, seconds: float) -> Step:
        return Step("time passes", lambda _: setattr(self, "now", self.now + seconds))
