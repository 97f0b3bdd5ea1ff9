"""What the conversation asks of its transport: the only places where it touches the world.

The conversation is a generator (``Steps``): it yields an effect, the transport carries it out and sends the outcome
back, or throws an ``SmtpError`` in. Blocking and asyncio transports drive the same generators.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.errors import Phase, SmtpError
    from airflow_smtp_cm.smtp.result import SendResult

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Write:
    """Hand all of ``data`` to the network; what the server says meanwhile is kept for the next ``Read``."""

    data: bytes = field(repr=False)  # may be a login token
    phase: Phase


@dataclass(frozen=True, slots=True)
class Read:
    """Wait for octets; the outcome is at least one octet, or ``b""`` once the server has closed the connection.

    Attributes:
        phase: how long it may take.
        goes_on: whether this is still the wait of the ``Read`` before, which brought no more than a part of a reply.
    """

    phase: Phase
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Poll:
    """Look whether octets have arrived, without waiting; the outcome is ``Read``'s, or None if nothing has come."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class StartTls:
    """Do the TLS handshake; the outcome is a ``TlsSession``."""


@dataclass(frozen=True, slots=True)
class Call:
    """Call a function that may block (a file, a KDC); the outcome is what it returns, or its exception."""

    function: Callable[[], Any] = field(repr=False)  # may be bound to a login token


@dataclass(frozen=True, slots=True)
class Settled:
    """Not for the transport, but for whoever it works for: what became of one message of many."""

    outcome: SendResult | SmtpError


@dataclass(frozen=True, slots=True)
class Finished(Generic[T]):
    """What the transport makes of the end of a piece of the conversation."""

    value: T


@dataclass(frozen=True, slots=True)
class TlsSession:
    """What the handshake agreed on.

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


Effect: TypeAlias = Write | Read | Poll | StartTls | Call
Steps: TypeAlias = Generator[Effect | Settled, Any, T]
