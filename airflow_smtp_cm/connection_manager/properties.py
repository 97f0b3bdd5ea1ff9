"""The properties of the SMTP connection manager: SSIS's, and what SSIS lacks."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.settings import ChannelBinding, MechanismChoice, TlsMode

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.interfaces import MessagePolicy

__all__ = ["Properties"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    r"""The properties of an SMTP connection manager.

    They need not be complete: SSIS, too, writes ``SmtpServer=;...``. Where None means that nothing is said, "" means
    the same.

    Attributes:
        name: its name in the package; the connection's id in Airflow.
        description: its description.
        smtp_server: name or address of the server.
        use_windows_authentication: whether to log in as a Windows identity; else Anonymous.
        enable_ssl: whether to use TLS, which then is mandatory.
        timeout: the longest wait for the server, in seconds; None leaves each wait its own default.
        port: TCP port; None means 25, or 465 with implicit TLS.
        tls_mode: ``starttls`` or ``implicit``.
        server_name: the server's name in its certificate and SPN, where it is not ``smtp_server``.
        ca_bundle: path of a PEM file with the authorities or servers to trust instead of the system's authorities.
        client_certificate: path of a PEM file with the client's chain, and its key unless ``client_key``.
        client_key: path of a PEM file with the client's key.
        client_key_password: what decrypts the key.
        verify_certificate: False accepts any certificate; for tests only.
        username: ``DOMAIN\user``, ``user@REALM`` or ``user``; None means the process's own identity.
        password: the user's password.
        keytab: path of a keytab that holds the user's keys.
        mechanism: which of the Windows protocols may be used: ``auto``, ``kerberos`` or ``ntlm``.
        spn: service principal name, ``service/host``; None means ``SMTPSVC/`` and the server's name.
        channel_binding: what ties the login to TLS: ``tls-server-end-point``, ``tls-unique`` or ``none``.
        anonymous_if_not_offered: go on without login if the server offers no Windows mechanism at all.
        ccache: name of the Kerberos ticket cache to use instead of the process's default. It belongs to the
            machine: no connection has it.
        message_policy: what every message goes through before it is sent. It belongs to the site: no connection
            has it.
        from_email: the sender of messages that name none.
        ehlo_name: what to say at EHLO; None means the machine's fully qualified name, else its address.
        pipelining: whether to use PIPELINING where it is offered.
        total_timeout: seconds that opening a session or sending a message may take; None means no limit.
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
    total_timeout: float | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            if item.default is None and getattr(self, item.name) == "":
                object.__setattr__(self, item.name, None)


def changed(properties: Properties, *names: str) -> list[str]:
    """Return which of these properties differ from their defaults."""
    defaults = {item.name: item.default for item in fields(properties)}
    return [name for name in names if getattr(properties, name) != defaults[name]]
