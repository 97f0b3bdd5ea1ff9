"""What one message and many have in common: the record of the task's tries, the rules, and the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow_smtp_cm.task.composition import MailFields
from airflow_smtp_cm.task.delivery.ledger import Ledger
from airflow_smtp_cm.task.delivery.states import RetryRules
from airflow_smtp_cm.task.state_store import TaskRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_smtp_cm.task.question import Answer
    from airflow_smtp_cm.task.state_store import OnUncertain


class SendMailTask(MailFields, Protocol):
    """What is needed of the operator; its documentation explains these arguments."""

    messages: Any
    connections: int
    messages_per_minute: float | None
    max_messages_per_connection: int | None
    durable: bool
    on_uncertain: OnUncertain
    all_or_nothing: bool


class TaskTry:
    """One try of a task instance.

    Args:
        task: the operator.
        context: the task's context.
        answer: the answer to the question, if the task resumes with one.
        messages: the number of messages.
        digest: a hash of what must be the same in every try; None if there is no such check.
        connections: the number of connections that send at the same time.

    Attributes:
        answers: the answers to the questions in all tries, for the result.

    Raises:
        InvalidMessage: the messages are not those of an earlier try.
        RecordError: the record of earlier tries cannot be read.
        DeliveryUncertain: the task resumes with an answer, and its record was deleted.
    """

    def __init__(
        self,
        task: SendMailTask,
        context: Mapping[str, Any],
        answer: Answer | None,
        *,
        messages: int,
        digest: str | None = None,
        connections: int = 1,
    ) -> None:
        asks = task.on_uncertain == "ask"
        record = TaskRecord(context, durable=task.durable, in_every_try=asks, is_resumed=answer is not None)
        self._ledger = Ledger(record, messages, digest, connections=connections)
        self._rules = RetryRules.of_task(record, task.on_uncertain, all_or_nothing=task.all_or_nothing)
        self._is_last = record.is_last
        self._answer = answer
        self.answers = self._ledger.answers

    @property
    def is_recorded(self) -> bool:
        """Whether a later try knows all outcomes of this one."""
        return self._ledger.is_recorded
