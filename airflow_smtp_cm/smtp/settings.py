"""How to reach a server and who to be there: plain, frozen values, checked by whoever builds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import Phase

if TYPE_CHECKING:
    from typing import Self

    from airflow_smtp_cm.smtp.outgoing import MessagePolicy

# Seconds for the answer to QUIT: the work is done, and a server that dawdles holds nobody up.
_GOODBYE = 5.0


class TlsMode(StrEnum):
    """When TLS begins."""

    NONE = "none"
    STARTTLS = "starttls"  # mandatory, never "if offered" (RFC 3207; SSIS EnableSsl)
    IMPLICIT = "implicit"  # from the first octet, usually on port 465 (RFC 8314, section 3.3)


class MechanismChoice(StrEnum):
    """Which of the Windows protocols may prove the identity."""

    AUTO = "auto"
    KERBEROS = "kerberos"
    NTLM = "ntlm"


class ChannelBinding(StrEnum):
    """What ties the login to the TLS session: Exchange's Extended Protection (RFC 5929)."""

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
        client_key_password: what decrypts the key.
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
    r"""Who logs in: nobody named (the process's own tickets), a keytab's principal, or a user with a password.

    Attributes:
        username: ``DOMAIN\user``, ``user@REALM`` or ``user``; None means the process's own identity.
        password: the user's password.
        keytab: path of a keytab that holds the user's keys.
        ccache: name of the Kerberos ticket cache to use instead of the process's default (``FILE:/...``).
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    keytab: str | None = None
    ccache: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsAuthentication:
    """SSIS's UseWindowsAuthentication, and what it left to the machine's configuration.

    Attributes:
        identity: who logs in.
        mechanism: which protocols may be used.
        spn: service principal name, ``service/host``; None means ``SMTPSVC/`` and the server's name.
        channel_binding: what ties the login to the TLS session; without TLS there is none.
        anonymous_if_not_offered: go on without login, with a warning, if the server offers no Windows mechanism at
            all (what SSIS does without a word).
    """

    identity: Identity = Identity()
    mechanism: MechanismChoice = MechanismChoice.AUTO
    spn: str | None = None
    channel_binding: ChannelBinding = ChannelBinding.TLS_SERVER_END_POINT
    anonymous_if_not_offered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each wait may last, in seconds (RFC 5321, section 4.5.3.2, shortened where users wait).

    Attributes:
        connect: until the TCP connection stands.
        tls: until the TLS handshake is done.
        command: until the reply to a command, the greeting included.
        data_block: until the transport takes a block of the content.
        final: until the reply to the whole content; Exchange delays it.
        total: until an operation (opening, or sending one message) is done; None means no such limit.
    """

    connect: float = 30
    tls: float = 30
    command: float = 100
    data_block: float = 100
    final: float = 600
    total: float | None = None

    @classmethod
    def capped(cls, seconds: float, *, total: float | None = None) -> Self:
        """Let no wait last longer than ``seconds`` (SSIS Timeout)."""
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
        """Return how long a wait in this phase may last."""
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
                return min(self.command, _GOODBYE)
            case _:
                return self.command


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a client needs to open a session.

    Attributes:
        host: name or address to connect to (SSIS SmtpServer).
        port: TCP port.
        server_name: the server's name in its certificate and SPN, where it is not ``host``.
        tls: TLS settings.
        authentication: None means Anonymous.
        timeouts: how long each wait may last.
        ehlo_name: what to say at EHLO; None means the machine's fully qualified name, else its address.
        pipelining: whether to use PIPELINING where it is offered (RFC 2920).
        message_policy: what every message goes through before it is sent; None lets all of them pass as they are.
    """

    host: str
    port: int = 25
    server_name: str | None = None
    tls: Tls = Tls()
    authentication: WindowsAuthentication | None = None
    timeouts: Timeouts = Timeouts()
    ehlo_name: str | None = None
    pipelining: bool = True
    message_policy: MessagePolicy | None = None

    @property
    def peer_name(self) -> str:
        """The server's name for its certificate and SPN."""
        return self.server_name or self.host
