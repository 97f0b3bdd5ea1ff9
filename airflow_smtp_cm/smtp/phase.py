"""The phases of the conversation."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """The stretch of the conversation an error or a timeout belongs to."""

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
