"""The result of sending a message."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.shortening import listed
from airflow_smtp_cm.smtp.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

__all__ = ["Refusal", "SendResult"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused recipient, with the server's reply."""

    address: str
    reply: Reply

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """Return the object that ``as_json`` wrote."""
        return cls(written["address"], Reply(written["code"], (written["text"],)))

    def __str__(self) -> str:
        return f"{self.address}: {self.reply}"

    def as_json(self) -> dict[str, Any]:
        """Return the refusal as plain texts and numbers."""
        return {
            "address": self.address,
            "code": self.reply.code,
            "enhanced_code": self.reply.enhanced_code,
            "text": self.reply.text,
        }


def listed_refusals(refused: Iterable[Refusal], most: int | None = None) -> str:
    """Return refused recipients with their replies, each reply once, and with at most ``most`` names."""
    recipients: dict[str, list[str]] = {}
    for refusal in refused:
        recipients.setdefault(str(refusal.reply), []).append(refusal.address)
    return "; ".join(f"{listed(named, most or len(named))}: {reply}" for reply, named in recipients.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """The result of a message that the server accepted.

    A message with more recipients than the server accepts at once is sent in several transactions; it has one result.

    Attributes:
        message_id: the Message-ID, angle brackets included.
        accepted: the accepted recipients, in the order of the envelope.
        refused: the refused recipients.
        reply: the final reply, in which most servers report the queue id; the last one of several transactions. None
            if no final reply arrived: the message is assumed to be sent, or its delivery is uncertain.
        size: size of the content in bytes, before dot-stuffing; the same in each transaction. 0 if it is not known.
        seconds: time from the first command to the last final reply.
        uncertain: the recipients to whom the content was sent without a final reply; only in the result of an error.
    """

    message_id: str
    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    reply: Reply | None
    size: int
    seconds: float
    uncertain: tuple[str, ...] = ()

    @classmethod
    def without_reply(cls, message_id: str, recipients: tuple[str, ...], size: int = 0) -> Self:
        """Return the result of a message that was sent to these recipients without a final reply."""
        return cls(
            message_id=message_id, accepted=(), refused=(), reply=None, size=size, seconds=0, uncertain=recipients
        )

    def __str__(self) -> str:
        refused = listed_refusals(self.refused) or "nobody"
        return (
            f"{self.message_id}, {self.size} bytes, accepted for {', '.join(self.accepted)}, refused for {refused}, "
            f"in {self.seconds:.3f} s. " + (f"Reply of the server: {self.reply}" if self.reply else "No final reply.")
        )

    def followed_by(self, later: SendResult) -> SendResult:
        """Return the result of this and a later transaction of the same message."""
        return replace(
            later,
            accepted=tuple(dict.fromkeys(self.accepted + later.accepted)),
            refused=tuple({refusal.address: refusal for refusal in self.refused + later.refused}.values()),
            uncertain=tuple(dict.fromkeys(self.uncertain + later.uncertain)),
        )

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """Return the object that ``as_json`` wrote."""
        code, _, text = (written["reply"] or "").partition(" ")
        return cls(
            message_id=written["message_id"],
            accepted=tuple(written["accepted"]),
            refused=tuple(map(Refusal.from_json, written["refused"])),
            reply=Reply(int(code), (text,)) if code else None,
            size=written["size"],
            seconds=written["seconds"],
            uncertain=tuple(written.get("uncertain", ())),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain lists, texts and numbers, for XCom and logs."""
        return {
            "message_id": self.message_id,
            "accepted": list(self.accepted),
            "refused": [refusal.as_json() for refusal in self.refused],
            "reply": str(self.reply) if self.reply else None,
            "size": self.size,
            "seconds": round(self.seconds, 6),
            **({"uncertain": list(self.uncertain)} if self.uncertain else {}),
        }
