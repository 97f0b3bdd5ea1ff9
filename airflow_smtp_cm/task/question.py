"""The question whether messages were delivered, which a person answers, and the answer (``on_uncertain="ask"``).

Airflow shows it under *Required Actions*, and in mail (``ask_notifier``): subject and body, one button for each
option, and for several messages a list from which some can be chosen. The body is Markdown. Texts that come from
messages and servers are code spans, in which nothing is markup; not code blocks, whose lines Airflow's page shows as
one. Secrets are masked.
"""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import redact

from airflow_smtp_cm.characters.control import visible
from airflow_smtp_cm.shortening import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_smtp_cm.task.state_store import OnUncertain

CHOSEN = "send_again"
"""The name of the list of messages to send again, among the params of the question."""

SEND_CHOSEN = "Send the selected again"
"""The option for those messages; the others count as sent."""

_OF_ONE: Mapping[str, OnUncertain] = {"Send it again": "resend", "Count it as sent": "assume_sent", "Fail": "fail"}
_OF_MANY: Mapping[str, OnUncertain | None] = {
    "Send all again": "resend",
    SEND_CHOSEN: None,
    "Count all as sent": "assume_sent",
    "Fail": "fail",
}
# Airflow keeps the options of a task's first question, so an answer may be one of either kind.
_CHOICES: Mapping[str, OnUncertain | None] = {**_OF_ONE, **_OF_MANY}

_TITLE = "Messages to send again"  # of the list
_NAMED = 10  # recipients of a message
_LISTED = 50  # messages in the body
_LONGEST = 300  # characters of a text that is quoted

_EXPLANATIONS = {
    "Send it again": "if the server does not have the message. Its Message-ID stays the same.",
    "Count it as sent": "if the server has it. The task goes on without it.",
    "Send all again": "if the server has none of them. The Message-IDs stay the same.",
    SEND_CHOSEN: f"those in the list *{_TITLE}* below. All others count as sent.",
    "Count all as sent": "if the server has all of them.",
    "Fail": "nothing is sent again, and the task fails.",
}


class Uncertain(NamedTuple):
    """A message that may have been delivered or not.

    Attributes:
        message_id: its Message-ID.
        recipients: the recipients who may have it or not.
        subject: its subject.
        reason: how it became uncertain.
        number: its index in ``messages``; None if the task has only one.
    """

    message_id: str | None
    recipients: tuple[str, ...]
    subject: str
    reason: str
    number: int | None = None

    @property
    def name(self) -> str:
        """What identifies it in an answer."""
        return " ".join(filter(None, [None if self.number is None else f"messages[{self.number}]", self.message_id]))

    @property
    def label(self) -> str:
        """What a person sees of it in a list."""
        return _shown(f"{self.number}: {listed(self.recipients, 3)}: {self.subject}")


class AnswerNeeded(Exception):
    """A person must say whether messages were delivered; everything else is sent, and recorded.

    Attributes:
        messages: those that may have been delivered or not.
        of: the number of all messages of the task.
        transmitted_at: about when they were transmitted, in seconds since 1970; None if this is not known.
    """

    def __init__(self, messages: Sequence[Uncertain], of: int, transmitted_at: float | None) -> None:
        super().__init__(f"Delivery of {len(messages):,} of {of:,} messages is uncertain.")
        self.messages = tuple(messages)
        self.of = of
        self.transmitted_at = transmitted_at


class Question(NamedTuple):
    """A question, as Airflow shows it; a notifier finds it in its context as ``question``.

    Attributes:
        messages: the messages that may have been delivered or not.
        of: the number of all messages of the task.
        server: name and port of the server.
        transmitted_at: about when they were transmitted, in seconds since 1970; None if this is not known.
        timeout: how long it may remain without an answer; None means forever.
        default: the answer after that time, as ``on_uncertain``.
        asked_at: when it is asked.
    """

    messages: tuple[Uncertain, ...]
    of: int
    server: str
    transmitted_at: float | None
    timeout: timedelta | None
    default: OnUncertain
    asked_at: datetime

    @property
    def options(self) -> list[str]:
        """The possible answers."""
        return list(_OF_ONE if len(self.messages) == 1 else _OF_MANY)

    @property
    def defaults(self) -> list[str] | None:
        """The answer that Airflow gives after the timeout."""
        if self.timeout is None:
            return None
        return [option for option in self.options if _CHOICES[option] == self.default]

    @property
    def answer_by(self) -> datetime | None:
        """When Airflow gives the default answer."""
        return None if self.timeout is None else self.asked_at + self.timeout

    @property
    def subject(self) -> str:
        """The question in one line."""
        if len(self.messages) == 1:
            return f"Was this message delivered? {_shown(self.messages[0].subject)}".strip()
        return f"Were these {len(self.messages):,} of {self.of:,} messages delivered?"

    @property
    def params(self) -> dict[str, Any]:
        """The list of messages from which those to send again are chosen, in Airflow's format of a Param."""
        if len(self.messages) == 1:
            return {}
        schema = {
            "type": ["null", "array"],
            "items": {"type": "string"},
            "examples": [message.name for message in self.messages],
            "values_display": {message.name: message.label for message in self.messages},
            "title": _TITLE,
        }
        description = f"The messages to send again, for the answer “{SEND_CHOSEN}”. All others count as sent."
        return {CHOSEN: {"value": [], "description": description, "schema": schema}}

    @property
    def body(self) -> str:
        """What is known, what to look for in the server's log, and what the options mean."""
        return "\n\n".join([*self._facts(), *self._search(), *self._meanings()]) + "\n"

    def _facts(self) -> Iterable[str]:
        messages, one = self.messages, len(self.messages) == 1
        yield (
            f"The content of {'this message' if one else 'these messages'} was transmitted, or may have been, and no "
            f"final reply of the server arrived. Only the server's log, or the recipients, can tell whether it has "
            f"{'the message' if one else 'the messages'}."
        )
        first = messages[0]
        facts: dict[str, str] = {}
        if one:
            facts |= {"Subject": first.subject, "Message-ID": first.message_id or "not known"}
            facts["Recipients"] = listed(first.recipients, _NAMED)
        facts["Server"] = self.server
        if self.transmitted_at is not None:
            moment = datetime.fromtimestamp(self.transmitted_at, UTC)
            facts["Time"] = f"{'' if one else 'about '}{_formatted(moment)}"
        facts["Reason"] = "; ".join(dict.fromkeys(message.reason for message in messages))
        yield "\n".join(f"- {name}: {_code(_shown(fact))}" for name, fact in facts.items())
        if not one:
            yield "\n".join(f"- {_code(message.name)} {_code(message.label)}" for message in messages[:_LISTED])
        if len(messages) > _LISTED:
            yield f"And {len(messages) - _LISTED:,} more; the task's log has all."

    def _search(self) -> Iterable[str]:
        first = self.messages[0]
        if first.message_id is None:
            return
        message_id, each = visible(first.message_id), "" if len(self.messages) == 1 else ", for each message"
        quoted = message_id.replace("'", "''")
        yield f"**In Exchange's log{each}:** the server has the message if there is an event `RECEIVE`."
        yield _code(f"Get-MessageTrackingLog -MessageId '{quoted}' | Format-List Timestamp, EventId, Recipients")
        yield (
            f"**In Postfix's log{each}:** the line that is found has the queue ID before `message-id`. The server "
            f"has the message if the log also has a line with this ID and `queue active`."
        )
        yield _code(f"grep -F {shlex.quote(f'message-id={message_id}')} /var/log/mail.log")

    def _meanings(self) -> Iterable[str]:
        yield "\n".join(f"- **{option}**: {_EXPLANATIONS[option]}" for option in self.options)
        if self.defaults and (moment := self.answer_by) is not None:
            yield f"Without an answer until {_formatted(moment)}, it is **{self.defaults[0]}**."
        yield (
            "If delivery becomes uncertain once more after an answer, Airflow shows this same text again; the task's "
            "log names the messages, with the new time and reason."
        )


class Answer(NamedTuple):
    """The answer to a question.

    Attributes:
        option: the option that was chosen.
        chosen: the names of the messages to send again, for ``SEND_CHOSEN``.
        by: the name of the user; None if nobody answered in time.
        at: when it was given, in ISO 8601; None if this is not known.
    """

    option: str
    chosen: tuple[str, ...]
    by: str | None
    at: str | None

    @classmethod
    def of(cls, event: Mapping[str, Any], default: OnUncertain) -> Answer:
        """Return the answer in the event with which Airflow resumes the task.

        Args:
            event: the event; it has no options if the time is over and the question had no default.
            default: the answer if the event has none.
        """
        options = event.get("chosen_options") or [next(name for name, is_ in _OF_ONE.items() if is_ == default)]
        user, at = event.get("responded_by_user"), event.get("responded_at")
        name = (user["name"] or user["id"]) if user else None
        chosen = (event.get("params_input") or {}).get(CHOSEN) or []
        # Airflow's API accepts any value.
        names = tuple(map(str, chosen if isinstance(chosen, list) else [chosen]))
        return cls(options[0], names, name, at.isoformat() if at is not None else None)

    def decides(self, names: Iterable[str]) -> bool:
        """Return whether it decides about messages with these names.

        It does not if it is for chosen messages, and none is chosen, or one that is not among them: a person who
        chose it did not decide that all others count as sent.
        """
        return self.option != SEND_CHOSEN or (bool(self.chosen) and set(self.chosen).issubset(names))

    def for_message(self, name: str) -> OnUncertain:
        """Return what happens to a message, as ``on_uncertain``."""
        choice = _CHOICES.get(self.option, "fail")
        return choice or ("resend" if name in self.chosen else "assume_sent")

    def as_json(self) -> dict[str, Any]:
        """Return it as plain texts, for the result."""
        return {"answer": self.option, "by": self.by, "at": self.at}

    def __str__(self) -> str:
        if self.by is None:
            return f"Nobody answered in time: “{self.option}”"
        of = f" ({len(self.chosen):,} selected)" if self.option == SEND_CHOSEN else ""
        return f"{self.by} answered “{self.option}”{of}"


def _shown(text: str) -> str:
    """Return a text on one line, with secrets masked."""
    return visible(" ".join(str(redact(text)).split()), _LONGEST)


def _code(text: str) -> str:
    """Return a text of one line as a code span, in which nothing is markup (CommonMark, section 6.1)."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}"


def _formatted(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
