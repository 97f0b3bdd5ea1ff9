"""The properties of the SMTP connection manager: those of SSIS, and those that SSIS does not have."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.settings import ChannelBinding, MechanismChoice, TlsMode

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.interfaces import MessagePolicy

__all__ = ["Properties"]

_SHORTEST_WAIT = 1.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    r"""The properties of an SMTP connection manager.

    They may be incomplete: SSIS, too, writes ``SmtpServer=;...``. Where None means that a property is not set, ""
    means the same.

    Attributes:
        name: its name in the package; the connection's id in Airflow.
        description: its description.
        smtp_server: name or address of the server.
        use_windows_authentication: whether to log in as a Windows identity; if not, mail is sent anonymously.
        enable_ssl: whether to require TLS.
        timeout: the longest wait for each reply of the server, in seconds; None means the default of each wait, and
            so does less than a second, see ``longest_wait``.
        port: TCP port; None means 25, or 465 with implicit TLS.
        tls_mode: ``starttls`` or ``implicit``.
        server_name: the server's name in its certificate and SPN, if it is not ``smtp_server``.
        ca_bundle: path of a PEM file with the authorities or servers to trust instead of the system's authorities.
        client_certificate: path of a PEM file with the client's chain, and its key unless ``client_key`` is set.
        client_key: path of a PEM file with the client's key.
        client_key_password: the password that decrypts the key.
        verify_certificate: False accepts any certificate; for tests only.
        username: ``DOMAIN\user``, ``user@domain`` (UPN or realm) or ``user``; None means the process's own identity.
        password: the user's password.
        keytab: path of a keytab with the user's keys.
        mechanism: the permitted authentication protocols: ``auto``, ``kerberos`` or ``ntlm``.
        spn: service principal name, ``service/host``; None means ``SMTPSVC/`` and the server's name.
        channel_binding: how the login is bound to TLS: ``tls-server-end-point``, ``tls-unique`` or ``none``.
        anonymous_if_not_offered: whether to send anonymously if the server offers no Windows mechanism at all.
        ccache: name of the Kerberos ticket cache to use instead of the process's default. It depends on the
            machine, so it is not a field of a connection.
        message_policy: checks or replaces every message before it is sent. It is the same for all connections of
            an Airflow, so it is not a field of a connection.
        from_email: the sender of messages that have none.
        ehlo_name: the client's name in EHLO; None means the machine's fully qualified name, else an address.
        pipelining: whether to use PIPELINING if the server offers it.
        chunking: whether to use BDAT and BINARYMIME, instead of DATA, if the server offers them.
        total_timeout: the longest time, in seconds, for opening a session, and again for sending each message; None
            means no limit.
    """

    name: str = "SMTP Connection Manager"
    description: str = ""
    smtp_server: str = ""
    use_windows_authentication: bool = False
    enable_ssl: bool = False
    timeout: float | None = None
    port: int | None = None
    tls_mode: TlsMode = TlsMode.STARTTLS
    server_name: str | None = None
    ca_bundle: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    client_key_password: str | None = field(default=None, repr=False)
    verify_certificate: bool = True
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    keytab: str | None = None
    mechanism: MechanismChoice = MechanismChoice.AUTO
    spn: str | None = None
    channel_binding: ChannelBinding = ChannelBinding.TLS_SERVER_END_POINT
    anonymous_if_not_offered: bool = False
    ccache: str | None = None
    message_policy: MessagePolicy | None = None
    from_email: str | None = None
    ehlo_name: str | None = None
    pipelining: bool = True
    chunking: bool = False
    total_timeout: float | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            if item.default is None and getattr(self, item.name) == "":
                object.__setattr__(self, item.name, None)

    @property
    def longest_wait(self) -> float | None:
        """The timeout that is in effect, in seconds: None if it is not set, or less than a second.

        There are packages with ``Timeout=22``. They send: in .NET Framework, a timeout (in milliseconds) that ends
        before there is a connection has no effect. As a wait for a reply, it would let every mail fail.
        """
        return None if self.timeout is None or self.timeout < _SHORTEST_WAIT else self.timeout


def changed(properties: Properties, *names: str) -> list[str]:
    """Return the names of those properties that differ from their defaults."""
    defaults = {item.name: item.default for item in fields(properties)}
    return [name for name in names if getattr(properties, name) != defaults[name]]
