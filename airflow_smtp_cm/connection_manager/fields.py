"""The fields of a connection besides Airflow's standard fields: one table for form, extras and documentation.

To add a field, add an entry to ``CONNECTION_FIELDS`` and a property of the same name to ``properties``. A check of
its value belongs in ``validation``, and its use in ``SmtpConnectionManager.settings``.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from airflow_smtp_cm.smtp.errors import SettingsError
from airflow_smtp_cm.smtp.settings import ChannelBinding, MechanismChoice, TlsMode

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECTION_TYPE = "smtp_cm"

# Airflow's standard fields, as the form shows them.
HIDDEN_FIELDS = ("schema",)
RELABELING = {"host": "SMTP server", "login": "User"}
PLACEHOLDERS = {"host": "mail.example.com", "port": "25", "login": r"DOMAIN\user or user@REALM"}

# The form's sections.
_SSIS = "SMTP connection manager"
_TLS = "TLS"
_WINDOWS = "Windows authentication"
_DEFAULTS = "Defaults"
_ADVANCED = "Advanced"

# Seconds: SSIS's Timeout is a 32-bit number of milliseconds.
_SHORTEST = 0.001
_LONGEST = 2_147_483.647

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionField:
    """One key of the connection's extra.

    Attributes:
        name: the key, and the property of ``SmtpConnectionManager`` that it sets.
        label: its label in the form.
        type: its JSON type; every field is optional.
        description: the form's help text.
        section: its section of the form; None is Airflow's own section of the standard fields.
        default: its value in the form of a new connection.
        choices: the permitted values and their labels in the form, if it is a choice.
        minimum: the least permitted number.
        maximum: the greatest permitted number.
        secret: whether the form hides the value. Airflow redacts extras by their names alone.
    """

    name: str
    label: str
    type: Literal["string", "boolean", "number", "integer"]
    description: str
    section: str | None = None
    default: str | bool | None = None
    choices: Mapping[TlsMode | MechanismChoice | ChannelBinding, str] = field(default_factory=dict)
    minimum: float = -math.inf
    maximum: float = math.inf
    secret: bool = False

    def read(self, value: object) -> str | bool | float | None:
        """Return the value as this field's type.

        Args:
            value: from Python, the form, JSON or a URI (which may turn a number into text, or text into a number);
                None and "" mean that the field is not set.

        Raises:
            SettingsError: the field does not permit this value. The message does not contain the value.
        """
        if value is None or value == "":
            return None
        match self.type:
            case "boolean":
                return self._boolean(value)
            case "string" if self.choices:
                return self._choice(value)
            case "string":
                return self._text(value)
            case _:
                return self._number(value)

    def _boolean(self, value: object) -> bool:
        found = _BOOLEANS.get(str(value).lower())
        if found is None:
            raise SettingsError(f"{self.name} must be true or false.")
        return found

    def _choice(self, value: object) -> str:
        for choice in self.choices:
            if value == choice:
                return choice
        raise SettingsError(f"{self.name} must be one of: {', '.join(self.choices)}.")

    def _text(self, value: object) -> str:
        # Airflow turns 12345 in a URI into a number. Turning 1.50 or true back might give another text.
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise SettingsError(f'{self.name} must be text: put it in quotes ("), in a URI too.')
        return value

    def _number(self, value: object) -> float:
        number = math.nan
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                number = float(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = value
        whole = self.type == "integer"
        if not self.minimum <= number <= self.maximum or (whole and number != int(number)):
            kind = "a whole number" if whole else "a number"
            raise SettingsError(f"{self.name} must be {kind} from {self.minimum} to {self.maximum}.")
        return int(number) if whole else number


PORT = ConnectionField(
    name="port",
    label="Port",
    type="integer",
    description="TCP port. Empty: 25, or 465 with implicit TLS.",
    minimum=1,
    maximum=65535,
)

CONNECTION_FIELDS = (
    # The properties of SSIS's connection manager other than its SMTP server, with SSIS's names.
    ConnectionField(
        name="use_windows_authentication",
        label="Use Windows Authentication",
        type="boolean",
        description="Log in as the user above, with the password or a keytab; without a user, with the worker's own "
        "Kerberos tickets. Off: anonymous. For basic authentication, use the connection type SMTP.",
        section=_SSIS,
    ),
    ConnectionField(
        name="enable_ssl",
        label="Enable SSL",
        type="boolean",
        description="Encrypt the session with TLS. Nothing is sent if the server does not offer it.",
        section=_SSIS,
        default=True,
    ),
    ConnectionField(
        name="timeout",
        label="Timeout",
        type="number",
        description="The longest wait for each reply of the server, in seconds. Empty, or less than a second: 30 to "
        "connect, 100 for a command, 600 for a message.",
        section=_SSIS,
        minimum=_SHORTEST,
        maximum=_LONGEST,
    ),
    ConnectionField(
        name="connection_string",
        label="Connection string",
        type="string",
        description="SmtpServer=mail.example.com;UseWindowsAuthentication=True;EnableSsl=True; as in the SSIS "
        "package. It can replace the SMTP server above; the switches must have the same values. Its Timeout is in "
        "milliseconds. Airflow masks it after it is saved.",
        section=_SSIS,
    ),
    # Settings that SSIS takes from the machine's configuration, or does not have.
    ConnectionField(
        name="tls_mode",
        label="TLS mode",
        type="string",
        description="STARTTLS, as in SSIS: the connection begins without TLS and starts it before login and mail. "
        "Implicit TLS: TLS from the first byte.",
        section=_TLS,
        default=TlsMode.STARTTLS.value,
        choices={TlsMode.STARTTLS: "STARTTLS (ports 25, 587)", TlsMode.IMPLICIT: "Implicit TLS (port 465)"},
    ),
    ConnectionField(
        name="server_name",
        label="Server name",
        type="string",
        description="The server's name in its certificate and its service principal name, if the SMTP server above "
        "is an address or an alias.",
        section=_TLS,
    ),
    ConnectionField(
        name="ca_bundle",
        label="CA bundle",
        type="string",
        description="Path, on the worker, of a PEM file with the authorities to trust instead of the system's own.",
        section=_TLS,
    ),
    ConnectionField(
        name="verify_certificate",
        label="Verify certificate",
        type="boolean",
        description="Off accepts any certificate, so that anyone can pose as the server: for tests only.",
        section=_TLS,
        default=True,
    ),
    ConnectionField(
        name="client_certificate",
        label="Client certificate",
        type="string",
        description="Path, on the worker, of a PEM file with the client's certificate chain, and its key unless "
        "Client key is set.",
        section=_TLS,
    ),
    ConnectionField(
        name="client_key",
        label="Client key",
        type="string",
        description="Path, on the worker, of a PEM file with the client's key.",
        section=_TLS,
    ),
    ConnectionField(
        name="client_key_password",
        label="Client key password",
        type="string",
        description="The password that decrypts the client's key.",
        section=_TLS,
        secret=True,
    ),
    ConnectionField(
        name="mechanism",
        label="Mechanism",
        type="string",
        description="The permitted authentication protocols. NTLM needs the user and the password.",
        section=_WINDOWS,
        default=MechanismChoice.AUTO.value,
        choices={
            MechanismChoice.AUTO: "Kerberos, else NTLM",
            MechanismChoice.KERBEROS: "Kerberos only",
            MechanismChoice.NTLM: "NTLM only",
        },
    ),
    ConnectionField(
        name="keytab",
        label="Keytab",
        type="string",
        description="Path, on the worker, of a keytab with the keys of the user above, instead of a password.",
        section=_WINDOWS,
    ),
    ConnectionField(
        name="spn",
        label="SPN",
        type="string",
        description="The server's service principal name, service/host. Empty: SMTPSVC/ and the server's name.",
        section=_WINDOWS,
    ),
    ConnectionField(
        name="channel_binding",
        label="Channel binding",
        type="string",
        description="How the login is bound to the TLS session (Exchange's Extended Protection).",
        section=_WINDOWS,
        default=ChannelBinding.TLS_SERVER_END_POINT.value,
        choices={
            ChannelBinding.TLS_SERVER_END_POINT: "Server certificate (tls-server-end-point)",
            ChannelBinding.TLS_UNIQUE: "Session (tls-unique, TLS 1.2 only)",
            ChannelBinding.NONE: "None",
        },
    ),
    ConnectionField(
        name="anonymous_if_not_offered",
        label="Anonymous if not offered",
        type="boolean",
        description="Send anonymously, with a warning, if the server offers no Windows authentication at all. SSIS "
        "does so without a warning.",
        section=_WINDOWS,
    ),
    ConnectionField(
        name="from_email",
        label="From",
        type="string",
        description="The default sender, such as Reports <reports@example.com>.",
        section=_DEFAULTS,
    ),
    ConnectionField(
        name="ehlo_name",
        label="EHLO name",
        type="string",
        description="The client's name in the EHLO command. Empty: the worker's full host name, or its address.",
        section=_ADVANCED,
    ),
    ConnectionField(
        name="pipelining",
        label="Pipelining",
        type="boolean",
        description="Send commands without waiting for each reply, if the server offers it.",
        section=_ADVANCED,
        default=True,
    ),
    ConnectionField(
        name="chunking",
        label="Chunking",
        type="boolean",
        description="Send content with BDAT, and attachments without encoding, if the server offers CHUNKING and "
        "BINARYMIME. It saves a round trip. Some servers, and gateways before them, do not answer BDAT.",
        section=_ADVANCED,
    ),
    ConnectionField(
        name="total_timeout",
        label="Total timeout",
        type="number",
        description="The longest time, in seconds, for opening the session, and again for sending each message. "
        "Empty: no limit.",
        section=_ADVANCED,
        minimum=_SHORTEST,
        maximum=_LONGEST,
    ),
)
"""The keys of the extra, in the form's order; all except ``connection_string`` are properties of the manager."""
