"""Reads the mail of notifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_smtp_cm.testing import ReceivedMessage


def facts_of(received: ReceivedMessage) -> dict[str, str]:
    """Return the facts in a mail with the default text, by name."""
    body = received.message.get_body(("plain",))
    assert body is not None
    return dict(line.split(": ", 1) for line in body.get_content().splitlines())
