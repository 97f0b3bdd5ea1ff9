"""Many messages in one task: each neither lost nor sent twice, whatever becomes of the others and of the worker."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.smtp.errors import DeliveryUncertain, RecipientsRefused, SmtpError
from airflow_smtp_cm.smtp.result import SendResult
from airflow_smtp_cm.task.composition import check_connection
from airflow_smtp_cm.task.mail_merge.items import Items
from airflow_smtp_cm.task.mail_merge.ledger import KEY, Ledger, Outstanding
from airflow_smtp_cm.task.mail_merge.progress import Progress
from airflow_smtp_cm.task.mail_merge.result import Failure, MergeResult, MessagesFailed, State
from airflow_smtp_cm.task.state_store import TaskRecord, only_logged
from airflow_smtp_cm.task.write_ahead import Leaving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
    from airflow_smtp_cm.smtp.client import SmtpClient
    from airflow_smtp_cm.task.composition import MailFields
    from airflow_smtp_cm.task.state_store import OnUncertain

logger = logging.getLogger(__name__)

_IN_DOUBT = {"fail": State.IN_DOUBT, "resend": State.PUT_OFF, "assume_sent": State.ASSUMED_SENT}


class Merge:
    """The messages of one task instance, as this try finds them.

    Args:
        task: the task's own fields.
        items: for each message, the fields that take their place.
        context: the task's context.
        hook: the hook for the connection.
        durable: whether to go by a record of earlier tries, and to keep one for later tries.
        on_uncertain: what to do about messages that have left, or may have, and of which no reply came back.
        all_or_nothing: send a message to nobody if the server refuses anybody.

    Raises:
        InvalidMessage: the items are no list, or not those of an earlier try.
    """

    def __init__(
        self,
        task: MailFields,
        items: Any,
        context: Mapping[str, Any],
        hook: SmtpCmHook,
        *,
        durable: bool,
        on_uncertain: OnUncertain,
        all_or_nothing: bool,
    ) -> None:
        self._items = Items(task, items, context)
        self._ledger = Ledger(TaskRecord(context, KEY, durable=durable), len(self._items), self._items.digest)
        self._hook = hook
        self._if_in_doubt = _IN_DOUBT[on_uncertain]
        self._all_or_nothing = all_or_nothing
        self._taken: deque[tuple[int, Leaving]] = deque()  # by the conversation, which has not settled them yet
        self._next_place = 0
        self._delivered = False  # has anybody got anything in this try, or may have?
        self._put_off: SmtpError | None = None

    def send(
        self, *, messages_per_minute: float | None = None, max_messages_per_connection: int | None = None
    ) -> MergeResult:
        """Send the messages that are still to be sent.

        Args:
            messages_per_minute: no more than so many, evenly spaced.
            max_messages_per_connection: how many before another connection is opened.

        Returns:
            What became of them; everybody has got theirs.

        Raises:
            InvalidMessage: everything that is wrong with the connection or with messages; none was sent in this try.
            MessagesFailed: some have not been delivered; ``transient`` is whether another try will send those of
                them, and no others, that may pass.
            SmtpError: no session could be opened.
        """
        if left := self._ledger.left_before():
            self._judge_doubts(left)
        if pending := self._ledger.begin():
            check_connection(self._hook)  # what is wrong with it is wrong with each message
            self._items.check(pending, self._hook)
            with self._hook.get_conn() as client:
                # Before the goodbye, which takes time in which a worker may be killed.
                self._send_by(
                    client,
                    pending,
                    messages_per_minute=messages_per_minute,
                    max_messages_per_connection=max_messages_per_connection,
                )
        else:
            logger.info("Nothing is left to send.")
        return self._judged()

    def _judge_doubts(self, left: list[int]) -> None:
        """Do what is to be done about messages that were leaving when an earlier try ended."""
        check_connection(self._hook)
        for index in left:
            reason = "An earlier try ended before the server had confirmed it"
            self._settle(index, self._if_in_doubt, *self._items.name(index, self._hook), reason)

    def _send_by(self, client: SmtpClient, pending: list[int], **throttle: Any) -> None:
        """Send messages in this session, and what it does not take in others."""
        ledger = self._ledger
        progress = Progress(len(self._items) - len(pending), len(self._items))
        outcomes = client.send_all(self._leaving(pending), all_or_nothing=self._all_or_nothing, **throttle)
        try:
            with closing(outcomes):
                for outcome in outcomes:
                    self._conclude(outcome)
                    progress.one_more()
        except SmtpError as error:  # what has no outcome has not left
            ledger.take_back(0)
            self._record()
            if not self._delivered:
                raise
            transient = error.transient and ledger.is_kept
            raise MessagesFailed(str(error), ledger.result(), cause=error, transient=transient) from error
        except BaseException:
            ledger.take_back(self._next_place)
            self._record()
            raise
        self._record()

    def _leaving(self, pending: list[int]) -> Iterator[Leaving]:
        """Yield the messages, each made when it is asked for."""
        for place, index in enumerate(pending):
            try:
                message = self._items.compose(index, self._hook)
            except (InvalidMessage, OSError) as error:  # it was right a while ago
                state = State.FAILED if isinstance(error, InvalidMessage) else State.PUT_OFF
                self._settle(index, state, *self._items.name(index, self._hook), str(error))
                continue
            outstanding = self._ledger.outstanding.get(index)
            recipients = outstanding.recipients if outstanding else message.recipients
            leaving = Leaving(message, recipients, partial(self._leaves, place))
            self._taken.append((index, leaving))
            self._next_place = place + 1
            yield leaving

    def _leaves(self, place: int, _octets: int) -> None:
        self._ledger.leaves(place)

    def _conclude(self, outcome: SendResult | SmtpError) -> None:
        """Note what became of the message that was taken first."""
        index, message = self._taken.popleft()
        told = (message.message_id, message.recipients)
        earlier = self._ledger.outstanding.get(index)
        if isinstance(outcome, SendResult | DeliveryUncertain) or getattr(outcome, "result", None) is not None:
            self._delivered = True
        if isinstance(outcome, DeliveryUncertain):
            self._settle(index, self._if_in_doubt, *told, str(outcome), error=outcome)
        elif isinstance(outcome, RecipientsRefused) and (earlier or outcome.result):
            self._settle_partly(index, message.message_id, outcome, earlier.refused if earlier else {})
        elif isinstance(outcome, SmtpError):
            state = State.PUT_OFF if self._may_pass(outcome) else State.FAILED
            refused = _replies(outcome) if isinstance(outcome, RecipientsRefused) else {}
            self._settle(index, state, *told, _told(refused) or str(outcome), error=outcome)
        elif earlier and earlier.refused:
            self._settle(index, State.FAILED, message.message_id, tuple(earlier.refused), _told(earlier.refused))
        else:
            logger.debug("messages[%d] %s: %s", index, message.message_id, outcome.reply)
            self._ledger.settle(index)

    def _may_pass(self, error: SmtpError) -> bool:
        """Whether another try may get a message through that nobody has got."""
        some = isinstance(error, RecipientsRefused) and any(item.reply.transient for item in error.refused)
        return error.transient or (some and not self._all_or_nothing)

    def _settle_partly(
        self, index: int, message_id: str, error: RecipientsRefused, earlier: Mapping[str, str]
    ) -> None:
        """Note what became of a message that some have got, and others not."""
        refused = {**earlier, **_replies(error)}
        later = tuple(item.address for item in error.refused if item.reply.transient)
        outstanding = Outstanding(later, {who: reply for who, reply in refused.items() if who not in later})
        again = later and self._ledger.has_room_for_outstanding(index)
        self._settle(
            index,
            State.PUT_OFF if again else State.FAILED,
            message_id,
            tuple(refused),
            _told(refused),
            outstanding=outstanding if again else None,
            error=error,
        )

    def _settle(
        self,
        index: int,
        state: State,
        message_id: str | None,
        recipients: tuple[str, ...],
        reason: str,
        *,
        outstanding: Outstanding | None = None,
        error: SmtpError | None = None,
    ) -> None:
        """Note that not everybody has got a message for certain, and say so in the log."""
        failure = Failure(
            index=index, state=state, message_id=message_id, recipients=recipients, reason=reason.rstrip(".")
        )
        logger.warning("%s: %s.", state.name.capitalize().replace("_", " "), failure)
        self._ledger.settle(index, failure, outstanding)
        if state is State.PUT_OFF:
            self._put_off = self._put_off or error

    def _record(self) -> None:
        with only_logged("Should this task be tried again, that try will be in doubt about some messages."):
            self._ledger.write()

    def _judged(self) -> MergeResult:
        """Return what became of the messages, if everybody has got theirs."""
        result = self._ledger.result()
        if not any(result.troubles()):
            return result
        # Without a record, another try would send everything.
        harmless = self._ledger.is_kept or not self._delivered
        again = harmless and result.counts[State.PUT_OFF] > 0
        raise MessagesFailed(None, result, cause=self._put_off, transient=again)


def _replies(error: RecipientsRefused) -> dict[str, str]:
    return {item.address: str(item.reply) for item in error.refused}


def _told(refused: Mapping[str, str]) -> str:
    if len(refused) == 1:
        return next(iter(refused.values()))
    return "; ".join(f"{who}: {reply}" for who, reply in refused.items())
