"""The result of a mail merge, over all tries, and the error if messages failed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.shortening import shorten
from airflow_smtp_cm.smtp.errors import SmtpError
from airflow_smtp_cm.task.delivery.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

# Failures of each kind in an error message; the log has all of them.
_NAMED = 5
# The parts of a failure that the record keeps.
_RECIPIENTS = 3
_REASON = 150  # characters

# The words of error messages for messages in these states.
_DESCRIPTIONS = {
    State.FAILED: "cannot be delivered",
    State.DEFERRED: "were deferred",
    State.UNCERTAIN: (
        "may have been delivered or not, and are not sent again (ask the recipients or the server's log)"
    ),
    State.ASKED: "may have been delivered or not, and a person will be asked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A message that a recipient does not have, or may not have.

    Attributes:
        index: its index in the list of messages, from 0.
        state: its state.
        message_id: its Message-ID, if it has one.
        recipients: those who do not have it; of many, the first few.
        reason: the beginning of the server's reply or of the error.
    """

    index: int
    state: State
    message_id: str | None
    recipients: tuple[str, ...]
    reason: str

    def shortened(self) -> Self:
        """Return it with fewer recipients and a shorter reason, for the record."""
        more = len(self.recipients) - _RECIPIENTS
        named = (*self.recipients[:_RECIPIENTS], f"{more} more") if more > 0 else self.recipients
        return replace(self, recipients=named, reason=shorten(self.reason, _REASON))

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """Return a failure from the value of ``as_json``."""
        given = {**written, "state": State[written["state"].upper()], "recipients": tuple(written["recipients"])}
        return cls(**given)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain lists, texts and numbers."""
        return {
            "index": self.index,
            "state": self.state.name.lower(),
            "message_id": self.message_id,
            "recipients": list(self.recipients),
            "reason": self.reason,
        }

    @property
    def name(self) -> str:
        """Which message it is, for error messages."""
        of = f"messages[{self.index}] {self.message_id or ''}".rstrip()
        return f"{of} to {', '.join(self.recipients)}" if self.recipients else of

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """The result of a mail merge.

    Attributes:
        messages: the number of messages.
        counts: the number of messages in each state.
        failures: those that failed, were deferred or are uncertain, in order; some dozens of each kind at most.
        seconds: the time that all tries took to send.
    """

    messages: int
    counts: Mapping[State, int]
    failures: tuple[Failure, ...]
    seconds: float

    @property
    def sent(self) -> int:
        """How many were sent or are assumed to be sent."""
        return self.counts[State.SENT] + self.counts[State.ASSUMED_SENT]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain lists, texts and numbers, for XCom."""
        return {
            "messages": self.messages,
            "sent": self.sent,
            "assumed_sent": self.counts[State.ASSUMED_SENT],
            "failed": self.counts[State.FAILED],
            "deferred": self.counts[State.DEFERRED],
            "uncertain": self.counts[State.UNCERTAIN] + self.counts[State.ASKED],
            "not_sent": self.counts[State.WAITING] + self.counts[State.SENDING],
            "failures": [failure.as_json() for failure in self.failures],
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        assumed = self.counts[State.ASSUMED_SENT]
        of_them = f" ({assumed:,} of them without a final reply)" if assumed else ""
        return f"{self.sent:,} of {self.messages:,} messages were sent{of_them}, in {self.seconds:,.1f} s."

    def failure_texts(self) -> Iterable[str]:
        """Yield a sentence for each kind of failure, with some of the messages concerned."""
        for state, description in _DESCRIPTIONS.items():
            named = [failure for failure in self.failures if failure.state is state][:_NAMED]
            count = self.counts[state]
            more = f"; and {count - len(named):,} more (see the log)" if count > len(named) else ""
            if count:
                yield f"{count:,} {description}: {_by_reason(named)}{more}."


def _by_reason(failures: Iterable[Failure]) -> str:
    """Return messages with the reasons of their failures, each reason once."""
    names: dict[str, list[str]] = {}
    for failure in failures:
        names.setdefault(failure.reason, []).append(failure.name)
    return "; ".join(f"{' and '.join(named)}: {reason}" for reason, named in names.items())


_RETRY = "A retry sends only the messages that may still be delivered."
_LAST_TRY = "No automatic retry follows. If the task is cleared, all messages are sent again, delivered or not."


class MessagesFailed(SmtpError):
    """Some of a task's messages have not been delivered, or may not have been.

    Attributes:
        result: the result for all messages.
    """

    def __init__(
        self,
        why: str | None,
        result: MergeResult,
        *,
        cause: SmtpError | None,
        transient: bool,
        is_last: bool,
        explanations: Iterable[str] = (),
    ) -> None:
        outlook = (_LAST_TRY if is_last else _RETRY) if transient else ""
        super().__init__(
            " ".join(filter(None, [why, str(result), *result.failure_texts(), *explanations, outlook])),
            phase=cause.phase if cause else None,
            reply=cause.reply if cause else None,
            transient=transient,
        )
        self.result = result
        self.is_last = is_last
