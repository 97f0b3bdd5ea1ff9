"""The record of a task over all its tries, in Airflow's task state store (Airflow 3.3 and newer)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "airflow_smtp_cm.delivery"
"""The record's key in the store."""

OnUncertain: TypeAlias = Literal["fail", "resend", "assume_sent"]
"""What to do if delivery is uncertain."""


class TaskRecord:
    """The record of one task instance; it ends when a user clears the task.

    Args:
        context: the task's context.
        durable: whether to read the record of earlier tries, and to keep one for later tries.
    """

    def __init__(self, context: Mapping[str, Any], *, durable: bool) -> None:
        self._store: Any = context.get("task_state_store") if durable else None
        # Airflow's; it is the same in automatic retries, and changes when a user clears the task.
        self._max_tries = getattr(context.get("ti"), "max_tries", None)

    @property
    def is_kept(self) -> bool:
        """Whether later tries can read it."""
        return self._store is not None

    def read(self) -> dict[str, Any] | None:
        """Return what earlier tries wrote; None if they wrote nothing."""
        stored = dict(self._store.get(KEY) or {}) if self.is_kept else {}
        return stored if stored and stored.pop("max_tries") == self._max_tries else None

    def write(self, value: Mapping[str, Any]) -> None:
        """Replace the record; only if it is kept."""
        self._store.set(KEY, {"max_tries": self._max_tries, **value})
