"""Many messages in one task: each is sent once, even if others fail or the worker is killed."""

from __future__ import annotations

import logging
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.shortening import listed
from airflow_smtp_cm.smtp.errors import RecipientsRefused, SmtpError
from airflow_smtp_cm.smtp.result import listed_refusals
from airflow_smtp_cm.smtp.side_by_side import send_each
from airflow_smtp_cm.task.composition import check_connection
from airflow_smtp_cm.task.delivery.items import Items
from airflow_smtp_cm.task.delivery.progress import Progress
from airflow_smtp_cm.task.delivery.result import Failure, MergeResult, MessagesFailed
from airflow_smtp_cm.task.delivery.states import Event, State, after, missing
from airflow_smtp_cm.task.delivery.task_try import TaskTry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
    from airflow_smtp_cm.smtp.client import SmtpClient
    from airflow_smtp_cm.smtp.result import Refusal, SendResult
    from airflow_smtp_cm.task.delivery.ledger import WriteAheadMessage
    from airflow_smtp_cm.task.delivery.states import RetryRules
    from airflow_smtp_cm.task.delivery.task_try import SendMailTask
    from airflow_smtp_cm.task.question import Answer, AnswerNeeded, Uncertain

logger = logging.getLogger(__name__)

_NAMED = 10  # recipients in a reason


class Merge(TaskTry):
    """The messages of one task instance, in one try.

    Args:
        task: the operator, with the task's own fields and, for each message, those that replace them.
        context: the task's context.
        answer: the answer to the question, if the task resumes with one.
        hook: the hook for the connection.

    Raises:
        InvalidMessage: the items are not a list, or not those of an earlier try.
        RecordError: the record of earlier tries cannot be read.
        DeliveryUncertain: the task resumes with an answer, and its record was deleted.
    """

    def __init__(
        self, task: SendMailTask, context: Mapping[str, Any], answer: Answer | None, hook: SmtpCmHook
    ) -> None:
        self._items = items = Items(task, task.messages, context)
        super().__init__(
            task, context, answer, messages=len(items), digest=items.digest, connections=task.connections
        )
        self._task = task
        self._hook = hook
        # Messages handed to the client that have no outcome yet, by their numbers.
        self._in_flight: dict[int, tuple[int, WriteAheadMessage]] = {}
        self._handed = count()
        self._next = 0  # the index from which on no message was handed to the client
        self._delivered = False  # whether this try has delivered a message, or may have
        self._deferred: SmtpError | None = None
        self._explanations: dict[str, None] = {}  # of the errors of this try

    def send(self) -> MergeResult:
        """Send the messages that earlier tries have not sent, within the limits of the operator.

        Returns:
            The result; every recipient has its message.

        Raises:
            InvalidMessage: all problems with the connection or with messages; none was sent in this try.
            MessagesFailed: some have not been delivered; ``transient`` is whether a retry will send only those of
                them that may be delivered later.
            AnswerNeeded: delivery of some messages is uncertain, and a person is asked.
            RecordError: so it is, and what the question would be about cannot be recorded.
            SmtpError: no session could be opened.
        """
        try:
            return self._send()
        except SmtpError as error:
            if (asked := self._ledger.asked()) and (self._is_last or not error.transient):
                logger.warning("A person is asked before the task goes on: %s", error)
                raise self._question(asked) from error
            raise

    def _send(self) -> MergeResult:
        if interrupted := self._ledger.interrupted():
            self._conclude_interrupted(interrupted)
        if self._answer is not None:
            self._apply(self._answer)
        if self._rules.on_uncertain != "ask":  # the DAG was changed after the question
            for index in self._ledger.asked():
                self._conclude_uncertain(index, self._open(index).reason, self._rules)
        if pending := self._ledger.begin():
            check_connection(self._hook)  # else its problems would be reported for each message
            self._items.check(pending, self._hook)
            with self._hook.get_conn() as client:
                # Before QUIT, which takes time in which a worker may be killed.
                self._send_with(client, pending)
        else:
            logger.info("No message is left to send.")
        return self._result()

    def _conclude_interrupted(self, interrupted: list[int]) -> None:
        """Apply ``on_uncertain`` to messages that an earlier try was sending when it ended."""
        check_connection(self._hook)
        for index in interrupted:
            reason = (
                "An earlier try may have sent the message, and kept no record"
                if self._ledger.is_incomplete
                else "An earlier try ended before the server confirmed the message, or could not record the outcome"
            )
            self._conclude_uncertain(index, reason, self._rules)

    def _apply(self, answer: Answer) -> None:
        """Apply the answer to the messages that a person was asked about, unless it must be asked for again."""
        asked = {index: self._open(index) for index in self._ledger.asked()}
        names = [message.name for message in asked.values()]
        if not answer.decides(names):
            logger.warning(
                "%s. It decides nothing: the messages that may be selected now are %s. Selected: %s.",
                answer,
                listed(names, _NAMED),
                listed(answer.chosen, _NAMED) or "none",
            )
            return
        logger.info("SendMailTaskInfo: %s.", answer)
        self.answers.append(answer.as_json())
        for index, message in asked.items():
            choice = answer.for_message(message.name)
            self._conclude_uncertain(index, f"{message.reason}. {answer}", self._rules._replace(on_uncertain=choice))
            if choice == "fail":
                self._rules = self._rules._replace(on_uncertain=choice)

    def _conclude_uncertain(self, index: int, reason: str, rules: RetryRules) -> None:
        """Apply these rules to a message that an earlier try may have sent."""
        earlier = self._ledger.results.get(index)
        message_id, recipients = self._items.name(index, self._hook)
        if (left := self._ledger.transmissions.get(index)) is not None:
            event, _, kept = rules.conclude(left.error(reason), earlier)
            recipients, unsent = left.result.uncertain, left.unsent
        else:
            event, kept, unsent = rules.if_uncertain, None, 0
            if earlier is not None:
                reason += f"; the record before has that {listed(earlier.accepted, _NAMED)} got it"
        self._settle(index, event, message_id, recipients, reason, kept=kept, unsent=unsent)

    def _question(self, asked: list[int]) -> AnswerNeeded:
        """Record that a person must decide; return the exception that asks."""
        from airflow_smtp_cm.task.question import AnswerNeeded  # noqa: PLC0415 - only for a question

        self._ledger.save_for_answer()
        messages = [self._open(index) for index in asked]
        return AnswerNeeded(messages, len(self._items), self._ledger.transmitted_at)

    def _open(self, index: int) -> Uncertain:
        """Describe a message that a person is asked about."""
        from airflow_smtp_cm.task.question import Uncertain  # noqa: PLC0415 - only for a question

        message_id, recipients = self._items.name(index, self._hook)
        if (left := self._ledger.transmissions.get(index)) is not None:
            recipients = left.result.uncertain
        failure = self._ledger.failure(index)
        reason = failure.reason if failure else "No final reply of the server arrived"
        return Uncertain(message_id, recipients, self._items.subject(index), reason, index)

    def _send_with(self, client: SmtpClient, pending: list[int]) -> None:
        """Send messages with this client, which may open further sessions and connections."""
        ledger = self._ledger
        progress = Progress(len(self._items) - len(pending), len(self._items))
        outcomes = send_each(
            client,
            self._outgoing(pending),
            connections=min(self._task.connections, len(pending)),
            all_or_nothing=self._rules.all_or_nothing,
            messages_per_minute=self._task.messages_per_minute,
            max_messages_per_connection=self._task.max_messages_per_connection,
        )
        try:
            with closing(outcomes):
                for number, outcome in outcomes:
                    self._conclude(*self._in_flight.pop(number), outcome)
                    progress.one_more()
        except SmtpError as error:  # messages without an outcome were not transmitted
            ledger.mark_unsent()
            if not (self._delivered or ledger.results):
                raise
            transient = error.transient and self._rules.has_record
            raise MessagesFailed(
                str(error), ledger.summary(), cause=error, transient=transient, is_last=self._is_last
            ) from error
        except BaseException:
            ledger.mark_unsent(self._next)
            raise
        finally:
            ledger.save()

    def _outgoing(self, pending: list[int]) -> Iterator[WriteAheadMessage]:
        """Yield the messages, each composed when it is needed."""
        for index in pending:
            try:
                message = self._items.compose(index, self._hook)
            except (InvalidMessage, OSError) as error:  # it was valid when it was checked
                event = Event.REJECTED if isinstance(error, InvalidMessage) else Event.DEFERRED
                self._settle(index, event, *self._items.name(index, self._hook), str(error))
                continue
            outgoing = self._ledger.hand_out(index, message)
            self._in_flight[next(self._handed)] = index, outgoing
            self._next = index + 1
            yield outgoing

    def _conclude(self, index: int, message: WriteAheadMessage, outcome: SendResult | SmtpError) -> None:
        """Note the outcome of a message that was in flight."""
        earlier = self._ledger.results.get(index)
        event, outcome, kept = self._rules.conclude(outcome, earlier, message.recipients)
        if kept is not None or event in {Event.UNCERTAIN, Event.ASSUME_SENT, Event.ASK}:
            self._delivered = True
        if not isinstance(outcome, SmtpError):
            logger.debug("messages[%d] %s: %s", index, message.message_id, outcome.reply)
            self._ledger.settle(index, event, result=outcome)
            return
        if kept is not None and event is Event.DEFERRED and not self._ledger.has_room_for_result(index):
            event = Event.REJECTED
        unsent = 0
        if kept is not None and self._rules.asks(event, kept, is_last=self._is_last):
            event, unsent = Event.ASK, len(missing(kept, message.recipients))
        refused = outcome.refused if isinstance(outcome, RecipientsRefused) else ()
        self._explain(outcome)
        self._settle(
            index,
            event,
            message.message_id,
            _without(message, kept) if not refused or kept is None else tuple(item.address for item in refused),
            _replies(refused) or outcome.without_explanation,
            kept=kept,
            unsent=unsent,
            error=outcome,
        )

    def _explain(self, error: SmtpError) -> None:
        """Log what to do about an error, once: the failures of the messages have only the replies."""
        if error.explanation and error.explanation not in self._explanations:
            self._explanations[error.explanation] = None
            logger.warning("%s", error.explanation)

    def _settle(
        self,
        index: int,
        event: Event,
        message_id: str | None,
        recipients: tuple[str, ...],
        reason: str,
        *,
        kept: SendResult | None = None,
        unsent: int = 0,
        error: SmtpError | None = None,
    ) -> None:
        """Note and log the outcome of a message that a recipient does not have, or may not have."""
        state = after(self._ledger.state(index), event)
        failure = Failure(
            index=index, state=state, message_id=message_id, recipients=recipients, reason=reason.rstrip(".")
        )
        logger.warning("%s: %s.", state.name.capitalize().replace("_", " "), failure)
        self._ledger.settle(index, event, result=kept, failure=failure, unsent=unsent)
        if state is State.DEFERRED:
            self._deferred = self._deferred or error

    def _result(self) -> MergeResult:
        """Return the result, if every recipient has its message; else raise MessagesFailed."""
        result = self._ledger.summary()
        if not any(result.failure_texts()):
            return result
        # Without a record, a retry would send all messages again.
        repeats_none = self._rules.has_record or not self._delivered
        transient = repeats_none and result.counts[State.DEFERRED] > 0
        raise MessagesFailed(
            None,
            result,
            cause=self._deferred,
            transient=transient,
            is_last=self._is_last,
            explanations=self._explanations,
        )


def _without(message: WriteAheadMessage, kept: SendResult | None) -> tuple[str, ...]:
    """Return the recipients of a message who do not have it, or only may have it."""
    if kept is None:
        return message.recipients
    have_it = set(kept.accepted)
    return tuple(address for address in dict.fromkeys(kept.uncertain + message.recipients) if address not in have_it)


def _replies(refused: tuple[Refusal, ...]) -> str:
    return str(refused[0].reply) if len(refused) == 1 else listed_refusals(refused)
