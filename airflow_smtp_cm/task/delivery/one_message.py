"""The only message of a task: a merge of one message, with the result and errors of that message."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.smtp.errors import DeliveryIncomplete, DeliveryUncertain, RecipientsRefused, SmtpError
from airflow_smtp_cm.smtp.result import SendResult
from airflow_smtp_cm.task.delivery.ledger import Ledger
from airflow_smtp_cm.task.delivery.states import Event, RetryRules, State, missing, over_all_tries
from airflow_smtp_cm.task.delivery.stored import Transmission
from airflow_smtp_cm.task.state_store import TaskRecord
from airflow_smtp_cm.task.write_ahead import WriteAheadMessage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.task.question import Answer, AnswerNeeded
    from airflow_smtp_cm.task.state_store import OnUncertain

logger = logging.getLogger(__name__)

_OPEN = {State.SENDING, State.ASKED}


class Delivery:
    """The message of one task instance, in one try.

    Args:
        context: the task's context.
        durable: whether to read the record of earlier tries, and to keep one for later tries.
        on_uncertain: what to do if the content was transmitted, or may have been, and there was no final reply.
        all_or_nothing: send to no recipient if the server refuses any of them.
        answer: the answer to the question, if the task resumes with one.

    Attributes:
        answers: the answers to the questions in all tries, for the result.

    Raises:
        InvalidMessage: earlier tries had many messages.
        RecordError: the record of earlier tries cannot be read.
        DeliveryUncertain: the task resumes with an answer, and its record was deleted.
    """

    def __init__(
        self,
        context: Mapping[str, Any],
        *,
        durable: bool,
        on_uncertain: OnUncertain,
        all_or_nothing: bool,
        answer: Answer | None = None,
    ) -> None:
        record = TaskRecord(
            context, durable=durable, in_every_try=on_uncertain == "ask", is_resumed=answer is not None
        )
        self._ledger = Ledger(record, 1)
        self._is_last = record.is_last
        self._rules = RetryRules.of_task(record, on_uncertain, all_or_nothing=all_or_nothing)
        self._answer = answer
        self.answers = self._ledger.answers
        if answer is not None and not answer.is_empty:
            logger.info("SendMailTaskInfo: %s.", answer)
            self.answers.append(answer.as_json())

    @property
    def is_recorded(self) -> bool:
        """Whether a later try knows the outcome of this one."""
        return self._ledger.is_recorded

    def earlier_result(self) -> SendResult | None:
        """Return the result of earlier tries, if the message need not be sent again; else None.

        Raises:
            DeliveryUncertain: an earlier try ended while it was sending the message, and a person must decide.
            AnswerNeeded: so it is, and a person is asked.
            RecipientsRefused: earlier tries delivered it to some recipients; the others were rejected permanently.
        """
        ledger = self._ledger
        if ledger.state(0) in _OPEN:
            # After a try without a record, only the composed message shows what that may have sent: see ``send``.
            if (left := ledger.transmissions.get(0)) is None:
                return None
            if (result := self._conclude_interrupted(left)) is not None:
                return result
        if ledger.begin():
            return None
        result = ledger.results[0]
        logger.info("An earlier try sent the message %s. It is not sent again.", result.message_id)
        return _returned(RecipientsRefused.in_result(result) or result)

    def send(self, hook: SmtpCmHook, message: MailMessage) -> SendResult:
        """Send the message to all recipients who do not have it.

        Raises:
            InvalidMessage: the safety settings do not permit it.
            RecipientsRefused: recipients were refused; ``result`` is that of all tries together, and ``transient`` is
                whether a retry will send the message to those of them whom the server may accept later.
            DeliveryUncertain: the content was transmitted, and there was no final reply.
            AnswerNeeded: so it is, and a person is asked.
            DeliveryIncomplete: recipients have it from an earlier try or transaction, and others do not, because of
                another error.
            SmtpError: it was not delivered to any recipient.
        """
        ledger = self._ledger
        digest = _digest(message)
        if (ledger.results or ledger.transmissions) and ledger.digest != digest:
            logger.warning(
                "The message is not the same as in an earlier try. Recipients of the earlier version do not get this "
                "one."
            )
        ledger.digest = digest
        recipients = ledger.recipients(0, message)
        if ledger.interrupted():
            left = Transmission(SendResult.without_reply(message.message_id, recipients), unsent=0)
            if (result := self._conclude_interrupted(left)) is not None:
                return result
        ledger.begin()
        if not recipients:
            # The deferred recipients are no longer recipients of the message.
            earlier = ledger.results[0]
            return _returned(over_all_tries(earlier, replace(earlier, accepted=(), refused=()), ()))
        outgoing = WriteAheadMessage(message, recipients, ledger.record_of(0))
        outcome: SendResult | SmtpError
        with ExitStack() as session:
            try:
                client = session.enter_context(hook.get_conn())
                outcome = client.send(outgoing, all_or_nothing=self._rules.all_or_nothing)
            except SmtpError as error:
                outcome = error
            # Before QUIT, which takes time in which a worker may be killed.
            return self._concluded(outcome, recipients)

    def _conclude_interrupted(self, left: Transmission) -> SendResult | None:
        """Apply ``on_uncertain`` to what an earlier try may have sent; return None if it is to be sent now."""
        ledger, asks_again = self._ledger, self._rules
        if self._answer is not None:
            self._rules = self._rules._replace(on_uncertain=self._answer.for_message(left.result.message_id))
        why = _why_uncertain(left.result.message_id, recorded=0 in ledger.transmissions)
        if (failure := ledger.failure(0)) is not None:
            why = failure.reason
        if self._answer is not None:
            why = f"{why} {self._answer}."
        error = _uncertain_after(left, why)
        event, _, result = self._rules.conclude(over_all_tries(ledger.results.get(0), error, ()))
        if event not in {Event.RESEND, Event.DEFERRED}:
            return self._concluded(error, reason=why)
        logger.warning(
            "An earlier try may have sent %s to %s recipients. %s",
            left.result.message_id,
            f"{len(left.result.uncertain):,}",
            f"It is sent again, because {self._why}."
            if self._rules.if_uncertain is Event.RESEND
            else "It is sent to the others now.",
        )
        ledger.settle(0, event, result=result)
        if self._rules.if_uncertain is not Event.UNCERTAIN:
            self._rules = asks_again  # if it becomes uncertain once more
        return None

    @property
    def _why(self) -> str:
        """Why an uncertain message is sent again, or not."""
        return f"on_uncertain is {self._rules.on_uncertain}" if self._answer is None else str(self._answer)

    def _concluded(
        self, outcome: SendResult | SmtpError, recipients: Sequence[str] = (), reason: str | None = None
    ) -> SendResult:
        """Record what an outcome of a try for these recipients means; return the result or raise the error."""
        ledger = self._ledger
        event, outcome, result = self._rules.conclude(over_all_tries(ledger.results.get(0), outcome, recipients))
        if result is not None and self._rules.asks(event, result, is_last=self._is_last):
            raise self._question(outcome, result, recipients, reason or str(outcome))
        if event is Event.ASSUME_SENT and result is not None:
            logger.warning("%s It is assumed to be sent, because %s.", outcome, self._why)
            outcome = result
        if result is None and event in {Event.DEFERRED, Event.REJECTED}:
            # No recipient got it: the next try, if there is one, starts from the same state as this one.
            ledger.mark_unsent()
            ledger.save()
        else:
            # Also after a permanent error, the others do not have it: the next try, if there is one, is for them.
            ledger.settle(0, Event.DEFERRED if isinstance(outcome, DeliveryIncomplete) else event, result=result)
        if isinstance(outcome, SmtpError):
            outcome.transient = event in {Event.DEFERRED, Event.RESEND}
            outcome.is_last = self._is_last
        return _returned(outcome)

    def _question(
        self, outcome: SendResult | SmtpError, result: SendResult, recipients: Sequence[str], reason: str
    ) -> AnswerNeeded:
        """Record that a person must decide; return the exception that asks."""
        from airflow_smtp_cm.task.delivery.result import Failure  # noqa: PLC0415 - only for a question
        from airflow_smtp_cm.task.question import AnswerNeeded, Uncertain  # noqa: PLC0415

        ledger, earlier = self._ledger, self._ledger.failure(0)
        failure = earlier or Failure(
            index=0,
            state=State.ASKED,
            message_id=result.message_id,
            recipients=result.uncertain,
            reason=reason,
        )
        # Those who were deferred, too: the result for the answer is without them.
        unsent = len(missing(result, recipients)) or getattr(outcome, "unsent", 0)
        ledger.settle(0, Event.ASK, result=result, failure=failure, unsent=unsent)
        ledger.save_for_answer()
        message = Uncertain(result.message_id, result.uncertain, "", failure.reason)
        return AnswerNeeded([message], 1, ledger.transmitted_at)


def _why_uncertain(message_id: str, *, recorded: bool) -> str:
    return (
        f"An earlier try of this task ended while it was sending the message {message_id}, or could not record the "
        f"outcome (see its log). The message may have been delivered or not."
        if recorded
        else f"An earlier try of this task may have sent the message {message_id}. That was the last try that the "
        f"task's retries grant, which keeps no record; yet Airflow runs the task once more."
    )


def _uncertain_after(left: Transmission, why: str) -> DeliveryUncertain:
    return DeliveryUncertain(
        f"{why} It is not sent again. Ask the recipients, or look for this Message-ID in the server's log; then "
        f"clear the task to send the message again, or mark it as success.",
        result=left.result,
        unsent=left.unsent,
    )


def _returned(outcome: SendResult | SmtpError) -> SendResult:
    if isinstance(outcome, SmtpError):
        raise outcome
    return outcome


def _digest(message: MailMessage) -> str:
    """Return a hash that is the same if two tries compose the same message; it does not include the date."""
    lines = (message.from_email, *message.to, None, *message.cc, None, *message.bcc, None, *message.reply_to)
    parts = (
        [str(line) for line in lines],
        [message.subject, message.text, message.html, message.priority, dict(message.headers)],
        [(attachment.name, attachment.size) for attachment in message.attachments],
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
