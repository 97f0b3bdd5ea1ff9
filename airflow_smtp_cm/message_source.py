"""Where a Send Mail task's text and attachments come from, in Airflow's terms (SSIS MessageSourceType)."""

from __future__ import annotations

import codecs
import logging
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, Variable

from airflow_smtp_cm.mail.errors import InvalidMessage

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger(__name__)

_FILE_CONNECTION_TYPES = ("fs", "file")
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class MessageSourceType(StrEnum):
    """What a task's ``message_source`` is (SSIS SendMailMessageSourceType)."""

    DIRECT_INPUT = "DirectInput"
    FILE_CONNECTION = "FileConnection"
    VARIABLE = "Variable"


def read_message(kind: MessageSourceType, source: str) -> str:
    """Return the text of the body.

    Args:
        kind: what ``source`` is.
        source: the text itself; a path, a URL of object storage or the id of a file connection; the name of an
            Airflow Variable.

    Raises:
        InvalidMessage: the source does not exist or is not of its kind, in SSIS's words.
    """
    match kind:
        case MessageSourceType.DIRECT_INPUT:
            return source
        case MessageSourceType.FILE_CONNECTION:
            return _decode(_read_file(_file_of(source), source), source)
        case MessageSourceType.VARIABLE:
            return _read_variable(source)


def locate_attachments(attachments: Any) -> list[Any]:
    """Return attachments with the URLs of object storage among them as objects that can be opened.

    Args:
        attachments: a line ``a|b`` (SSIS FileAttachments), or a list of such lines and of what MailMessage takes.
    """
    if not attachments:
        return []
    items: Iterable[Any] = [attachments] if isinstance(attachments, str) else attachments
    names = [name for item in items for name in (item.split("|") if isinstance(item, str) else [item])]
    return [_storage(name.strip()) if isinstance(name, str) and "://" in name else name for name in names]


def _file_of(source: str) -> Any:
    if "://" in source:
        return _storage(source)
    path = Path(source)
    if path.exists() or len(path.parts) > 1:
        return path
    try:
        connection = BaseHook.get_connection(source)
    except AirflowNotFoundException:
        return path
    if connection.conn_type not in _FILE_CONNECTION_TYPES:
        raise InvalidMessage(
            f'Connection "{source}" is not of type File. Its type is {connection.conn_type}, and must be one of '
            f"{', '.join(_FILE_CONNECTION_TYPES)}."
        )
    named = connection.extra_dejson.get("path")
    if not named:
        raise InvalidMessage(f'Connection "{source}" is empty. Its extra must name the file as "path".')
    return Path(named)


def _read_file(file: Any, source: str) -> bytes:
    try:
        with file.open("rb") as stream:
            content: bytes = stream.read()
    except OSError as error:
        raise InvalidMessage(
            f'On operation "reading the message source {source}", file "{file}" does not exist. ({error})'
        ) from error
    return content


def _decode(content: bytes, source: str) -> str:
    """Decode as the byte order mark says, else as UTF-8, else as Windows does in the West."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding)
    try:
        return content.decode()
    except UnicodeDecodeError:
        logger.warning("The message source %s is not UTF-8, and is read as Windows-1252.", source)
        return content.decode("cp1252", errors="replace")


def _read_variable(name: str) -> str:
    value = Variable.get(name, None)
    if value is None:
        raise InvalidMessage(f'The Variable "{name}" does not exist. Add it under Admin > Variables.')
    if not isinstance(value, str):
        raise InvalidMessage(f'Variable "{name}" is not of type string.')
    return value


def _storage(url: str) -> Any:
    from airflow.providers.common.compat.sdk import ObjectStoragePath  # noqa: PLC0415 - slow to import

    return ObjectStoragePath(url)
