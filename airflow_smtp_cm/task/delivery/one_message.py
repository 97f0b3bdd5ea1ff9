"""The only message of a task: a merge of one message, with the result and errors of that message."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.smtp.errors import DeliveryIncomplete, RecipientsRefused, SmtpError
from airflow_smtp_cm.smtp.result import SendResult
from airflow_smtp_cm.task.delivery.states import OPEN, Event, State, missing, over_all_tries
from airflow_smtp_cm.task.delivery.stored import Transmission
from airflow_smtp_cm.task.delivery.task_try import TaskTry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.task.delivery.states import RetryRules
    from airflow_smtp_cm.task.delivery.task_try import SendMailTask
    from airflow_smtp_cm.task.question import Answer, AnswerNeeded

logger = logging.getLogger(__name__)


class Delivery(TaskTry):
    """The message of one task instance, in one try.

    Args:
        task: the operator.
        context: the task's context.
        answer: the answer to the question, if the task resumes with one.

    Raises:
        InvalidMessage: earlier tries had many messages.
        RecordError: the record of earlier tries cannot be read.
        DeliveryUncertain: the task resumes with an answer, and its record was deleted.
    """

    def __init__(self, task: SendMailTask, context: Mapping[str, Any], answer: Answer | None) -> None:
        super().__init__(task, context, answer, messages=1)
        if answer is not None:
            logger.info("SendMailTaskInfo: %s.", answer)
            self.answers.append(answer.as_json())

    def resume(self) -> SendResult | None:
        """Conclude what earlier tries left open; return their result if the message need not be sent, else None.

        Raises:
            DeliveryUncertain: an earlier try ended while it was sending the message, and a person must decide.
            AnswerNeeded: so it is, and a person is asked.
            RecipientsRefused: earlier tries delivered it to some recipients; the others were rejected permanently.
        """
        ledger = self._ledger
        if ledger.state(0) in OPEN:
            # After a try without a record, only the composed message shows what that may have sent: see ``send``.
            if (left := ledger.transmissions.get(0)) is None:
                return None
            if (result := self._conclude_uncertain(left)) is not None:
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
        if ledger.interrupted():
            recipients = ledger.recipients(0, message)
            left = Transmission(SendResult.without_reply(message.message_id, recipients), unsent=0)
            if (result := self._conclude_uncertain(left)) is not None:
                return result
        ledger.begin()
        outgoing = ledger.hand_out(0, message)
        if not outgoing.recipients:
            # The deferred recipients are no longer recipients of the message.
            earlier = ledger.results[0]
            return _returned(over_all_tries(earlier, replace(earlier, accepted=(), refused=()), ()))
        outcome: SendResult | SmtpError
        with ExitStack() as session:
            try:
                client = session.enter_context(hook.get_conn())
                outcome = client.send(outgoing, all_or_nothing=self._rules.all_or_nothing)
            except SmtpError as error:
                outcome = error
            # Before QUIT, which takes time in which a worker may be killed.
            return self._concluded(outcome, outgoing.recipients, self._rules)

    def _conclude_uncertain(self, left: Transmission) -> SendResult | None:
        """Apply ``on_uncertain``, or the answer, to what an earlier try may have sent; return None to send it now."""
        ledger, rules, answer, message_id = self._ledger, self._rules, self._answer, left.result.message_id
        failure = ledger.failure(0)
        why = failure.reason if failure else _why_uncertain(message_id, recorded=0 in ledger.transmissions)
        if answer is not None:
            rules = rules._replace(on_uncertain=answer.for_message(message_id))
            why = f"{why} {answer}."
            if rules.on_uncertain == "fail":
                self._rules = rules  # else it is asked about again if it becomes uncertain once more
        error = left.error(
            f"{why} It is not sent again. Ask the recipients, or look for this Message-ID in the server's log; then "
            f"clear the task to send the message again, or mark it as success."
        )
        event, _, kept = rules.conclude(error, ledger.results.get(0))
        if event not in {Event.RESEND, Event.DEFERRED}:
            return self._concluded(error, (), rules, why)
        logger.warning(
            "An earlier try may have sent %s to %s recipients. %s",
            message_id,
            f"{len(left.result.uncertain):,}",
            f"It is sent again, because {self._reason(rules)}."
            if rules.if_uncertain is Event.RESEND
            else "It is sent to the others now.",
        )
        ledger.settle(0, event, result=kept)
        return None

    def _reason(self, rules: RetryRules) -> str:
        """Return why an uncertain message is sent again, or not."""
        return f"on_uncertain is {rules.on_uncertain}" if self._answer is None else str(self._answer)

    def _concluded(
        self,
        outcome: SendResult | SmtpError,
        recipients: Sequence[str],
        rules: RetryRules,
        why: str | None = None,
    ) -> SendResult:
        """Record what an outcome of a try for these recipients means; return the result or raise the error."""
        ledger = self._ledger
        event, outcome, kept = rules.conclude(outcome, ledger.results.get(0), recipients)
        if kept is not None and rules.asks(event, kept, is_last=self._is_last):
            raise self._question(outcome, kept, recipients, why or str(outcome))
        if event is Event.ASSUME_SENT and kept is not None:
            logger.warning("%s It is assumed to be sent, because %s.", outcome, self._reason(rules))
            outcome = kept
        if kept is None and event in {Event.DEFERRED, Event.REJECTED}:
            # No recipient got it: the next try, if there is one, starts from the same state as this one.
            ledger.mark_unsent()
            ledger.save()
        else:
            # Also after a permanent error, the others do not have it: the next try, if there is one, is for them.
            ledger.settle(0, Event.DEFERRED if isinstance(outcome, DeliveryIncomplete) else event, result=kept)
        if isinstance(outcome, SmtpError):
            outcome.transient = event in {Event.DEFERRED, Event.RESEND}
            outcome.is_last = self._is_last
        return _returned(outcome)

    def _question(
        self, outcome: SendResult | SmtpError, kept: SendResult, recipients: Sequence[str], why: str
    ) -> AnswerNeeded:
        """Record that a person must decide; return the exception that asks."""
        from airflow_smtp_cm.task.delivery.result import Failure  # noqa: PLC0415 - only for a question
        from airflow_smtp_cm.task.question import AnswerNeeded, Uncertain  # noqa: PLC0415

        ledger, earlier = self._ledger, self._ledger.failure(0)
        failure = earlier or Failure(
            index=0,
            state=State.ASKED,
            message_id=kept.message_id,
            recipients=kept.uncertain,
            reason=why,
        )
        # Those who were deferred, too: the result for the answer is without them.
        unsent = len(missing(kept, recipients)) or getattr(outcome, "unsent", 0)
        ledger.settle(0, Event.ASK, result=kept, failure=failure, unsent=unsent)
        ledger.save_for_answer()
        message = Uncertain(kept.message_id, kept.uncertain, "", failure.reason)
        return AnswerNeeded([message], 1, ledger.transmitted_at)


def _why_uncertain(message_id: str, *, recorded: bool) -> str:
    return (
        f"An earlier try of this task ended while it was sending the message {message_id}, or could not record the "
        f"outcome (see its log). The message may have been delivered or not."
        if recorded
        else f"An earlier try of this task may have sent the message {message_id}. That was the last try that the "
        f"task's retries grant, which keeps no record; yet Airflow runs the task once more."
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
