"""Builds a message from the rendered fields of a task or notifier, and collects all problems with them.

With ``render_template_as_native_obj`` a template may be rendered as a number, a list or None instead of text.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_smtp_cm.mail.control_characters import visible
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.problems import Problems
from airflow_smtp_cm.task.message_id import message_id_of
from airflow_smtp_cm.task.message_source import MessageSourceType, locate_attachments, read_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_smtp_cm.connection_manager import SmtpConnectionManager
    from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook

logger = logging.getLogger(__name__)

# Replaces a missing sender, so that the other problems with the message are found, too.
_PLACEHOLDER_SENDER = "nobody@sender.invalid"


class MailFields(Protocol):
    """The fields of a message, of SendMailOperator and SendMailNotifier; rendered templates may be of any type."""

    from_email: Any
    to: Any
    cc: Any
    bcc: Any
    subject: Any
    priority: Any
    message_source_type: Any
    message_source: Any
    html_content: Any
    attachments: Any
    reply_to: Any
    headers: Any


FIELDS = tuple(MailFields.__annotations__)
"""The names of these fields."""


def compose(fields: MailFields, hook: SmtpCmHook, context: Mapping[str, Any]) -> MailMessage:
    """Return the message made of the rendered fields; log a warning if its subject is empty.

    Raises:
        InvalidMessage: all problems with the message, the connection and the safety settings.
    """
    if not text_of(fields.subject):
        logger.warning("The subject is empty.")  # SSIS's text (0x800291C6)
    return message_of(fields, hook, lambda sender: message_id_of(context, sender))


def message_of(
    fields: MailFields,
    hook: SmtpCmHook,
    message_id: Callable[[str], str | None],
    read: Callable[[MessageSourceType, str], str] = read_message,
) -> MailMessage:
    """Return the message made of the rendered fields, as ``compose`` does, without the warning.

    Args:
        fields: the rendered fields.
        hook: the hook for the connection.
        message_id: returns the Message-ID for a sender; if it returns None, the message gets a new one.
        read: returns the text of the body; see ``read_message``.

    Raises:
        InvalidMessage: see ``compose``.
    """
    problems = Problems()
    attempt = problems.attempt
    manager = attempt(_connection_manager_of, hook, field="smtp_conn_id")
    sender = text_of(fields.from_email) or (manager.from_email if manager else _PLACEHOLDER_SENDER)
    if not sender:
        problems.append(
            f'from_email: No sender is set in the task, in the connection "{hook.smtp_conn_id}" or in [smtp_cm] '
            f"default_from."
        )
    kind = attempt(MessageSourceType, fields.message_source_type, field="message_source_type")
    text = attempt(read, kind, text_of(fields.message_source), field="message_source") if kind else None
    attachments = attempt(locate_attachments, fields.attachments, field="attachments")
    headers = attempt(_headers_of, fields.headers, field="headers")
    message = attempt(
        lambda: MailMessage(
            from_email=sender or _PLACEHOLDER_SENDER,
            to=lines_of(fields.to),
            cc=lines_of(fields.cc),
            bcc=lines_of(fields.bcc),
            reply_to=lines_of(fields.reply_to),
            subject=text_of(fields.subject),
            text=text,
            html=text_of(fields.html_content),
            priority=fields.priority,
            attachments=attachments,
            headers=headers,
            message_id=message_id(sender or _PLACEHOLDER_SENDER),
        )
    )
    permitted = attempt(lambda: hook.safety.permitted(message)) if message else None
    if permitted is None or problems:
        raise InvalidMessage(*problems)
    return permitted


def check_connection(hook: SmtpCmHook) -> None:
    """Look up the connection and validate it.

    Raises:
        InvalidMessage: all problems with it.
    """
    problems = Problems()
    problems.attempt(_connection_manager_of, hook, field="smtp_conn_id")
    problems.raise_as(InvalidMessage)


def _connection_manager_of(hook: SmtpCmHook) -> SmtpConnectionManager:
    try:
        return hook.connection_manager
    except AirflowNotFoundException as error:
        raise InvalidMessage(str(error)) from error


def text_of(value: Any) -> str:
    """Return a field as text; None is empty text."""
    return "" if value is None else str(value)


def truth_of(value: Any) -> bool:
    """Return whether a field is true; a template may have been rendered as a boolean or as text.

    Raises:
        InvalidMessage: it is neither true nor false.
    """
    match text_of(value).strip().lower():
        case "true":
            return True
        case "false":
            return False
    raise InvalidMessage(f'"{visible(text_of(value))}" is neither True nor False.')


def lines_of(value: Any) -> str | list[str]:
    """Return a field of addresses as one line or several; any other value becomes text that is not an address."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return [str(line) for line in value]
    return text_of(value)


def _headers_of(value: Any) -> dict[str, str]:
    """Return headers with text values.

    Raises:
        InvalidMessage: they are not a mapping.
    """
    if not value:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidMessage(f'It must be a mapping such as {{"X-Report": "sales"}}, not {type(value).__name__}.')
    return {str(name): text_of(text) for name, text in value.items()}
