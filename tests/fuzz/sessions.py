"""Any data from a server at any time: a result or an SmtpError, nothing unencrypted before TLS, no secret."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.smtp.content_transfer import INLINE_LIMIT
from airflow_smtp_cm.smtp.effects import StartTls
from airflow_smtp_cm.smtp.errors import RecipientsRefused, SmtpError, TimedOut
from airflow_smtp_cm.smtp.settings import ChannelBinding, Tls, TlsMode
from tests.fuzz import inputs
from tests.fuzz.challenges import PASSWORD, WINDOWS
from tests.hidden import assert_hidden, texts_of
from tests.smtp.driver import END, Driver
from tests.smtp.outgoing import Note

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from airflow_smtp_cm.smtp.effects import Effect

_SMUGGLED = b"From: a@b.test\r\n\r\nHi\n.\nMAIL FROM:<eve@evil.test>\r\n.\rRCPT TO:<x@y>\r\n.\r\nDATA\r\n"
_BEFORE_TLS = re.compile(rb"(?:EHLO|HELO) me\.test\r\n|STARTTLS\r\n")
# The driver's TLS has no certificate for a channel binding.
_WINDOWS = replace(WINDOWS, channel_binding=ChannelBinding.NONE)

WISHES = ("starttls", "implicit", "ntlm", "slow", "all", "long")
"""Settings of the client: TLS, login, no PIPELINING, all or nothing, a message of more than one block."""


class _Server(Driver):
    """Sends the next piece at the beginning, after the TLS handshake, and after each write; then closes.

    Attributes:
        in_clear: number of writes before TLS; None if there was no TLS.
    """

    def __init__(self, pieces: Iterable[bytes], *, implicit: bool) -> None:
        super().__init__()
        self.in_clear: int | None = None
        self._pieces = iter(pieces)
        if not implicit:
            self._send_next()

    def _send_next(self) -> None:
        self.feed(next(self._pieces, END))

    def _perform(self, effect: Effect, waiting: list[object]) -> Any:
        outcome = super()._perform(effect, waiting)
        if isinstance(effect, StartTls):
            self.in_clear = len(self.writes)
            self._send_next()
        return outcome

    def _write(self, data: bytes, waiting: list[object]) -> None:
        del waiting
        self.writes.append(data)
        self._send_next()

    def _read(self) -> bytes:
        if not self._arrived and self._end is None:
            raise TimedOut("The server did not answer in time.")
        return super()._read()


def check(wishes: Container[str], pieces: Sequence[bytes]) -> None:
    """Check a session that sends a message.

    Args:
        wishes: some of ``WISHES``.
        pieces: the server's data, piece by piece.
    """
    mode = TlsMode.STARTTLS if "starttls" in wishes else TlsMode.IMPLICIT if "implicit" in wishes else TlsMode.NONE
    server = _Server(pieces, implicit=mode is TlsMode.IMPLICIT)
    session = server.session(
        tls=Tls(mode=mode),
        authentication=_WINDOWS if "ntlm" in wishes else None,
        pipelining="slow" not in wishes,
        chunking=True,  # used if the server offers it
    )
    raw = _SMUGGLED + (b"x" * 70 + b"\n") * (INLINE_LIMIT // 70 if "long" in wishes else 1)
    note = Note(raw=raw.replace(b"\n", b"\r\n") if "long" in wishes else raw)
    shown: list[str] = []
    delivered = False
    try:
        server.run(session.open("me.test"))
        result = server.run(session.send(note, all_or_nothing="all" in wishes, notification=None))
        delivered = result.reply.positive
        shown.append(repr(result))
    except SmtpError as error:
        delivered = isinstance(error, RecipientsRefused) and error.result is not None
        shown += texts_of(error)
    written = b"".join(server.writes)
    if mode is not TlsMode.NONE:
        in_clear = server.writes if server.in_clear is None else server.writes[: server.in_clear]
        assert all(map(_BEFORE_TLS.fullmatch, in_clear)), in_clear
    if "ntlm" in wishes and session.login is None:
        assert b"MAIL FROM" not in written
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", written)
    assert not delivered or b"RCPT TO:<x@y>" in written
    assert_hidden([*shown, *server.trace, repr(session.wire)], PASSWORD.encode(), *_tokens(server.writes))


def _tokens(writes: Iterable[bytes]) -> list[bytes]:
    lines = [write.removeprefix(b"AUTH NTLM ").strip() for write in writes if len(write) < 2000]
    return [b64decode(line) for line in lines if re.fullmatch(rb"[A-Za-z0-9+/]{40,}=*", line)]


def one_input(data: bytes) -> None:
    wishes, *pieces = inputs.pieces(data)
    check(set(inputs.text(wishes).split()), pieces)
