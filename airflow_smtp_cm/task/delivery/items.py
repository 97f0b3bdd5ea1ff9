"""The messages of a mail merge: the fields of each item replace the task's own, unless they are None."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.characters.control import visible
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.problems import MAX_PROBLEMS, Problems
from airflow_smtp_cm.task.composition import FIELDS, OF_A_TEMPLATE, html_of, message_of, of_a_row, shown_line, text_of
from airflow_smtp_cm.task.message_id import message_id_of
from airflow_smtp_cm.task.message_source import read_message

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.task.composition import MailFields

logger = logging.getLogger(__name__)

# Texts from files and Variables that many messages share are read once.
_CACHED_TEXTS = 16


class Items:
    """The messages; each is composed when it is needed, so that only one of them is in memory.

    Args:
        task: the task's own fields.
        items: the rendered list of items.
        context: the task's context.

    Raises:
        InvalidMessage: it is not a list.
    """

    def __init__(self, task: MailFields, items: Any, context: Mapping[str, Any]) -> None:
        if not isinstance(items, Iterable) or isinstance(items, str | bytes | Mapping):
            advice = f" {OF_A_TEMPLATE}" if isinstance(items, str) else ""
            raise InvalidMessage(f"messages: It must be a list of mappings, not {type(items).__name__}.{advice}")
        self._own = {name: getattr(task, name) for name in FIELDS}
        self._items = list(items)  # the output of mapped tasks is a lazy sequence
        self._context = context
        self._read = lru_cache(_CACHED_TEXTS)(read_message)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def digest(self) -> str:
        """A hash of the recipients and their order, which must be the same in every try."""
        digest = hashlib.sha256()
        for item in self._items:
            digest.update(json.dumps(self._lines(item)).encode())
        return digest.hexdigest()

    def check(self, indexes: Collection[int], hook: SmtpCmHook) -> None:
        """Compose each of these messages, to find all problems before any is sent.

        Raises:
            InvalidMessage: all problems with them, but not many more than a hundred.
        """
        problems = Problems()
        checked = invalid = without_subject = 0
        for index in indexes:
            checked += 1
            message = problems.attempt(self.compose, index, hook)
            invalid += message is None
            without_subject += message is not None and not message.subject
            if problems.full:
                break
        if problems:
            unchecked = len(indexes) - checked
            rest = f"; the other {unchecked:,} were not checked" if unchecked else ""
            raise InvalidMessage(
                *problems[:MAX_PROBLEMS],
                f"Invalid messages: {invalid:,} of {checked:,}{rest}. No message was sent in this try.",
            )
        if without_subject:
            logger.warning("The subject of %s messages is empty.", f"{without_subject:,}")

    def compose(self, index: int, hook: SmtpCmHook) -> MailMessage:
        """Compose one of the messages.

        Raises:
            InvalidMessage: all problems with it.
        """
        try:
            return message_of(
                self._fields(self._items[index]),
                hook,
                lambda sender: message_id_of(self._context, sender, index),
                self._read,
                html_of,
            )
        except InvalidMessage as error:
            raise InvalidMessage(*(f"messages[{index}]: {problem}" for problem in error.problems)) from error

    def name(self, index: int, hook: SmtpCmHook) -> tuple[str | None, tuple[str, ...]]:
        """Return the Message-ID and the lines of recipients, without composing the message."""
        item = self._items[index]
        sender = text_of(self._merged(item)["from_email"]) or hook.connection_manager.from_email
        return message_id_of(self._context, sender, index), tuple(filter(None, self._lines(item)))

    def subject(self, index: int) -> str:
        """Return the subject of one of the messages, without composing the message."""
        return text_of(self._merged(self._items[index])["subject"])

    def _fields(self, item: Any) -> MailFields:
        if not isinstance(item, Mapping):
            raise InvalidMessage(f"It must be a mapping, not {type(item).__name__}.")
        if unknown := sorted(visible(str(name)) for name in item.keys() - set(FIELDS)):
            from airflow_smtp_cm.hooks.old_arguments import advice_on  # noqa: PLC0415 - only for an error

            problem = f"It has unknown keys: {', '.join(unknown)}. The fields are {', '.join(FIELDS)}."
            raise InvalidMessage(f"{problem} {advice_on(unknown)}".rstrip())
        return SimpleNamespace(**self._merged(of_a_row(item)))

    def _lines(self, item: Any) -> tuple[str, ...]:
        fields = self._merged(item) if isinstance(item, Mapping) else {}
        return tuple(shown_line(fields.get(name)) for name in ("to", "cc", "bcc"))

    def _merged(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Return the task's own fields with those of an item; None, as in a row of SQL, replaces nothing."""
        return self._own | {name: value for name, value in item.items() if value is not None}
