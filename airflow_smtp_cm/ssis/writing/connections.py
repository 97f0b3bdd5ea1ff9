"""Converts SMTP connection managers to Airflow connections, in the format of ``airflow connections import``."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.connection_manager.connection_string import KEYS, ConnectionString
from airflow_smtp_cm.smtp.errors import SettingsError
from airflow_smtp_cm.ssis.expressions import ExpressionError, Untranslatable
from airflow_smtp_cm.ssis.writing.findings import About, Findings
from airflow_smtp_cm.ssis.writing.names import Names, slug

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_smtp_cm.ssis.model import ConnectionManager
    from airflow_smtp_cm.ssis.writing.scope import Scope

# Only these keys are named in the report: another key may be part of a password that contains a semicolon.
_CREDENTIALS = {
    **dict.fromkeys(("username", "user name", "user", "user id", "userid", "uid", "login"), "a user name"),
    **dict.fromkeys(("password", "passwd", "pass", "pwd"), "a password"),
    "port": "a port",
}
_WITH_PORT = re.compile(r"(smtpserver\s*=\s*[^:]+):([0-9]{1,5})", re.IGNORECASE)
_PROPERTIES = ("SmtpServer", "UseWindowsAuthentication", "EnableSsl", "Timeout")


def is_smtp(manager: ConnectionManager) -> bool:
    """Return whether this is SSIS's own SMTP connection manager."""
    return manager.creation_name.upper() == "SMTP"


def find(managers: Iterable[ConnectionManager], reference: str) -> ConnectionManager | None:
    """Return the connection manager with this GUID or name."""
    return next((one for one in managers if reference.upper() in {one.dtsid.upper(), one.name.upper()}), None)


@dataclass(slots=True)
class Connections:
    """The Airflow connections for the SMTP connection managers of all packages.

    Attributes:
        by_id: the connections, in the format of ``airflow connections import``.
    """

    by_id: dict[str, dict[str, Any]] = field(default_factory=dict)
    _names: Names = field(default_factory=Names)
    _ids: dict[str, str] = field(default_factory=dict)

    def add(
        self, manager: ConnectionManager, owner: str, overrides: Mapping[str, str], scope: Scope, findings: Findings
    ) -> str:
        """Add the connection of an SMTP connection manager, and return its id; equal settings share it.

        Args:
            manager: the connection manager.
            owner: the name of its project or package: a prefix of the id if another connection manager has the same
                name and different settings.
            overrides: the project's parameters for connection managers, such as ``CM.Mail.SmtpServer``.
            scope: the names that its expressions can use.
            findings: collects what was converted, what is manual and what was skipped.
        """
        wanted = slug(manager.name, "smtp")
        properties = _Reading(manager, overrides, scope, findings).properties
        ours = SmtpConnectionManager(name=manager.name, description=manager.description, **properties)
        connection = json.loads(ours.to_airflow(wanted).as_json())
        settings = json.dumps([wanted, connection], sort_keys=True)
        if settings not in self._ids:
            free = wanted if wanted not in self._names else f"{slug(owner, 'package')}_{wanted}"
            conn_id = self._ids[settings] = self._names.take(free)
            self.by_id[conn_id] = connection
        conn_id = self._ids[settings]
        findings.converted(About.CONNECTION, manager.ref_id, f"Connection {conn_id}.")
        if conn_id != wanted:
            findings.manual(
                About.CONNECTION,
                manager.ref_id,
                f'The id of its connection is "{conn_id}": "{wanted}" belongs to an SMTP connection manager with the '
                f"same name and different settings.",
            )
        _report_incomplete(ours, conn_id, manager, findings)
        return conn_id

    def as_json(self) -> str:
        """Return the connections as a file for ``airflow connections import``."""
        return json.dumps(dict(sorted(self.by_id.items())), indent=2, ensure_ascii=False) + "\n"


def _report_incomplete(
    ours: SmtpConnectionManager, conn_id: str, manager: ConnectionManager, findings: Findings
) -> None:
    try:
        ours.validate()
    except SettingsError as error:
        for problem in error.problems:
            findings.manual(
                About.CONNECTION, manager.ref_id, f'Complete the connection "{conn_id}": {problem}', blocks=True
            )
    if ours.timeout != ours.longest_wait:
        findings.skipped(
            About.CONNECTION,
            manager.ref_id,
            f"Its Timeout is less than a second and has no effect, as in SSIS, which ignores a timeout that ends "
            f'before there is a connection. The default timeouts apply to the connection "{conn_id}".',
        )
    if ours.use_windows_authentication:
        findings.manual(
            About.CONNECTION,
            manager.ref_id,
            f"SSIS authenticates as the account that runs the package. Set login and password, or a keytab, in the "
            f'connection "{conn_id}", or give the workers a Kerberos ticket.',
            blocks=True,
        )


class _Reading:
    """Reads the settings of an SMTP connection manager.

    Attributes:
        properties: arguments of SmtpConnectionManager.
    """

    def __init__(
        self, manager: ConnectionManager, overrides: Mapping[str, str], scope: Scope, findings: Findings
    ) -> None:
        self._manager = manager
        self._scope = scope
        self._findings = findings
        parameters = {name: overrides.get(f"CM.{manager.name}.{name}") for name in ("ConnectionString", *_PROPERTIES)}
        text = self._evaluated("ConnectionString")
        if text is None:
            text = parameters["ConnectionString"] or manager.connection_string
        self.properties = self._parsed(text)
        for name in _PROPERTIES:
            value = self._evaluated(name)
            if value is None:
                value = parameters[name]
            if value is not None:
                self.properties |= self._parsed(f"{name}={value};")
        for name in manager.expressions:
            if name not in parameters:
                self._manual(f"The expression of its {name} was skipped.")

    def _evaluated(self, name: str) -> str | None:
        text = self._manager.expressions.get(name)
        if text is None:
            return None
        try:
            value, named = self._scope.constant(text)
        except (ExpressionError, Untranslatable) as error:
            # The finding does not quote the expression: it may contain a password.
            self._manual(
                f"Its {name} is the stored value, because its expression cannot be evaluated: {error.reason}."
            )
            return None
        names = ", ".join(map(str, named))
        self._manual(
            f"Its {name} is an expression, and was evaluated once"
            f"{f' with the stored values of {names}' if names else ''}. Where the value differs, override the "
            f"connection with AIRFLOW_CONN_... in the environment."
        )
        return value

    def _parsed(self, text: str) -> dict[str, Any]:
        items = [item.strip() for item in text.split(";") if item.strip()]
        if len(items) == 1 and "=" not in text:
            items = [f"SmtpServer={items[0]}"]
        keys = {key.lower() for key in KEYS.values()}
        known = [item for item in items if item.partition("=")[0].strip().lower() in keys]
        if others := [item.partition("=")[0].strip().lower() for item in items if item not in known]:
            names = ", ".join(dict.fromkeys(_CREDENTIALS.get(key, "something else") for key in others))
            self._manual(
                f"Its connection string has keys that SSIS does not support: {names}. They were not copied. Windows "
                f"authentication uses the connection's login and password; for other authentication use Airflow's "
                f"connection type smtp."
            )
        properties: dict[str, Any] = {}
        if found := next(filter(None, map(_WITH_PORT.fullmatch, known)), None):
            known[known.index(found[0])] = found[1]
            properties["port"] = int(found[2])
            self._manual(
                f"Its SmtpServer includes the port {found[2]}, which SSIS does not support. The connection has "
                f"host and port."
            )
        try:
            return properties | ConnectionString.parse(";".join(known)).properties()
        except SettingsError as error:
            for problem in error.problems:
                self._manual(f"Not in the connection: {problem}")
        return properties | _valid_properties(known)

    def _manual(self, text: str) -> None:
        self._findings.manual(About.CONNECTION, self._manager.ref_id, text)


def _valid_properties(items: Iterable[str]) -> dict[str, Any]:
    """Return the properties of those items of a connection string that are valid and unique."""
    by_key = [(item.partition("=")[0].strip().lower(), item) for item in items]
    counts = Counter(key for key, _ in by_key)
    valid: dict[str, Any] = {}
    for key, item in by_key:
        if counts[key] == 1:
            with suppress(SettingsError):
                valid |= ConnectionString.parse(item).properties()
    return valid
