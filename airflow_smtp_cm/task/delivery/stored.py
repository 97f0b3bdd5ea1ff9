"""The record in Airflow's task state store: its contents, their form, and what is known of it after an error."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.smtp.errors import DeliveryUncertain
from airflow_smtp_cm.smtp.result import SendResult
from airflow_smtp_cm.task.delivery.states import OPEN, State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from airflow_smtp_cm.task.delivery.result import Failure
    from airflow_smtp_cm.task.state_store import TaskRecord

# The words of the log for known outcomes.
_OUTCOMES = {
    State.WAITING: "not sent",
    State.SENT: "sent",
    State.ASSUMED_SENT: "assumed to be sent",
    State.DEFERRED: "not accepted for all recipients",
    State.FAILED: "rejected",
}


class Transmission(NamedTuple):
    """The transmission of a message to some recipients, without a final reply yet.

    Attributes:
        result: the result if there is none; its recipients are uncertain.
        unsent: the number of the message's recipients to whom it was not sent yet.
    """

    result: SendResult
    unsent: int

    def error(self, message: str) -> DeliveryUncertain:
        """Return the error if no final reply arrived."""
        return DeliveryUncertain(message, result=self.result, unsent=self.unsent)

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """Return the object that ``as_json`` wrote."""
        return cls(SendResult.from_json(written["result"]), written["unsent"])

    def as_json(self) -> dict[str, Any]:
        """Return it as plain lists, texts and numbers."""
        return {"result": self.result.as_json(), "unsent": self.unsent}


class Contents:
    """The contents of a record; messages are named by their indexes.

    Args:
        digest: a hash of what must be the same in every try.
        states: the state of each message.
        failures: descriptions of messages that a recipient does not have, or may not have; not of all.
        results: see ``Ledger``.
        transmissions: see ``Ledger``.
        answers: see ``Ledger``.
        transmitted_at: see ``Ledger``.
        seconds: the time that all tries took so far.
    """

    # Not a named tuple: to define one of this size takes each task some tenths of a millisecond.
    def __init__(
        self,
        *,
        digest: str | None,
        states: bytes,
        failures: dict[int, Failure],
        results: dict[int, SendResult],
        transmissions: dict[int, Transmission],
        answers: list[dict[str, Any]],
        transmitted_at: float | None,
        seconds: float,
    ) -> None:
        self.digest = digest
        self.states = states
        self.failures = failures
        self.results = results
        self.transmissions = transmissions
        self.answers = answers
        self.transmitted_at = transmitted_at
        self.seconds = seconds

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """Return the object that ``as_json`` wrote."""
        from airflow_smtp_cm.task.delivery.result import Failure  # noqa: PLC0415 - only in a retry

        details = json.loads(_unpacked(written["details"]))
        return cls(
            digest=written["digest"],
            states=_unpacked(written["states"]),
            failures={item["index"]: Failure.from_json(item) for item in details["failures"]},
            results={index: SendResult.from_json(item) for index, item in details["results"]},
            transmissions={index: Transmission.from_json(item) for index, item in details["transmissions"]},
            answers=details.get("answers", []),  # records of earlier versions have neither
            transmitted_at=details.get("transmitted_at"),
            seconds=details["seconds"],
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as texts; the states of a hundred thousand messages are small only if they are compressed."""
        details = {
            "failures": [failure.as_json() for failure in self.failures.values()],
            "results": [[index, result.as_json()] for index, result in self.results.items()],
            "transmissions": [[index, item.as_json()] for index, item in self.transmissions.items()],
            "seconds": round(self.seconds, 3),
            "answers": self.answers,
            "transmitted_at": self.transmitted_at,
        }
        return {
            "digest": self.digest,
            "states": _packed(self.states),
            "details": _packed(json.dumps(details).encode()),
        }


def read(record: TaskRecord, messages: int, digest: str | None) -> Contents:
    """Return what earlier tries recorded.

    Args:
        record: where it is stored.
        messages: the number of messages.
        digest: a hash of what must be the same in every try; None if there is no such check.

    Raises:
        InvalidMessage: the messages are not those of an earlier try.
        RecordError: it cannot be read.
        DeliveryUncertain: the task resumes with an answer, and its record was deleted.
    """
    if stored := record.read():
        contents = Contents.from_json(stored)
        if len(contents.states) != messages or digest not in {None, contents.digest}:
            raise InvalidMessage(
                f"messages: They are not those of an earlier try of this task: the number (then "
                f"{len(contents.states):,}), a recipient or the order has changed. Nothing more is sent. Make the "
                f"list the same in every try, or clear the task to send all messages."
            )
        return contents
    if record.is_resumed:
        raise DeliveryUncertain(
            "The question was answered, but the task's record is no longer in Airflow's task state store. It was "
            "deleted. Nothing is sent, because it is not known what was sent. Ask the recipients, or search the "
            "server's log; then clear the task to send everything again, or mark it as success."
        )
    return Contents(
        digest=digest,
        states=bytes(messages),
        failures={},
        results={},
        transmissions={},
        answers=[],
        transmitted_at=None,
        seconds=0,
    )


class Writer:
    """Writes the record, and knows what a retry may find in it.

    Args:
        record: where it is stored.
        states: the states that a retry would find in it now.

    Attributes:
        error: of the first write that Airflow has not confirmed; that write may still arrive.
    """

    def __init__(self, record: TaskRecord, states: bytes) -> None:
        self.error: Exception | None = None
        self._record = record
        self._written = states  # what the store has
        self._unconfirmed: list[bytes] = []  # what it may have, from writes that failed

    def write(self, contents: Contents, *, for_answer: bool = False) -> None:
        """Replace the record, in the tries that write it; ``for_answer``: see ``TaskRecord.write``."""
        if not self._record.is_written:
            return
        try:
            self._record.write(contents.as_json(), for_answer=for_answer)
        except Exception as error:
            self.error = self.error or error
            self._unconfirmed.append(contents.states)
            raise
        self._written = contents.states

    def has_open(self, asked: list[int]) -> bool:
        """Return whether an answer is applied to just these messages, whichever of the writes arrived."""
        return all(_open_in(states) == asked for states in (self._written, *self._unconfirmed))

    def unknown_to_a_retry(self, states: bytes) -> str:
        """Return the outcomes of messages that are SENDING in the store, or may be; empty if there are none."""
        known: dict[str, list[str]] = {}
        for index, state in enumerate(states):
            in_store = (written[index] for written in (self._written, *self._unconfirmed))
            if state in _OUTCOMES and State.SENDING in in_store:
                name = f"messages[{index}]" if len(states) > 1 else "the message"
                known.setdefault(_OUTCOMES[State(state)], []).append(name)
        outcomes = "; ".join(f"{outcome}: {', '.join(names)}" for outcome, names in known.items())
        return f"A retry may treat as uncertain what is known now ({outcomes})." if known else ""


def _open_in(states: bytes) -> list[int]:
    """Return the indexes of messages to which an answer is applied by a process that reads these states."""
    return [index for index, state in enumerate(states) if state in OPEN]


def _packed(content: bytes) -> str:
    return b64encode(zlib.compress(content)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(b64decode(text))
