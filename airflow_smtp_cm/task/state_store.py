"""What a task remembers over its tries: a record in Airflow's task state store (Airflow 3.3 and newer)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "airflow_smtp_cm.delivery"
"""The record's key in the store."""

OnUncertain: TypeAlias = Literal["fail", "resend", "assume_sent"]
"""What to do if nobody can know whether a message was delivered."""


class TaskRecord:
    """The record of one task instance; a user's Clear lets it begin anew.

    Args:
        context: the task's context.
        durable: whether to go by a record of earlier tries, and to keep one for later tries.
    """

    def __init__(self, context: Mapping[str, Any], *, durable: bool) -> None:
        self._store: Any = context.get("task_state_store") if durable else None
        # Airflow's; automatic retries keep it, and a user's Clear changes it.
        self._max_tries = getattr(context.get("ti"), "max_tries", None)

    @property
    def is_kept(self) -> bool:
        """Whether later tries will know it."""
        return self._store is not None

    def read(self) -> dict[str, Any] | None:
        """Return what the tries before this one wrote."""
        stored = dict(self._store.get(KEY) or {}) if self.is_kept else {}
        return stored if stored and stored.pop("max_tries") == self._max_tries else None

    def write(self, value: Mapping[str, Any]) -> None:
        """Write what later tries are to know; only where it is kept."""
        self._store.set(KEY, {"max_tries": self._max_tries, **value})
