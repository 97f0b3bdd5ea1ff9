"""Effects: the I/O operations that the SMTP conversation requests from its transport.

The conversation is a generator (``Steps``). It yields an effect; the transport performs it and sends the outcome
back, or throws an ``SmtpError`` into the generator. The blocking and the asyncio transport run the same generators.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    import socket

    from airflow_smtp_cm.smtp.errors import Phase, SmtpError
    from airflow_smtp_cm.smtp.result import SendResult

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AwaitConnection:
    """Wait until the first of these sockets is connected or has failed; the outcome is this socket.

    Attributes:
        sockets: sockets that do not block and have begun to connect.
        seconds: how long to wait; then the outcome is None.
    """

    sockets: tuple[socket.socket, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Write:
    """Send all of ``data``; data that arrives meanwhile is kept for the next ``Read``."""

    data: bytes = field(repr=False)  # may be a login token
    phase: Phase


@dataclass(frozen=True, slots=True)
class Read:
    """Wait for data; the outcome is at least one byte, or ``b""`` if the server has closed the connection.

    Attributes:
        phase: the phase, which decides the timeout.
        continued: whether it continues the wait of the previous ``Read``, which returned only a part of a reply.
    """

    phase: Phase
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Poll:
    """Read without waiting; the outcome is as for ``Read``, or None if no data has arrived."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class StartTls:
    """Perform the TLS handshake; the outcome is a ``TlsSession``."""


@dataclass(frozen=True, slots=True)
class Call:
    """Call a function that may block (file access, a KDC request); the outcome is its result or its exception.

    Attributes:
        function: the function.
        phase: the phase whose timeout limits the call; None: no limit. After the timeout nothing waits for the
            function any more, not even the end of the process.
        continued: whether it continues the wait of the previous effect.
    """

    function: Callable[[], Any] = field(repr=False)  # may be bound to a login token
    phase: Phase | None = None
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """The outcome of one message of many; the transport passes it to its caller."""

    outcome: SendResult | SmtpError


@dataclass(frozen=True, slots=True)
class Finished(Generic[T]):
    """The end of ``Steps``, with the value that they return."""

    value: T


@dataclass(frozen=True, slots=True)
class TlsSession:
    """The result of a TLS handshake.

    Attributes:
        version: such as ``TLSv1.3``.
        cipher: OpenSSL's name of the cipher suite.
        certificate: the server's certificate, DER.
        tls_unique: the first Finished message of the handshake (RFC 5929, section 3); None from TLS 1.3 on.
    """

    version: str
    cipher: str
    certificate: bytes
    tls_unique: bytes | None


Effect: TypeAlias = AwaitConnection | Write | Read | Poll | StartTls | Call
Steps: TypeAlias = Generator[Effect | Settled, Any, T]
