"""Builds a message from the rendered fields of a task or notifier, and collects all problems with them.

With ``render_template_as_native_obj`` a template may be rendered as a number, a list or None instead of text. None,
which a mapped task also gets from a row of SQL, means the default of an argument, as if it were not given.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_smtp_cm.characters.control import on_one_line, visible
from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.mail.addresses import parse_line, parse_sender
from airflow_smtp_cm.mail.attachments import expand
from airflow_smtp_cm.mail.errors import InvalidMessage, NotFound
from airflow_smtp_cm.mail.house_style import HouseStyle
from airflow_smtp_cm.mail.message import MailMessage, Priority
from airflow_smtp_cm.problems import Problems, read_each
from airflow_smtp_cm.task.message_id import message_id_of
from airflow_smtp_cm.task.message_source import MessageSourceType, locate_attachments, read_message
from airflow_smtp_cm.task.template_files import is_html_file, unrendered_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_smtp_cm.connection_manager import SmtpConnectionManager
    from airflow_smtp_cm.mail.attachments import Attachment

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Replaces addresses that cannot be read, so that the other problems with the message are found, too.
_PLACEHOLDER = "nobody@placeholder.invalid"

_BYTES = (bytes, bytearray, memoryview)
# What missing values of floats, decimals and pandas become as text.
_MISSING = r"(?i:[+-]?s?nan|nat|<na>)"
# The text of a list or another collection: ['a@x', 'b@x'], [PosixPath('/a')], {'X-A': 'b'}, [].
_TEXT_OF_A_LIST = re.compile(r"""\s*[\[({]\s*(?:(?:['"\[({]|\w+\().*)?[\])}]\s*""", re.DOTALL)

OF_A_TEMPLATE = (
    "A template returns text. Pass the output of the task itself (XComArg), or set "
    "render_template_as_native_obj=True in the DAG."
)
"""What to do about a list or mapping that a template turned into text."""


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
    text_part: Any
    embed_images: Any
    attachments: Any
    reply_to: Any
    headers: Any
    house_style: Any


FIELDS = tuple(MailFields.__annotations__)
"""The names of these fields."""

_TEXTS = ("subject", "message_source", "html_content")


def html_of(value: Any) -> str:
    """Return an HTML body as text.

    Raises:
        InvalidMessage: it is not text, or it is the name of a template file, which nothing has looked up.
    """
    html = text_of(value)
    if is_html_file(html):
        raise InvalidMessage(
            f'"{visible(html)}" is the name of a template file, not HTML. Only the argument html_content of an '
            "operator may be a name, not the result of a template, a function or a task, nor an item of messages."
        )
    return html


def rendered(value: T) -> T:
    """Return a body, after a check that it is not the template of a file, which ``execute`` called by hand gets.

    Raises:
        InvalidMessage: it is.
    """
    if name := unrendered_file(value):
        raise InvalidMessage(
            f'The template file "{visible(name)}" was not read, because the templates were not rendered. Airflow '
            f"renders them before it runs a task. In a test, use dag.test(), or call render_template_fields(context) "
            f"of a task in a DAG."
        )
    return value


def compose(
    fields: MailFields,
    hook: SmtpCmHook,
    context: Mapping[str, Any],
    read: Callable[[MessageSourceType, str], str] = read_message,
    read_html: Callable[[Any], str] = html_of,
) -> MailMessage:
    """Return the message made of the rendered fields; log a warning if its subject is empty.

    Args:
        fields: the rendered fields.
        hook: the hook for the connection.
        context: the task's context, for the Message-ID.
        read: returns the text of the body; see ``read_message``.
        read_html: returns the HTML of the body; see ``html_of``.

    Raises:
        InvalidMessage: all problems with the message, the connection and the safety settings.
    """
    if fields.subject is None or not str(fields.subject).strip():
        logger.warning("The subject is empty.")  # SSIS's text (0x800291C6)
    return message_of(fields, hook, lambda sender: message_id_of(context, sender), read, read_html)


def message_of(
    fields: MailFields,
    hook: SmtpCmHook,
    message_id: Callable[[str], str | None],
    read: Callable[[MessageSourceType, str], str],
    read_html: Callable[[Any], str],
) -> MailMessage:
    """Return the message made of the rendered fields, as ``compose`` does, without the warning.

    Args:
        fields: the rendered fields.
        hook: the hook for the connection.
        message_id: returns the Message-ID for a sender; if it returns None, the message gets a new one.
        read: returns the text of the body; see ``read_message``.
        read_html: returns the HTML of the body; see ``html_of``.

    Raises:
        InvalidMessage: see ``compose``.
    """
    problems = Problems()
    attempt = problems.attempt

    def field(name: str, read: Callable[[Any], T]) -> T | None:
        return attempt(read, getattr(fields, name), field=name)

    def addresses(name: str, read: Callable[[Any], T]) -> T | str:
        found = field(name, read)
        return _PLACEHOLDER if found is None else found

    manager = attempt(_connection_manager_of, hook, field="smtp_conn_id")
    sender = addresses("from_email", _sender_of) or (manager.from_email if manager else _PLACEHOLDER)
    if not sender:
        problems.append(
            f'from_email: No sender is set in the task, in the connection "{hook.smtp_conn_id}" or in [smtp_cm] '
            f"default_from."
        )
    has_style = field("house_style", lambda value: _switch(value, default=True))
    style = hook.safety.house_style if manager and has_style else HouseStyle()
    kind = field("message_source_type", _kind_of_source)
    source = field("message_source", lambda value: text_of(rendered(value)))
    text = attempt(read, kind, source, field="message_source") if kind and source is not None else None

    def build() -> MailMessage:
        # In the order of the fields, which is that of the problems.
        to, cc, bcc = addresses("to", lines_of), addresses("cc", lines_of), addresses("bcc", lines_of)
        reply_to = addresses("reply_to", lines_of)
        subject = field("subject", lambda value: on_one_line(style.subject(text_of(value)))) or ""
        html = field("html_content", lambda value: style.html(read_html(rendered(value)), subject)) or ""
        images: tuple[Attachment, ...] = ()
        if field("embed_images", lambda value: _switch(value, default=False)):
            from airflow_smtp_cm.mail.embedding import embed_images  # noqa: PLC0415 - most messages need none

            html, images = attempt(embed_images, html, field="html_content") or (html, images)
        with_text = field("text_part", lambda value: _switch(value, default=True))
        return MailMessage(
            from_email=sender or _PLACEHOLDER,
            to=to,
            cc=cc,
            bcc=bcc,
            reply_to=reply_to,
            subject=subject,
            text=_text_beside(html) if html and not text and with_text else text,
            html=html,
            priority=Priority.NORMAL if fields.priority is None else fields.priority,
            attachments=(*(field("attachments", _attachments_of) or ()), *images),
            headers=field("headers", _headers_of),
            message_id=message_id(sender or _PLACEHOLDER),
        )

    message = attempt(build)
    permitted = None
    if message and _PLACEHOLDER not in message.recipients:
        permitted = attempt(lambda: hook.safety.permitted(message))
    if permitted is None or problems:
        raise problems.as_error(InvalidMessage)
    return permitted


def hook_for(smtp_conn_id: Any) -> SmtpCmHook:
    """Return a hook for the connection that a task's field names; None means the default connection."""
    return SmtpCmHook() if smtp_conn_id is None else SmtpCmHook(text_of(smtp_conn_id))


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
        raise NotFound(str(error)) from error


class NotText(NamedTuple):
    """A value that a function returned as a text and that is not text."""

    value: Any


def returned(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields that a function returned: no template has rendered them, so a number is not a text."""
    return {
        name: value if name not in _TEXTS or isinstance(value, str | None) else NotText(value)
        for name, value in fields.items()
    }


def of_a_row(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a row: a list or another collection in it is not a text."""
    return {
        name: NotText(value) if name in _TEXTS and _is_collection(value) else value for name, value in fields.items()
    }


def _is_collection(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | NotText)


def text_of(value: Any) -> str:
    """Return a field as text; None is empty text.

    Raises:
        InvalidMessage: it is bytes, a missing value, such as NaN, or ``NotText``.
    """
    if isinstance(value, str | None):
        return str(value or "")
    if isinstance(value, NotText):
        raise InvalidMessage(f"It must be text, not {kind_of(value.value)}.")
    text = str(value)
    if isinstance(value, _BYTES) or re.fullmatch(_MISSING, text):
        raise InvalidMessage(f"It must be text, not {kind_of(value)}.")
    return text


def kind_of(value: Any) -> str:
    """Return the type of a value for an error message, with the value if it is a number: ``float nan``."""
    name = type(value).__name__
    return f"{name} {value}" if isinstance(value, Number) else name


def truth_of(value: Any) -> bool:
    """Return whether a field is true; a template may have been rendered as a boolean or as text.

    Raises:
        InvalidMessage: it is neither true nor false.
    """
    if isinstance(value, bool):
        return value
    match text_of(value).strip().lower():
        case "true":
            return True
        case "false":
            return False
    raise InvalidMessage(f'"{visible(text_of(value))}" is neither True nor False.')


def lines_of(value: Any) -> str | list[str]:
    """Return a field of addresses as one line or several.

    Raises:
        InvalidMessage: it is something else, or a list that a template turned into text.
    """
    if value is None:
        return ""
    if isinstance(value, Iterable) and not isinstance(value, (str, Mapping, *_BYTES)):
        return list(read_each(_line_of, value, InvalidMessage))
    return _line_of(value)[0]


def shown_line(value: Any) -> str:
    """Return a field of addresses as one line, even if it is invalid."""
    try:
        lines = lines_of(value)
    except InvalidMessage:
        return str(value)
    return lines if isinstance(lines, str) else "; ".join(lines)


def _sender_of(value: Any) -> str:
    return "" if value is None else _line_of(value, parse_sender)[0]


def _line_of(value: Any, parse: Callable[[str], object] = parse_line) -> tuple[str]:
    if value is None or (isinstance(value, Iterable) and not isinstance(value, (str, *_BYTES))):
        raise InvalidMessage(f"A line of addresses must be text, not {type(value).__name__}.")
    line = text_of(value)
    _reject_text_of_a_list(line, parse)
    return (line,)


def _kind_of_source(value: Any) -> MessageSourceType:
    return MessageSourceType.DIRECT_INPUT if value is None else MessageSourceType(value)


def _text_beside(html: str) -> str:
    from airflow_smtp_cm.mail.plain_text import text_of_html  # noqa: PLC0415 - most messages need none

    return text_of_html(html)


def _switch(value: Any, *, default: bool) -> bool:
    return default if value is None else truth_of(value)


def _attachments_of(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        _reject_text_of_a_list(value, expand)
    return locate_attachments(value)


def _reject_text_of_a_list(text: str, read: Callable[[str], object]) -> None:
    """Raise an error if it is the text of a list, unless it can be read as what it is."""
    if not _TEXT_OF_A_LIST.fullmatch(text):
        return
    try:
        read(text)
    except InvalidMessage as error:
        raise InvalidMessage(f'It is the text of a list, "{visible(text)}", not a list. {OF_A_TEMPLATE}') from error


def _headers_of(value: Any) -> dict[str, str]:
    """Return headers with text values.

    Raises:
        InvalidMessage: they are not a mapping, or a value is not text.
    """
    if value is None or (isinstance(value, str | Mapping) and not value):
        return {}
    if not isinstance(value, Mapping):
        advice = f" {OF_A_TEMPLATE}" if isinstance(value, str) else ""
        raise InvalidMessage(
            f'It must be a mapping such as {{"X-Report": "sales"}}, not {type(value).__name__}.{advice}'
        )
    problems = Problems()
    headers = {
        str(name): problems.attempt(_header_of, text, field=f'The value of "{visible(str(name))}"') or ""
        for name, text in value.items()
    }
    problems.raise_as(InvalidMessage)
    return headers


def _header_of(value: Any) -> str:
    return text_of(NotText(value) if _is_collection(value) else value)
