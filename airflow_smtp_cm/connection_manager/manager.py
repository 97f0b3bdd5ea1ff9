"""The SMTP connection manager: its properties from and to where they are kept, and a client made of them."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_smtp_cm.connection_manager.connection_string import KEYS, ConnectionString, ipv6_address
from airflow_smtp_cm.connection_manager.fields import CONNECTION_FIELDS, CONNECTION_TYPE, PORT
from airflow_smtp_cm.connection_manager.properties import Properties, changed
from airflow_smtp_cm.connection_manager.validation import WINDOWS_OR_ANONYMOUS, problems_of
from airflow_smtp_cm.problems import Problems
from airflow_smtp_cm.smtp.errors import SettingsError
from airflow_smtp_cm.smtp.settings import (
    ChannelBinding,
    Identity,
    MechanismChoice,
    Settings,
    Timeouts,
    Tls,
    TlsMode,
    WindowsAuthentication,
)

if TYPE_CHECKING:
    from typing import Self

    from airflow_smtp_cm.connection_manager.fields import ConnectionField
    from airflow_smtp_cm.smtp.client import SmtpClient
    from airflow_smtp_cm.smtp.trace import TraceSink

logger = logging.getLogger(__name__)

_EXTRAS = tuple(item for item in CONNECTION_FIELDS if item.name != "connection_string")
_PORT = 25
_IMPLICIT_TLS_PORT = 465

# What the connections of other types call the choice of a mechanism, and what they may choose.
_MECHANISM_EXTRAS = ("mechanism", "authentication", "auth_type")
_OTHER_MECHANISMS = frozenset({"basic", "plain", "login", "cram-md5", "oauth", "oauth2", "xoauth2", "oauthbearer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpConnectionManager(Properties):
    """SSIS's SMTP connection manager: its properties, and an open client made of them.

    What is made from an Airflow connection has been validated; the rest is validated when it is used.
    """

    connection_manager_type: ClassVar[str] = "SMTP"

    @classmethod
    def from_connection_string(cls, text: str, **properties: Any) -> Self:
        """Read SSIS's connection string.

        Args:
            text: ``SmtpServer=...;UseWindowsAuthentication=...;EnableSsl=...;``, or the server's name alone.
            properties: what a connection string cannot say.

        Raises:
            SettingsError: everything that is wrong with the string.
        """
        return cls(**ConnectionString.parse(text).properties(), **properties)

    @property
    def connection_string(self) -> str:
        """The connection string, to the letter as SSIS writes it.

        Raises:
            SettingsError: the server or the timeout has a value that no connection string can hold.
        """
        return str(
            ConnectionString(
                smtp_server=self.smtp_server,
                use_windows_authentication=self.use_windows_authentication,
                enable_ssl=self.enable_ssl,
                timeout=None if self.timeout is None else round(self.timeout * 1000),
            )
        )

    @classmethod
    def from_airflow(cls, conn: Any) -> Self:
        """Read an Airflow connection, from the form, a URI, JSON or the environment, and validate it.

        The extra ``connection_string`` sets SSIS's properties; other fields may repeat what it says. Unknown
        keys of the extra are ignored with a warning.

        Args:
            conn: Airflow's Connection, or what has its attributes.

        Raises:
            SettingsError: everything that is wrong with it.
        """
        # In SSIS's words (0xC00291D1).
        if conn.conn_type != CONNECTION_TYPE:
            raise SettingsError(
                f'Connection "{conn.conn_id}" is not of type SMTP. Its type must be {CONNECTION_TYPE}.'
            )
        reading = _Reading(conn)
        manager = cls(**reading.properties)
        reading.problems += problems_of(manager, unreadable=reading.unreadable)
        reading.problems.raise_as(SettingsError)
        return manager

    def to_airflow(self, conn_id: str) -> Any:
        """Return Airflow's Connection that ``from_airflow`` reads back, but for the name and what no connection has.

        The one place here that needs Airflow.
        """
        from airflow.providers.common.compat.sdk import Connection  # noqa: PLC0415 - works without Airflow

        extras = {name: getattr(self, name) for name in changed(self, *(item.name for item in _EXTRAS))}
        if self.smtp_server != self.smtp_server.lower():
            # Airflow reads the host of a URI as lower case.
            extras["connection_string"] = f"{KEYS['smtp_server']}={self.smtp_server};"
        return Connection(
            conn_id=conn_id,
            conn_type=CONNECTION_TYPE,
            description=self.description or None,
            host=self.smtp_server or None,
            port=self.port,
            login=self.username,
            password=self.password,
            extra=json.dumps(extras) if extras else None,
        )

    def settings(self) -> Settings:
        """Return what a client needs to open a session.

        Raises:
            SettingsError: everything that is wrong with the properties.
        """
        self.validate()
        mode = TlsMode(self.tls_mode) if self.enable_ssl else TlsMode.NONE
        if self.timeout is None:
            timeouts = Timeouts(total=self.total_timeout)
        else:
            timeouts = Timeouts.capped(self.timeout, total=self.total_timeout)
        return Settings(
            host=ipv6_address(self.smtp_server) or self.smtp_server,
            port=self.port or (_IMPLICIT_TLS_PORT if mode is TlsMode.IMPLICIT else _PORT),
            server_name=self.server_name,
            tls=Tls(
                mode=mode,
                ca_bundle=self.ca_bundle,
                client_certificate=self.client_certificate,
                client_key=self.client_key,
                client_key_password=self.client_key_password,
                verify=self.verify_certificate,
            ),
            authentication=self._authentication() if self.use_windows_authentication else None,
            timeouts=timeouts,
            ehlo_name=self.ehlo_name,
            pipelining=self.pipelining,
            message_policy=self.message_policy,
        )

    def _authentication(self) -> WindowsAuthentication:
        return WindowsAuthentication(
            identity=Identity(username=self.username, password=self.password, keytab=self.keytab, ccache=self.ccache),
            mechanism=MechanismChoice(self.mechanism),
            spn=self.spn,
            channel_binding=ChannelBinding(self.channel_binding),
            anonymous_if_not_offered=self.anonymous_if_not_offered,
        )

    def acquire(self, *, trace: TraceSink | None = None) -> SmtpClient:
        """Connect, encrypt and log in as the properties say: SSIS's AcquireConnection.

        Args:
            trace: what to call with each line of the dialogue.

        Returns:
            The open client, a context manager that ends the session.

        Raises:
            SettingsError: everything that is wrong with the properties; nothing was sent.
            SmtpError: the session could not be opened.
        """
        from airflow_smtp_cm.smtp.client import SmtpClient  # noqa: PLC0415 - heavy, and needed here only

        return SmtpClient.open(self.settings(), trace=trace)

    def validate(self) -> None:
        """Check the properties and the files they name; nothing is sent.

        Raises:
            SettingsError: everything that is wrong with them.
        """
        Problems(problems_of(self)).raise_as(SettingsError)


class _Reading:
    """What an Airflow connection says, and what of it is wrong.

    Attributes:
        properties: what it says, as properties of the connection manager.
        problems: everything that is wrong.
        unreadable: the properties about which it says something that is wrong.
    """

    def __init__(self, conn: Any) -> None:
        standard = {
            "name": conn.conn_id,
            "description": conn.description,
            "smtp_server": conn.host,
            "username": conn.login,
            "password": conn.password,
        }
        self.properties: dict[str, Any] = {name: value for name, value in standard.items() if value}
        self.problems = Problems()
        self.unreadable: set[str] = set()
        self._take(PORT, conn.port)
        extras = self._extras(conn)
        for item in CONNECTION_FIELDS:
            self._take(item, extras.pop(item.name, None))
        if text := self.properties.pop("connection_string", None):
            self._take_connection_string(text)
        unknown = [*extras.keys() - {"__extra__"}, *(["schema"] if conn.schema else [])]
        if unknown:
            logger.warning(
                'Connection "%s" has fields that are ignored: %s', conn.conn_id, ", ".join(sorted(unknown))
            )

    def _extras(self, conn: Any) -> dict[str, Any]:
        try:
            extras = json.loads(conn.extra or "{}")
        except ValueError:
            extras = None
        if not isinstance(extras, dict):
            raise SettingsError("The extra of the connection must be a JSON object.")
        # The same again, but asked in this way Airflow masks the secrets among them in its logs.
        extras = dict(conn.extra_dejson)
        for name in _MECHANISM_EXTRAS:
            if str(extras.get(name)).lower() in _OTHER_MECHANISMS:
                self.problems.append(f"{name} asks for {extras.pop(name)}. {WINDOWS_OR_ANONYMOUS}")
        return extras

    def _take(self, item: ConnectionField, value: object) -> None:
        try:
            read = item.read(value)
        except SettingsError as error:
            self.problems.add(error)
            self.unreadable.add(item.name)
        else:
            if read is not None:
                self.properties[item.name] = read

    def _take_connection_string(self, text: str) -> None:
        string = self.problems.attempt(ConnectionString.parse, text)
        if string is None:
            self.unreadable |= KEYS.keys() - self.properties.keys()
            return
        for name, value in string.properties().items():
            given = self.properties.setdefault(name, value)
            # The string's spelling of the server stands: a URI has made lower case of the host.
            if name == "smtp_server" and given.lower() == value.lower():
                self.properties[name] = value
            elif given != value:
                field_name = "host" if name == "smtp_server" else name
                self.problems.append(
                    f"{field_name} and the connection string's {KEYS[name]} contradict each other: "
                    f"make them equal, or leave one of them out."
                )
                self.unreadable.add(name)
