"""A task's message over all tries of the task: neither lost nor sent twice.

Airflow 3.3 and newer keep a record for each task instance (the task state store). It is written right before the
content leaves and after the final reply, and says to the next try what the one before it did. Where there is no such
store, a try knows nothing of those before it; the message has the same Message-ID in all of them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.smtp.errors import DeliveryUncertain, Phase, RecipientsRefused, SmtpError
from airflow_smtp_cm.smtp.result import SendResult
from airflow_smtp_cm.task.state_store import TaskRecord, only_logged
from airflow_smtp_cm.task.write_ahead import Leaving

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.smtp.client import SmtpClient
    from airflow_smtp_cm.smtp.result import Refusal
    from airflow_smtp_cm.task.state_store import OnUncertain

logger = logging.getLogger(__name__)

KEY = "airflow_smtp_cm.delivery"
"""The record's key in the task state store."""


class _State(StrEnum):
    SENDING = "sending"
    SENT = "sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What the tries so far did.

    Attributes:
        state: whether the server has got the whole message, or nobody knows that.
        message_id: the Message-ID.
        digest: what the message was.
        recipients: whom the last of these tries was for.
        size: octets of its content.
        result: what is certain.
    """

    state: _State
    message_id: str
    digest: str
    recipients: tuple[str, ...]
    size: int
    result: SendResult | None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **stored,
                "state": _State(stored["state"]),
                "recipients": tuple(stored["recipients"]),
                "result": SendResult.from_json(stored["result"]) if stored["result"] else None,
            }
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "state": self.state.value,
            "message_id": self.message_id,
            "digest": self.digest,
            "recipients": list(self.recipients),
            "size": self.size,
            "result": self.result.as_json() if self.result else None,
        }


class Delivery:
    """The message of one task instance, as this try finds it.

    Args:
        context: the task's context.
        durable: whether to go by a record of earlier tries, and to keep one for later tries.
        on_uncertain: what to do if the whole message has left, or may have, and no reply came back.
        all_or_nothing: send to nobody if the server refuses anybody.
    """

    def __init__(
        self, context: Mapping[str, Any], *, durable: bool, on_uncertain: OnUncertain, all_or_nothing: bool
    ) -> None:
        self._kept = TaskRecord(context, KEY, durable=durable)
        self._on_uncertain = on_uncertain
        self._all_or_nothing = all_or_nothing
        stored = self._kept.read()
        self._record = _Record.from_json(stored) if stored else None

    def earlier_result(self) -> SendResult | None:
        """Return what became of the message, if earlier tries left nothing to do; else None.

        Raises:
            DeliveryUncertain: an earlier try ended while it was sending, and that is for a person to judge.
            RecipientsRefused: earlier tries delivered it to some recipients, and the others were refused for good.
        """
        record = self._record
        if record is None:
            return None
        if record.state is _State.SENDING:
            if self._on_uncertain == "resend":
                logger.warning("An earlier try may have sent %s. It is sent again, as asked for.", record.message_id)
                return None
            return self._uncertain(
                DeliveryUncertain(
                    f"An earlier try of this task ended while it was sending the message {record.message_id}, which "
                    f"may have been delivered or not. It is not sent again. Ask the recipients, or look for this "
                    f"Message-ID in the server's log; then clear the task to send the message again, or mark it as "
                    f"success.",
                    phase=Phase.FINAL,
                    transient=False,
                )
            )
        if record.result is None or self._is_worth_another_try(record.result.refused):
            return None
        logger.info("An earlier try has sent the message %s. Nothing is sent again.", record.message_id)
        return self._judged(record.result)

    def send(self, hook: SmtpCmHook, message: MailMessage) -> SendResult:
        """Send the message to all who do not have it.

        Raises:
            InvalidMessage: the safety settings do not let it pass.
            RecipientsRefused: recipients were refused; ``result`` has what all tries achieved, and ``transient`` is
                whether another try will send it to those of them whom the server may accept later.
            DeliveryUncertain: the whole message has left, and no reply came back.
            SmtpError: it was not delivered to anybody.
        """
        message = hook.safety.applied_to(message)
        before = self._record
        earlier = before.result if before else None
        settled = {*earlier.accepted, *(refusal.address for refusal in _for_good(earlier.refused))} if earlier else ()
        record = _Record(
            state=_State.SENDING,
            message_id=message.message_id,
            digest=_digest(message),
            recipients=tuple(address for address in message.recipients if address not in settled),
            size=0,
            result=earlier,
        )
        if earlier and not record.recipients:
            return self._settle(record, _together(earlier, None, ()))
        if before and before.digest != record.digest:
            logger.warning(
                "The message is not the same as in an earlier try. Whoever has that one does not get this."
            )
        outgoing = Leaving(message, record.recipients, lambda size: self._keep(replace(record, size=size)))
        with hook.get_conn() as client:
            # Before the goodbye, which takes time in which a worker may be killed.
            return self._sent_by(client, outgoing, record)

    def _sent_by(self, client: SmtpClient, outgoing: Leaving, record: _Record) -> SendResult:
        """Send it in this session, and record what came of it."""
        before = self._record
        earlier = record.result
        try:
            result = _together(earlier, client.send(outgoing, all_or_nothing=self._all_or_nothing), ())
        except DeliveryUncertain as error:
            return self._uncertain(error)
        except RecipientsRefused as error:
            if earlier is None and error.result is None:
                error.transient = error.transient or self._is_worth_another_try(error.refused)
                self._put_back(before)
                raise
            result = _together(earlier, error.result, error.refused)
        except SmtpError:
            self._put_back(before)
            raise
        return self._settle(self._record or record, result)

    def _uncertain(self, error: DeliveryUncertain) -> SendResult:
        """Do what is to be done if nobody knows what became of the recorded message."""
        record = self._record
        if record is None or self._on_uncertain == "fail":
            raise error
        if self._on_uncertain == "resend":
            error.transient = True
            raise error
        logger.warning("%s It is assumed to be sent, as asked for.", error)
        assumed = SendResult(
            message_id=record.message_id,
            accepted=record.recipients,
            refused=(),
            reply=None,
            size=record.size,
            seconds=0,
        )
        return self._settle(record, _together(record.result, assumed, ()))

    def _settle(self, record: _Record, result: SendResult) -> SendResult:
        """Record what is certain now, and return it."""
        with only_logged("It was sent; should this task be tried again all the same, that try will be in doubt."):
            self._keep(replace(record, state=_State.SENT, result=result))
        return self._judged(result)

    def _judged(self, result: SendResult) -> SendResult:
        """Return the result if everybody has the message."""
        if not result.refused:
            return result
        again = self._is_worth_another_try(result.refused)
        had = f"The message {result.message_id} was delivered to the other {len(result.accepted)}."
        error = RecipientsRefused(
            f"The server refused {len(result.refused)} of {len(result.accepted) + len(result.refused)} recipients: "
            f"{'; '.join(map(str, result.refused))}. {had}"
            + (" Another try of this task sends it to no one but those who may be accepted later." if again else ""),
            refused=result.refused,
            result=result,
        )
        error.transient = again
        raise error

    def _is_worth_another_try(self, refused: tuple[Refusal, ...]) -> bool:
        # Without a record, another try would send to everybody.
        return self._kept.is_kept and not self._all_or_nothing and len(_for_good(refused)) < len(refused)

    def _keep(self, record: _Record) -> None:
        self._kept.write(record.as_json())
        self._record = record

    def _put_back(self, record: _Record | None) -> None:
        """Undo what was recorded in this try: nobody got anything."""
        if self._record is record:
            return
        with only_logged("It was not sent, but the next try of this task will be in doubt."):
            if record is not None:
                self._keep(record)
            else:
                self._kept.delete()
        self._record = record


def _for_good(refused: tuple[Refusal, ...]) -> tuple[Refusal, ...]:
    return tuple(refusal for refusal in refused if not refusal.reply.transient)


def _together(earlier: SendResult | None, now: SendResult | None, refused: tuple[Refusal, ...]) -> SendResult:
    """Add up what earlier tries and this one achieved, at least one of which achieved something."""
    result = now or earlier
    assert result is not None  # noqa: S101 - as the docstring says
    if earlier is None:
        return result
    accepted = (*earlier.accepted, *(now.accepted if now else ()))
    return replace(result, accepted=accepted, refused=(*_for_good(earlier.refused), *refused))


def _digest(message: MailMessage) -> str:
    """Return what tells whether two tries make the same message; the date is not part of it."""
    lines = (message.from_email, *message.to, None, *message.cc, None, *message.bcc, None, *message.reply_to)
    parts = (
        [str(line) for line in lines],
        [message.subject, message.text, message.html, message.priority, dict(message.headers)],
        [(attachment.name, attachment.size) for attachment in message.attachments],
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
