"""The sources of a task's text and attachments: files, object storage, Variables (SSIS MessageSourceType)."""

from __future__ import annotations

import codecs
import logging
import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowNotFoundException,
    AirflowOptionalProviderFeatureException,
    BaseHook,
    Variable,
)

from airflow_smtp_cm.characters.control import visible
from airflow_smtp_cm.mail.attachments import check_type, sources
from airflow_smtp_cm.mail.errors import InvalidMessage, NotFound
from airflow_smtp_cm.problems import read_each

logger = logging.getLogger(__name__)

_FILE_CONNECTION_TYPES = ("fs", "file")
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class MessageSourceType(StrEnum):
    """The type of a task's ``message_source`` (SSIS SendMailMessageSourceType)."""

    DIRECT_INPUT = "DirectInput"
    FILE_CONNECTION = "FileConnection"
    VARIABLE = "Variable"

    @classmethod
    def _missing_(cls, value: object) -> MessageSourceType:
        raise InvalidMessage(f'"{visible(str(value))}" is none of {", ".join(cls)}.')


def read_message(kind: MessageSourceType, source: str) -> str:
    """Return the text of the body.

    Args:
        kind: the type of ``source``.
        source: the text itself; a path, a URL of object storage or the id of a file connection; the name of an
            Airflow Variable.

    Raises:
        InvalidMessage: the source does not exist or is not of this type, in SSIS's words.
    """
    match kind:
        case MessageSourceType.DIRECT_INPUT:
            return source
        case MessageSourceType.FILE_CONNECTION:
            return _read_file(source)
        case MessageSourceType.VARIABLE:
            return _read_variable(source)


def locate_attachments(attachments: Any) -> tuple[Any, ...]:
    """Return the attachments, with objects that can be opened instead of URLs of object storage.

    Args:
        attachments: a line ``a|b`` (SSIS FileAttachments), or a list of such lines and of values that MailMessage
            accepts as attachments.

    Raises:
        InvalidMessage: lists every item that is none of these, and every storage that cannot be used.
    """
    if attachments is None:
        return ()
    items = attachments if isinstance(attachments, Iterable) else (attachments,)
    return read_each(_located, sources(items), InvalidMessage)


def _located(item: Any) -> tuple[Any]:
    check_type(item)
    return (_storage(item) if isinstance(item, str) and "://" in item else item,)


def _read_file(source: str) -> str:
    name = _file_of(source)
    file = _storage(name) if "://" in name else Path(name)
    try:
        with file.open("rb") as stream:
            content: bytes = stream.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise _no_file(name, str(error)) from error  # other errors may be network errors, which are transient
    return _decode(content, name)


def _file_of(source: str) -> str:
    """Return the path or URL, which may be in a connection."""
    if not source:
        raise InvalidMessage('Connection "" is empty. Set a path, a URL or the id of a file connection.')
    if "://" in source or os.path.exists(source):  # noqa: PTH110 - Path.exists raises for some invalid paths
        return source
    if "/" in source:
        raise _no_file(source)
    try:
        connection = BaseHook.get_connection(source)
    except AirflowNotFoundException as error:
        raise _no_file(source, "There is no connection with this id, either.", NotFound) from error
    if connection.conn_type not in _FILE_CONNECTION_TYPES:
        raise InvalidMessage(
            f'Connection "{source}" is not of type File. Its type is {connection.conn_type}, but must be one of '
            f"{', '.join(_FILE_CONNECTION_TYPES)}."
        )
    extra = connection.extra_dejson
    name = extra.get("path") if isinstance(extra, dict) else None
    if not name or not isinstance(name, str):
        raise InvalidMessage(
            f'Connection "{source}" is empty. Its extra must contain the path of the file as "path".'
        )
    return name


def _no_file(name: str, reason: str = "", kind: type[InvalidMessage] = InvalidMessage) -> InvalidMessage:
    # In SSIS's words (0xC00291CF).
    text = f'On operation "reading the message source", file "{visible(name)}" does not exist. {reason}'
    return kind(text.strip())


def _decode(content: bytes, name: str) -> str:
    """Decode according to the byte order mark, else as UTF-8, else as Windows-1252."""
    marked = next((encoding for mark, encoding in _BYTE_ORDER_MARKS.items() if content.startswith(mark)), None)
    try:
        return content.decode(marked or "utf-8")
    except UnicodeDecodeError as error:
        if marked:
            raise InvalidMessage(
                f'The file "{name}" is not valid {marked}, although it has this byte order mark: {error}.'
            ) from error
    logger.warning("The message source %s is not UTF-8. It is decoded as Windows-1252.", name)
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise InvalidMessage(f'The file "{name}" is neither UTF-8 nor Windows-1252 text: {error}.') from error


def _read_variable(name: str) -> str:
    try:
        value = Variable.get(name, None)
    except ImportError as error:  # raised by Airflow 3.0
        raise InvalidMessage(
            f'The Variable "{visible(name)}" cannot be looked up here: Airflow 3.0 permits it only in running tasks.'
        ) from error
    if value is None:
        raise NotFound(f'The Variable "{visible(name)}" does not exist. Add it under Admin > Variables.')
    if not isinstance(value, str):
        raise InvalidMessage(f'Variable "{visible(name)}" is not of type string.')
    return value


def _storage(url: str) -> Any:
    from airflow.providers.common.compat.sdk import ObjectStoragePath  # noqa: PLC0415 - slow to import

    try:
        path = ObjectStoragePath(url)
        path.fs  # noqa: B018 - else a missing provider would be reported as a missing file
    except (AirflowNotFoundException, AirflowOptionalProviderFeatureException, ImportError, ValueError) as error:
        raise InvalidMessage(
            f'"{visible(url)}" cannot be opened here: {error}. The URL needs the Airflow provider of its storage, '
            f"and the connection in it, if it has one."
        ) from error
    return path
