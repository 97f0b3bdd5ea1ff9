"""Replies: what the server says, and how far we let it talk (RFC 5321, section 4.2; RFC 2034; RFC 3463)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from airflow_smtp_cm.smtp.errors import ProtocolError
from airflow_smtp_cm.smtp.trace import REDACTED

# RFC 5321 (4.5.3.1.5) allows 512 octets a line; Exchange and Postfix write longer ones, so the limits are those a
# friendly server never meets. A challenge during AUTH may hold a ticket (RFC 4954, section 4: 12,288 octets).
MAX_LINE = 8 * 1024
MAX_CHALLENGE_LINE = 12 * 1024
MAX_REPLY = 64 * 1024
MAX_LINES = 128

CONTINUE = 334  # a challenge during AUTH

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?=\s|$)")
# In a log they would forge lines, or give a terminal orders; base64 and whatever else has a meaning has none of them.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_TOKEN = re.compile(r"[A-Za-z0-9+/]{40,}=*")  # the shortest token, NTLM's first, is longer


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """One complete reply of the server.

    Attributes:
        code: the reply code, 200 to 599.
        lines: the text of each line, without the code, at least one; U+FFFD stands for control characters.
        secret: whether the text is a login token, so that it is not to be shown.
    """

    code: int
    lines: tuple[str, ...]
    secret: bool = False

    @property
    def enhanced_code(self) -> str | None:
        """The enhanced status code such as ``5.7.1``, if the text begins with one of the reply's own class."""
        match = _ENHANCED.match(self.lines[0])
        return match[0] if match and int(match[1]) == self.code // 100 else None

    @property
    def text(self) -> str:
        """All lines, joined by single spaces."""
        return " ".join(self.lines)

    @property
    def positive(self) -> bool:
        """Whether the command was carried out (2xx)."""
        return self.code // 100 == 2  # noqa: PLR2004

    @property
    def transient(self) -> bool:
        """Whether the same command may succeed later (4xx)."""
        return self.code // 100 == 4  # noqa: PLR2004

    def without_tokens(self) -> Reply:
        """Return the same without login tokens: some servers repeat what they did not understand."""
        return Reply(self.code, tuple(_TOKEN.sub(REDACTED, line) for line in self.lines))

    def __str__(self) -> str:
        """Return the reply as people may see it."""
        return f"{self.code} {REDACTED if self.secret else self.text}".rstrip()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class ReplyParser:
    """Turns received octets into replies; feed it as they come, in pieces of any size.

    Attributes:
        secret: whether they belong to an AUTH exchange: lines may be longer then, and errors do not show them.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code: int | None = None
        self._lines: list[str] = []
        self._size = 0
        self.secret = False

    def feed(self, data: bytes) -> None:
        """Take what the transport received."""
        self._buffer += data

    @property
    def idle(self) -> bool:
        """Whether nothing is left over: no octet that was not asked for, no half reply."""
        return not self._buffer and not self._lines

    def next_reply(self) -> Reply | None:
        """Return the next complete reply, or None until more octets arrive.

        Raises:
            ProtocolError: what came is no SMTP reply, or exceeds a limit.
        """
        max_line = MAX_CHALLENGE_LINE if self.secret else MAX_LINE
        while (end := self._buffer.find(b"\n")) >= 0:
            if end > max_line:
                break
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._size += end + 1
            if reply := self._take(line):
                return reply
        if max(end, len(self._buffer)) > max_line:
            raise ProtocolError(
                f"The server sent a reply line of more than {max_line} octets: {self._show(bytes(self._buffer))}"
            )
        return None

    def _take(self, line: bytes) -> Reply | None:
        read = _read(line) if self.secret else _read_known(line)
        if read is None:
            raise ProtocolError(f"The server sent something that is no SMTP reply: {self._show(line)}")
        code, text, goes_on = read
        if self._code not in (None, code):
            raise ProtocolError(f"The server changed its code within a reply, from {self._code}: {self._show(line)}")
        self._lines.append(text)
        if self._size > MAX_REPLY or len(self._lines) > MAX_LINES:
            raise ProtocolError(
                f"The server sent a reply of more than {MAX_LINES} lines or {MAX_REPLY} octets, code {code}"
            )
        if goes_on:
            self._code = code
            return None
        reply = Reply(code, tuple(self._lines), secret=self.secret and code == CONTINUE)
        self._code, self._lines, self._size = None, [], 0
        return reply

    def _show(self, octets: bytes) -> str:
        return REDACTED if self.secret else shorten(octets)


def shorten(octets: bytes, limit: int = 80) -> str:
    """Show at most ``limit`` octets of what the server sent, printable, for an error message."""
    shown = repr(octets[:limit])[1:]
    return shown if len(octets) <= limit else f"{shown}... ({len(octets)} octets)"


def _read(line: bytes) -> tuple[int, str, bool] | None:
    """Return the code, the text, and whether another line follows; None if the line is none of a reply's."""
    match = _LINE.fullmatch(line)
    return (int(match[1]), _decode(match[3] or b""), match[2] == b"-") if match else None


_read_known = lru_cache(maxsize=256)(_read)  # a server has few replies, and gives them again and again


def _decode(text: bytes) -> str:
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        decoded = text.decode("latin-1")
    return decoded if decoded.isprintable() else _CONTROL.sub("\N{REPLACEMENT CHARACTER}", decoded)
