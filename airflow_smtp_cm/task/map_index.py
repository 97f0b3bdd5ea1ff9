"""The label of a mapped task in Airflow's UI, which is shown instead of its index."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, Protocol

from airflow.providers.common.compat.sdk import redact

from airflow_smtp_cm.shortening import shorten
from airflow_smtp_cm.task.composition import shown_line

# Airflow's database stores at most 250 characters, and its UI shows fewer.
_LONGEST_RECIPIENTS = 60
_LONGEST_SUBJECT = 60


class LabelledFields(Protocol):
    """The fields of which a label is made; rendered templates may be of any type."""

    to: Any
    cc: Any
    subject: Any
    messages: Any


def label_of(fields: LabelledFields) -> str:
    """Return recipients and subject, each shortened, on one line, with secrets masked."""
    recipients = shown_line(fields.to or fields.cc)
    if isinstance(fields.messages, Sized):
        many = len(fields.messages)
        recipients = f"the recipients of {many:,} message{'' if many == 1 else 's'}"
    label = _short(recipients, _LONGEST_RECIPIENTS) or "hidden recipients"
    subject = _short("" if fields.subject is None else str(fields.subject), _LONGEST_SUBJECT)
    return f"{label}: {subject}" if subject else label


def _short(text: str, longest: int) -> str:
    # Masked first: a part of a secret would not be recognized.
    return shorten(" ".join(str(redact(text)).split()), longest)
