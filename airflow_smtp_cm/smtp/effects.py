"""Effects: the I/O operations that the SMTP conversation requests from its transport.

The conversation is a generator (``Steps``). It yields an effect; the transport performs it and sends the outcome
back, or throws an ``SmtpError`` into the generator. The blocking and the asyncio transport run the same generators.

They are named tuples, because Python takes five times as long to define a frozen dataclass, at every import.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    import socket

    from airflow_smtp_cm.smtp.errors import Phase, SmtpError
    from airflow_smtp_cm.smtp.result import SendResult

T = TypeVar("T")


class AwaitConnection(NamedTuple):
    """Wait until the first of these sockets is connected or has failed; the outcome is this socket.

    Attributes:
        sockets: sockets that do not block and have begun to connect.
        seconds: how long to wait; then the outcome is None.
    """

    sockets: tuple[socket.socket, ...]
    seconds: float


class Write(NamedTuple):
    """Send all of ``data``; data that arrives meanwhile is kept for the next ``Read``."""

    data: bytes
    phase: Phase

    def __repr__(self) -> str:
        return f"Write(phase={self.phase!r})"  # the data may be a login token


class Read(NamedTuple):
    """Wait for data; the outcome is at least one byte, or ``b""`` if the server has closed the connection.

    Attributes:
        phase: the phase, which decides the timeout.
        continued: whether it continues the wait of the previous ``Read``, which returned only a part of a reply.
    """

    phase: Phase
    continued: bool = False


class Poll(NamedTuple):
    """Read without waiting; the outcome is as for ``Read``, or None if no data has arrived."""

    phase: Phase


class StartTls(NamedTuple):
    """Perform the TLS handshake; the outcome is a ``TlsSession``."""


class Call(NamedTuple):
    """Call a function that may block (file access, a KDC request); the outcome is its result or its exception.

    Attributes:
        function: the function.
        phase: the phase whose timeout limits the call; None: no limit. After the timeout nothing waits for the
            function any more, not even the end of the process.
        continued: whether it continues the wait of the previous effect.
    """

    function: Callable[[], Any]
    phase: Phase | None = None
    continued: bool = False

    def __repr__(self) -> str:
        return f"Call(phase={self.phase!r})"  # the function may be bound to a login token


class Settled(NamedTuple):
    """The outcome of one message of many; the transport passes it to its caller."""

    outcome: SendResult | SmtpError


class Finished(NamedTuple, Generic[T]):
    """The end of ``Steps``, with the value that they return."""

    value: T


class TlsSession(NamedTuple):
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
