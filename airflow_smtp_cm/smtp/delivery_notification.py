"""The delivery reports that a client requests (DSN, RFC 3461)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from airflow_smtp_cm.smtp.errors import MessageError

__all__ = ["DeliveryNotification"]

Notify = Literal["SUCCESS", "FAILURE", "DELAY", "NEVER"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryNotification:
    """The delivery reports to request from the servers (DSN, RFC 3461).

    Attributes:
        notify: the events to report; ``NEVER`` cannot be combined with others.
        full: whether a report contains the whole message instead of its headers.
        envelope_id: an identifier of the message for reports; printable ASCII.
    """

    notify: tuple[Notify, ...] = ()
    full: bool = False
    envelope_id: str | None = None

    def __post_init__(self) -> None:
        if "NEVER" in self.notify and len(self.notify) > 1:
            raise MessageError("A delivery notification of NEVER cannot be combined with other events.")
        if self.envelope_id is not None and not (self.envelope_id.isascii() and self.envelope_id.isprintable()):
            raise MessageError("A delivery notification's envelope id must be printable ASCII.")
