"""The phases of an SMTP session."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """The phase of a session that an error or a timeout belongs to."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    TLS = "TLS handshake"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "content"
    FINAL = "final reply"
    RSET = "RSET"
    NOOP = "NOOP"
    QUIT = "QUIT"
