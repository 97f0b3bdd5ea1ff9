"""The SMTP connection manager: from a connection string or an Airflow connection to an open client."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, overload

from airflow_smtp_cm.characters.control import visible
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
    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.smtp.client import SmtpClient
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.trace import TraceSink

logger = logging.getLogger(__name__)

_EXTRAS = tuple(item for item in CONNECTION_FIELDS if item.name != "connection_string")
_PORT = 25
_IMPLICIT_TLS_PORT = 465

# The mechanisms of other connection types.
_OTHER_MECHANISMS = frozenset({"basic", "plain", "login", "cram-md5", "oauth", "oauth2", "xoauth2", "oauthbearer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpConnectionManager(Properties):
    """SSIS's SMTP connection manager: its properties, and the client that it opens.

    ``from_airflow`` validates the properties; otherwise they are validated when they are used.
    """

    connection_manager_type: ClassVar[str] = "SMTP"

    @classmethod
    def from_connection_string(cls, text: str, **properties: Any) -> Self:
        """Return a manager with the properties of SSIS's connection string.

        Args:
            text: ``SmtpServer=...;UseWindowsAuthentication=...;EnableSsl=...;``, or the server's name alone.
            properties: those that a connection string cannot contain.

        Raises:
            SettingsError: all problems with the string.
        """
        return cls(**ConnectionString.parse(text).properties(), **properties)

    @property
    def connection_string(self) -> str:
        """The connection string, exactly as SSIS writes it.

        Raises:
            SettingsError: a connection string cannot contain the value of the server or of the timeout.
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
        """Return a manager with the properties of an Airflow connection, and validate them.

        The connection may come from the form, a URI, JSON or the environment. Its extra ``connection_string`` sets
        SSIS's properties; other fields may repeat its values. An unknown key of the extra is a problem if it is
        almost a known one, or if other connection types use it for TLS or a login; else it is ignored with a warning.

        Args:
            conn: Airflow's Connection, or an object with its attributes.

        Raises:
            SettingsError: all problems with it.
        """
        # In SSIS's words (0xC00291D1).
        if conn.conn_type != CONNECTION_TYPE:
            raise SettingsError(
                f'Connection "{conn.conn_id}" is not of type SMTP Connection Manager (smtp_cm): its type is '
                f"{visible(str(conn.conn_type))}. Add a connection of that type: the fields of other types differ."
            )
        reading = _Reading(conn)
        manager = cls(**reading.properties)
        reading.problems += problems_of(manager, unreadable=reading.unreadable)
        reading.problems.raise_as(SettingsError)
        return manager

    def to_airflow(self, conn_id: str) -> Any:
        """Return an Airflow Connection from which ``from_airflow`` returns the same manager.

        The manager's name, ``ccache`` and ``message_policy`` are not in it. Only this method needs Airflow.
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
        """Return the settings with which a client opens a session.

        Raises:
            SettingsError: all problems with the properties.
        """
        self.validate()
        mode = TlsMode(self.tls_mode) if self.enable_ssl else TlsMode.NONE
        if self.timeout != self.longest_wait:
            logger.warning(
                'The timeout of the connection "%s" is less than a second. It is ignored, as in SSIS, and the '
                "default timeouts apply. Set at least a second (Timeout=1000 in a connection string), or remove it.",
                self.name,
            )
        return Settings(
            host=ipv6_address(self.smtp_server) or self.smtp_server,
            port=self.port or (_IMPLICIT_TLS_PORT if mode is TlsMode.IMPLICIT else _PORT),
            server_name=ipv6_address(self.server_name or "") or self.server_name,
            tls=Tls(
                mode=mode,
                ca_bundle=self.ca_bundle,
                client_certificate=self.client_certificate,
                client_key=self.client_key,
                client_key_password=self.client_key_password,
                verify=self.verify_certificate,
            ),
            authentication=self._authentication() if self.use_windows_authentication else None,
            timeouts=Timeouts.capped(self.longest_wait or math.inf, total=self.total_timeout),
            ehlo_name=self.ehlo_name,
            pipelining=self.pipelining,
            chunking=self.chunking,
            message_policy=self.prepared if self.message_policy or self.from_email else None,
        )

    def _authentication(self) -> WindowsAuthentication:
        return WindowsAuthentication(
            identity=Identity(username=self.username, password=self.password, keytab=self.keytab, ccache=self.ccache),
            mechanism=MechanismChoice(self.mechanism),
            spn=self.spn,
            channel_binding=ChannelBinding(self.channel_binding),
            anonymous_if_not_offered=self.anonymous_if_not_offered,
        )

    @overload
    def prepared(self, message: MailMessage) -> MailMessage: ...

    @overload
    def prepared(self, message: Outgoing) -> Outgoing: ...

    def prepared(self, message: Outgoing) -> Outgoing:
        """Return the message that is sent: with the default sender if it has none, and as the message policy permits.

        A client does this with every message.

        Raises:
            InvalidMessage: there is no sender.
            ValueError: the message policy rejects the message.
        """
        from airflow_smtp_cm.mail.message import MailMessage  # noqa: PLC0415 - slow to import, and needed only here

        if isinstance(message, MailMessage):
            message = message.with_default_sender(self.from_email)
        return self.message_policy(message) if self.message_policy else message

    def acquire(self, *, trace: TraceSink | None = None) -> SmtpClient:
        """Connect, start TLS and log in, according to the properties (SSIS AcquireConnection).

        Args:
            trace: called with each line of the dialogue.

        Returns:
            The open client, a context manager that ends the session.

        Raises:
            SettingsError: all problems with the properties; no server was connected to.
            SmtpError: the session could not be opened.
        """
        from airflow_smtp_cm.smtp.client import SmtpClient  # noqa: PLC0415 - slow to import, and needed only here

        return SmtpClient.open(self.settings(), trace=trace)

    def validate(self) -> None:
        """Check the properties and the files that they name, without connecting.

        Raises:
            SettingsError: all problems with them.
        """
        Problems(problems_of(self)).raise_as(SettingsError)


class _Reading:
    """The properties in an Airflow connection, and the problems with them.

    Attributes:
        properties: the properties of the connection manager that it sets.
        problems: all problems with it.
        unreadable: the properties for which it has an invalid value.
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
        self._read(PORT, conn.port)
        extras = self._extras(conn)
        for item in CONNECTION_FIELDS:
            self._read(item, extras.pop(item.name, None))
        if text := self.properties.pop("connection_string", None):
            self._read_connection_string(text)
        self._check_unknown(extras, conn)

    def _extras(self, conn: Any) -> dict[str, Any]:
        try:
            extras = json.loads(conn.extra or "{}")
        except ValueError:
            extras = None
        if not isinstance(extras, dict):
            raise SettingsError("The extra of the connection must be a JSON object.")
        # The same value; but when it is read through this property, Airflow masks the secrets in it in its logs.
        extras = dict(conn.extra_dejson)
        if str(extras.get("mechanism")).lower() in _OTHER_MECHANISMS:
            self.problems.append(f"mechanism is {extras.pop('mechanism')}. {WINDOWS_OR_ANONYMOUS}")
        return extras

    def _check_unknown(self, extras: dict[str, Any], conn: Any) -> None:
        """Report unknown fields that are mistakes as problems, and warn about the others."""
        if not extras and not conn.schema:
            return
        # Most connections have none, and every start of Airflow imports this module.
        from airflow_smtp_cm.connection_manager.unknown_keys import problem_with, replacement_of, schema_problem  # noqa: PLC0415

        problems = {key: problem_with(key, value) for key, value in extras.items() if value not in (None, "")}
        if conn.schema:
            problems["schema"] = schema_problem(conn.schema)
        self.problems += filter(None, problems.values())
        if ignored := sorted(key for key, problem in problems.items() if not problem):
            shown = (visible(key) + replacement_of(key) for key in ignored)
            logger.warning('Connection "%s" has fields that are ignored: %s', conn.conn_id, ", ".join(shown))

    def _read(self, item: ConnectionField, value: object) -> None:
        try:
            read = item.read(value)
        except SettingsError as error:
            self.problems.add(error)
            self.unreadable.add(item.name)
        else:
            if read is not None:
                self.properties[item.name] = read

    def _read_connection_string(self, text: str) -> None:
        string = self.problems.attempt(ConnectionString.parse, text)
        if string is None:
            self.unreadable |= KEYS.keys() - self.properties.keys()
            return
        for name, value in string.properties().items():
            given = self.properties.setdefault(name, value)
            # The string's spelling of the server is used: a URI turns the host into lower case.
            if name == "smtp_server" and given.lower() == value.lower():
                self.properties[name] = value
            elif given != value:
                field_name = "host" if name == "smtp_server" else name
                self.problems.append(
                    f"{field_name} and the connection string's {KEYS[name]} contradict each other: "
                    f"make them equal, or remove one of them."
                )
                self.unreadable.add(name)
