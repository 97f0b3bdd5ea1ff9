"""Makes the texts of alerts fit for mail.

Alerts quote the errors of other programs, and no character in these errors may stop an alert. Therefore what mail
does not allow is replaced or removed here, not refused, and the log says so.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from airflow_smtp_cm.characters.control import on_one_line
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.mail.headers import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_smtp_cm.mail.house_style import HouseStyle

logger = logging.getLogger(__name__)

# Colours and other control sequences, operating system commands (a terminal's links), and other escape sequences
# (ECMA-48). Of those without ESC, only colours are removed: in UTF-8 that was decoded as Latin-1, U+009B and U+009D
# are frequent, and text follows them.
_ESCAPE_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x9b[0-9;:]*m|\x1b\][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]"
)
_OTHER_LINE_END = re.compile(r"[\v\f\x85]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # not valid in UTF-8
_LINE_SEPARATOR = re.compile(r"[\u2028\u2029]")

_MAX_BODY = 2 * 1024 * 1024  # bytes: text and HTML together, encoded, are below the limits of most servers
_MARK = "…"


def text_of(value: object) -> str:
    """Return a value as text, whatever it is: a template may be rendered as an exception, as bytes or as a number."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - an exception is the DAG author's, and so may be its text
        return f"(its text is not available: {type(error).__name__})"


def fit_headers(headers: Mapping[str, object]) -> dict[str, str]:
    """Return additional headers, each value of which is one line that mail allows."""
    return {name: fit_line(f"headers: {name}", value) for name, value in headers.items()}


def fit_line(field: str, value: object) -> str:
    """Return a text as one line that mail allows, such as a subject.

    Line ends and tabs become one space; at the ends they are removed. Escape sequences and other control characters
    are removed everywhere. What is not valid in UTF-8 becomes U+FFFD. A text of more than ``MAX_TEXT`` bytes is cut,
    with an ellipsis.

    Args:
        field: the name of the field, for the log.
        value: the text, or another value that becomes one.
    """
    text = text_of(value)
    line = on_one_line(_LINE_SEPARATOR.sub("\n", _valid(text)))
    return _logged(field, text, _cut(line, MAX_TEXT))


def fit_text(field: str, value: object) -> str:
    """Return a text of several lines that mail allows, as ``fit_line``; white space stays, and 2 MiB are allowed."""
    text = text_of(value)
    return _logged(field, text, _cut(_valid(text), _MAX_BODY))


def styled(style: HouseStyle, html: str, subject: str) -> str:
    """Return an HTML body in the site's template; one that cannot be used is logged, and must not stop an alert."""
    try:
        return style.html(html, subject)
    except InvalidMessage as error:
        logger.error("%s The alert is sent without it.", error)  # noqa: TRY400 - the message has the reason
        return html


def _valid(text: str) -> str:
    text = _OTHER_LINE_END.sub("\n", _ESCAPE_SEQUENCE.sub("", text))
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", _CONTROL.sub("", text))


def _cut(text: str, most: int) -> str:
    data = text.encode()
    if len(data) <= most:
        return text
    return data[: most - len(_MARK.encode())].decode(errors="ignore") + _MARK


def _logged(field: str, text: str, fitted: str) -> str:
    if fitted != text:
        logger.info("%s: It held characters that mail does not allow, or was too long, and was changed.", field)
    return fitted
