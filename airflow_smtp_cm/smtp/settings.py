"""The settings of a connection: server, TLS, identity, timeouts; they are not validated here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.phase import Phase

if TYPE_CHECKING:
    from typing import Self

    from airflow_smtp_cm.smtp.interfaces import MessagePolicy

__all__ = [
    "ChannelBinding",
    "Identity",
    "MechanismChoice",
    "Settings",
    "Timeouts",
    "Tls",
    "TlsMode",
    "WindowsAuthentication",
]

# Seconds to wait for the reply to QUIT: all messages are sent, and the reply is not needed.
_QUIT_TIMEOUT = 5.0


class TlsMode(StrEnum):
    """When TLS begins."""

    NONE = "none"
    STARTTLS = "starttls"  # mandatory, never "if offered" (RFC 3207; SSIS EnableSsl)
    IMPLICIT = "implicit"  # from the first byte, usually on port 465 (RFC 8314, section 3.3)


class MechanismChoice(StrEnum):
    """The protocols that Windows authentication may use."""

    AUTO = "auto"
    KERBEROS = "kerberos"
    NTLM = "ntlm"


class ChannelBinding(StrEnum):
    """The binding of the login to the TLS session (RFC 5929), as Exchange's Extended Protection requires."""

    TLS_SERVER_END_POINT = "tls-server-end-point"
    TLS_UNIQUE = "tls-unique"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS settings; two equal values share one ``ssl.SSLContext``.

    Attributes:
        mode: when TLS begins.
        ca_bundle: path of a PEM file with the authorities or servers to trust instead of the system's authorities.
        client_certificate: path of a PEM file with the client's certificate chain, and its key unless ``client_key``.
        client_key: path of a PEM file with the client's key.
        client_key_password: the password of the key.
        verify: False accepts any certificate; for tests only.
    """

    mode: TlsMode = TlsMode.NONE
    ca_bundle: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    client_key_password: str | None = field(default=None, repr=False)
    verify: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    r"""The identity of the client: the process's own tickets, a principal of a keytab, or a user with a password.

    Attributes:
        username: ``DOMAIN\user``, ``user@domain`` (UPN or realm) or ``user``; None means the process's own identity.
        password: the user's password.
        keytab: path of a keytab with the user's keys.
        ccache: name of the Kerberos ticket cache to use instead of the process's default (``FILE:/...``).
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    keytab: str | None = None
    ccache: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsAuthentication:
    """The settings of Windows authentication (SSIS UseWindowsAuthentication).

    Attributes:
        identity: the identity that logs in.
        mechanism: which protocols may be used.
        spn: service principal name, ``service/host``; None means ``SMTPSVC/`` and the server's name.
        channel_binding: the binding of the login to the TLS session; unused without TLS.
        anonymous_if_not_offered: continue without login, with a warning, if the server offers no Windows mechanism
            (SSIS does so without a warning).
    """

    identity: Identity = Identity()
    mechanism: MechanismChoice = MechanismChoice.AUTO
    spn: str | None = None
    channel_binding: ChannelBinding = ChannelBinding.TLS_SERVER_END_POINT
    anonymous_if_not_offered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The timeouts in seconds (RFC 5321, section 4.5.3.2, shorter where users wait).

    Attributes:
        connect: for the TCP connection.
        tls: for the TLS handshake.
        command: for the reply to a command, and for the greeting.
        data_block: for sending a block of the content.
        final: for the reply to the content; Exchange delays it.
        total: for an operation as a whole (opening a session, sending one message); None means no limit.
    """

    connect: float = 30
    tls: float = 30
    command: float = 100
    data_block: float = 100
    final: float = 600
    total: float | None = None

    @classmethod
    def capped(cls, seconds: float, *, total: float | None = None) -> Self:
        """Return the default timeouts, each at most ``seconds`` (SSIS Timeout)."""
        default = cls()
        return cls(
            connect=min(default.connect, seconds),
            tls=min(default.tls, seconds),
            command=min(default.command, seconds),
            data_block=min(default.data_block, seconds),
            final=min(default.final, seconds),
            total=total,
        )

    def of(self, phase: Phase) -> float:
        """Return the timeout of a phase."""
        match phase:
            case Phase.CONNECT:
                return self.connect
            case Phase.TLS:
                return self.tls
            case Phase.CONTENT:
                return self.data_block
            case Phase.FINAL:
                return self.final
            case Phase.QUIT:
                return min(self.command, _QUIT_TIMEOUT)
            case _:
                return self.command


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings that a client needs to open a session.

    Attributes:
        host: name or address to connect to (SSIS SmtpServer).
        port: TCP port.
        server_name: the server's name in its certificate and SPN, if it differs from ``host``.
        tls: TLS settings.
        authentication: None means Anonymous.
        timeouts: the timeouts.
        ehlo_name: the name for EHLO; None means the machine's fully qualified name, else an address.
        pipelining: whether to use PIPELINING if the server offers it (RFC 2920).
        chunking: whether to use BDAT and BINARYMIME, instead of DATA, if the server offers them (RFC 3030).
        message_policy: applied to every message before it is sent; None sends all messages unchanged.
    """

    host: str
    port: int = 25
    server_name: str | None = None
    tls: Tls = Tls()
    authentication: WindowsAuthentication | None = None
    timeouts: Timeouts = Timeouts()
    ehlo_name: str | None = None
    pipelining: bool = True
    chunking: bool = False
    message_policy: MessagePolicy | None = None
