"""The record of a task over all its tries, in Airflow's task state store (Airflow 3.3 and newer).

Each access is a call of Airflow's API server, so the record is accessed only where that can make a difference:

- It is read in every try but the first.
- It is written in every try that Airflow may retry by itself. The last try that ``retries`` grants (the only one,
  with ``retries=0``) writes nothing. Nobody would read it: when a user clears the task, its earlier record ends.
- The last try does write if it has read nothing. Airflow answers in the same way if the task has no record and if it
  has put another try in the place of this one, as after a crash of its scheduler. Only a write fails then, so that
  nothing is sent to those who have the message.
- With ``on_uncertain="ask"``, every try writes it: the task resumes in the same try, in another process, when the
  question is answered. Then it is read as well.

Yet Airflow can start one more try than ``retries`` grants: after a crash of the scheduler, if its executor cannot
adopt the running and queued tasks, or if a user clears the task *while it runs*. In the first case, and in the second
unless the executor reports success for the ended task, ``max_tries`` stays as it is, so that ``try_number`` exceeds
it by more than one. This shows that a try without a record came before (``is_incomplete``). The ledger then treats as
uncertain what that try may have sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from airflow_smtp_cm.smtp.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "airflow_smtp_cm.delivery"
"""The record's key in the store."""

LAST_TRY = (
    "No automatic retry follows. The logs of the earlier tries show what was sent. If the task is cleared, all is "
    "sent again."
)
"""The end of errors after which there is no retry."""

OnUncertain: TypeAlias = Literal["fail", "resend", "assume_sent", "ask"]
"""What to do if delivery is uncertain."""


class TaskRecord:
    """The record of one task instance; it ends when a user clears the task.

    Args:
        context: the task's context.
        durable: whether the task has a record at all.
        in_every_try: whether the last try writes it, too.
        is_resumed: whether the task resumes this try after a question was answered.

    Attributes:
        is_available: whether the task has a record.
        is_resumed: whether the task resumes this try.
        is_last: whether the task has a record, and Airflow does not retry this try by itself.
        is_written: whether this try writes it.
        is_incomplete: whether an earlier try did not write it, and may have sent what it does not contain.
    """

    def __init__(
        self,
        context: Mapping[str, Any],
        *,
        durable: bool,
        in_every_try: bool = False,
        is_resumed: bool = False,
    ) -> None:
        self._store: Any = context.get("task_state_store") if durable else None
        self.is_available = self._store is not None
        self.is_resumed = is_resumed
        self.is_last = self.is_written = self.is_incomplete = self._is_read = False
        if self.is_available:
            ti = context["ti"]
            # Airflow's; it is the same in automatic retries, and changes when a user clears the task.
            self._max_tries: int = ti.max_tries
            self.is_last = not 0 < ti.try_number <= ti.max_tries  # ``airflow tasks test`` runs a try 0
            self.is_written = not self.is_last or (in_every_try and ti.try_number > 0)
            # Negative retries are none.
            self.is_incomplete = not in_every_try and ti.try_number > max(ti.max_tries, 0) + 1
            # A task that asked to be rescheduled runs again in the same try.
            self._is_read = is_resumed or ti.try_number > 1 or bool(context.get("task_reschedule_count"))

    def read(self) -> dict[str, Any] | None:
        """Return what earlier tries wrote; None if they wrote nothing.

        Raises:
            RecordError: it cannot be read.
        """
        try:
            stored = dict(self._store.get(KEY) or {}) if self._is_read else {}
        except Exception as error:
            raise RecordError(
                f"The record of earlier tries cannot be read, so nothing is sent: {error}"
                + (f". {LAST_TRY}" if self.is_last else "")
            ) from error
        if self._is_read and not stored:
            self.is_written = True
        return stored if stored and stored.pop("max_tries") == self._max_tries else None

    def write(self, value: Mapping[str, Any], *, for_answer: bool = False) -> None:
        """Replace the record; only if it is written.

        Args:
            value: the record.
            for_answer: whether the task waits for an answer next. Airflow then keeps the record for as long as it
                keeps the run, and else for some days (``[state_store] default_retention_days``).
        """
        retention: dict[str, Any] = {}
        if for_answer:
            # Airflow 3.3 and newer, and only for a question.
            from airflow.sdk.execution_time.context import NEVER_EXPIRE  # noqa: PLC0415

            retention = {"retention": NEVER_EXPIRE}
        self._store.set(KEY, {"max_tries": self._max_tries, **value}, **retention)
