"""What a task remembers over its tries: a record in Airflow's task state store (Airflow 3.3 and newer)."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

logger = logging.getLogger(__name__)

OnUncertain: TypeAlias = Literal["fail", "resend", "assume_sent"]
"""What to do if nobody can know whether a message has been delivered."""


class TaskRecord:
    """A record of one task instance; a user's Clear lets it begin anew.

    Args:
        context: the task's context.
        key: the record's key in the store.
        durable: whether to go by a record of earlier tries, and to keep one for later tries.
    """

    def __init__(self, context: Mapping[str, Any], key: str, *, durable: bool) -> None:
        self._store = context.get("task_state_store") if durable else None
        self._key = key
        # Airflow's; automatic retries keep it, and a user's Clear changes it.
        self._max_tries = getattr(context.get("ti"), "max_tries", None)

    @property
    def is_kept(self) -> bool:
        """Whether later tries will know of it."""
        return self._store is not None

    def read(self) -> dict[str, Any] | None:
        """Return what the tries before this one wrote."""
        stored = dict(self._store.get(self._key) or {}) if self._store is not None else {}
        return stored if stored and stored.pop("max_tries") == self._max_tries else None

    def write(self, value: Mapping[str, Any]) -> None:
        """Write what later tries shall know."""
        if self._store is not None:
            self._store.set(self._key, {"max_tries": self._max_tries, **value})

    def delete(self) -> None:
        """Let later tries know nothing."""
        if self._store is not None:
            self._store.delete(self._key)


@contextmanager
def only_logged(consequence: str) -> Iterator[None]:
    """Let no fault of the store replace the outcome of a message."""
    try:
        yield
    except Exception:
        logger.exception("What became of the message could not be recorded. %s", consequence)
