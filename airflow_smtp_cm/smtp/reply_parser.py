"""Parsing of received data into replies, within limits (RFC 5321, section 4.2)."""

from __future__ import annotations

import re
from functools import lru_cache

from airflow_smtp_cm.shortening import shorten
from airflow_smtp_cm.smtp.errors import ProtocolError
from airflow_smtp_cm.smtp.reply import CONTINUE, Reply
from airflow_smtp_cm.smtp.trace import REDACTED

# RFC 5321 (4.5.3.1.5) allows lines of 512 bytes; Exchange and Postfix send longer ones. These limits are larger than
# any reply of a correct server. A challenge during AUTH may contain a ticket (RFC 4954, section 4: 12,288 bytes).
MAX_LINE = 8 * 1024
MAX_CHALLENGE_LINE = 12 * 1024
MAX_REPLY = 64 * 1024
MAX_LINES = 128

_MAX_SHOWN = 80  # characters of an invalid reply that an error shows

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
# Control characters could forge lines in a log, or control a terminal. Valid texts do not contain them.
_CONTROL = r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]"


class ReplyParser:
    """Parses received data into replies; the data may be fed in pieces of any size.

    Attributes:
        secret: whether the data belongs to an AUTH exchange: lines may be longer, and errors do not show them.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code: int | None = None
        self._lines: list[str] = []
        self._size = 0
        self.secret = False

    def feed(self, data: bytes) -> None:
        """Add received data."""
        self._buffer += data

    @property
    def idle(self) -> bool:
        """Whether no data is left: neither a complete reply nor a part of one."""
        return not self._buffer and not self._lines

    def next_reply(self) -> Reply | None:
        """Return the next complete reply, or None if more data is needed.

        Raises:
            ProtocolError: the data is not an SMTP reply, or exceeds a limit.
        """
        max_line = MAX_CHALLENGE_LINE if self.secret else MAX_LINE
        while (end := self._buffer.find(b"\n")) >= 0:
            if end > max_line:
                break
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if not self.secret and not self._lines and (reply := _only_line(line)):
                return reply
            self._size += end + 1
            if reply := self._add_line(line.removesuffix(b"\r")):
                return reply
        if max(end, len(self._buffer)) > max_line:
            raise ProtocolError(
                f"The server sent a reply line of more than {max_line} bytes: {self._show(bytes(self._buffer))}"
            )
        return None

    def _add_line(self, line: bytes) -> Reply | None:
        read = _read(line)
        if read is None:
            raise ProtocolError(f"The server sent data that is not an SMTP reply: {self._show(line)}")
        code, text, more = read
        if self._code not in (None, code):
            raise ProtocolError(f"The server changed its code within a reply, from {self._code}: {self._show(line)}")
        self._lines.append(text)
        if self._size > MAX_REPLY or len(self._lines) > MAX_LINES:
            raise ProtocolError(
                f"The server sent a reply of more than {MAX_LINES} lines or {MAX_REPLY} bytes, code {code}"
            )
        if more:
            self._code = code
            return None
        reply = Reply(code, tuple(self._lines), secret=self.secret and code == CONTINUE)
        self._code, self._lines, self._size = None, [], 0
        return reply

    def _show(self, data: bytes) -> str:
        return REDACTED if self.secret else shorten(repr(data)[1:], _MAX_SHOWN)


def _read(line: bytes) -> tuple[int, str, bool] | None:
    """Return the code, the text, and whether another line follows; None if it is not a reply line."""
    match = _LINE.fullmatch(line)
    return (int(match[1]), _decode(match[3] or b""), match[2] == b"-") if match else None


@lru_cache(maxsize=256)  # a server repeats few different replies
def _only_line(line: bytes) -> Reply | None:
    """Return the reply that consists of this line; None if there is none."""
    read = _read(line.removesuffix(b"\r"))
    if read is None or read[2]:
        return None
    code, text, _ = read
    return Reply(code, (text,))


def _decode(text: bytes) -> str:
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        decoded = text.decode("latin-1")
    return decoded if decoded.isprintable() else re.sub(_CONTROL, "\N{REPLACEMENT CHARACTER}", decoded)
