"""SMTP connection managers become Airflow connections: what ``airflow connections import`` takes."""

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

# Only these are named: another key may be a piece of a password with a semicolon in it.
_CREDENTIALS = {
    **dict.fromkeys(("username", "user name", "user", "user id", "userid", "uid", "login"), "a user name"),
    **dict.fromkeys(("password", "passwd", "pass", "pwd"), "a password"),
    "port": "a port",
}
_WITH_PORT = re.compile(r"(smtpserver\s*=\s*[^:]+):([0-9]{1,5})", re.IGNORECASE)
_PROPERTIES = ("SmtpServer", "UseWindowsAuthentication", "EnableSsl", "Timeout")


def is_smtp(manager: ConnectionManager) -> bool:
    """Return whether it is SSIS's own SMTP connection manager."""
    return manager.creation_name.upper() == "SMTP"


def find(managers: Iterable[ConnectionManager], reference: str) -> ConnectionManager | None:
    """Return the connection manager of that GUID or name."""
    return next((one for one in managers if reference.upper() in {one.dtsid.upper(), one.name.upper()}), None)


@dataclass(slots=True)
class Connections:
    """The Airflow connections for the SMTP connection managers of all packages.

    Attributes:
        by_id: the connections, as ``airflow connections import`` takes them.
    """

    by_id: dict[str, dict[str, Any]] = field(default_factory=dict)
    _names: Names = field(default_factory=Names)
    _ids: dict[str, str] = field(default_factory=dict)

    def add(
        self, manager: ConnectionManager, owner: str, given: Mapping[str, str], scope: Scope, findings: Findings
    ) -> str:
        """Return the id of the connection for an SMTP connection manager; the same one again gets no other.

        Args:
            manager: the connection manager.
            owner: the name of its project or package, for its id if another has the same name and other settings.
            given: properties of connection managers that the project makes parameters of, as ``CM.Mail.SmtpServer``.
            scope: what its expressions can name.
            findings: where to tell what was brought over, and what was not.
        """
        wanted = slug(manager.name, "smtp")
        properties = _Reading(manager, given, scope, findings).properties
        ours = SmtpConnectionManager(name=manager.name, description=manager.description, **properties)
        connection = json.loads(ours.to_airflow(wanted).as_json())
        settings = json.dumps([wanted, connection], sort_keys=True)
        if settings not in self._ids:
            free = wanted if wanted not in self._names else f"{slug(owner, 'package')}_{wanted}"
            conn_id = self._ids[settings] = self._names.take(free)
            self.by_id[conn_id] = connection
        conn_id = self._ids[settings]
        findings.converted(About.CONNECTION, manager.ref_id, f"It is the connection {conn_id}.")
        if conn_id != wanted:
            findings.manual(
                About.CONNECTION,
                manager.ref_id,
                f"Another SMTP connection manager has the same name and other settings, so that this one is "
                f"{conn_id}, not {wanted}.",
            )
        _report_incomplete(ours, conn_id, manager, findings)
        return conn_id

    def as_json(self) -> str:
        """Return them as a file for ``airflow connections import``."""
        return json.dumps(dict(sorted(self.by_id.items())), indent=2, ensure_ascii=False) + "\n"


def _report_incomplete(
    ours: SmtpConnectionManager, conn_id: str, manager: ConnectionManager, findings: Findings
) -> None:
    try:
        ours.validate()
    except SettingsError as error:
        for problem in error.problems:
            findings.manual(About.CONNECTION, manager.ref_id, f"Complete the connection {conn_id}: {problem}")
    if ours.use_windows_authentication:
        findings.manual(
            About.CONNECTION,
            manager.ref_id,
            f"In SSIS whoever runs the package logs in. Give the connection {conn_id} a login and a password or "
            f"keytab, or the workers a Kerberos ticket.",
        )


class _Reading:
    """What an SMTP connection manager says.

    Attributes:
        properties: those of SmtpConnectionManager.
    """

    def __init__(
        self, manager: ConnectionManager, given: Mapping[str, str], scope: Scope, findings: Findings
    ) -> None:
        self._manager = manager
        self._scope = scope
        self._findings = findings
        parameters = {name: given.get(f"CM.{manager.name}.{name}") for name in ("ConnectionString", *_PROPERTIES)}
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
                self._manual(f"The expression of its {name} is left out.")

    def _evaluated(self, name: str) -> str | None:
        text = self._manager.expressions.get(name)
        if text is None:
            return None
        try:
            value, named = self._scope.constant(text)
        except (ExpressionError, Untranslatable) as error:
            # Not the expression: it may hold a password.
            self._manual(f"Its {name} is as stored, since its expression cannot be evaluated here: {error.reason}.")
            return None
        names = ", ".join(map(str, named))
        self._manual(
            f"Its {name} has an expression, evaluated once with what the files say"
            f"{f' of {names}' if names else ''}. Where that differs, override the connection by "
            f"AIRFLOW_CONN_... in the environment."
        )
        return value

    def _parsed(self, text: str) -> dict[str, Any]:
        items = [item.strip() for item in text.split(";") if item.strip()]
        if len(items) == 1 and "=" not in text:
            items = [f"SmtpServer={items[0]}"]
        keys = {key.lower() for key in KEYS.values()}
        known = [item for item in items if item.partition("=")[0].strip().lower() in keys]
        if others := [item.partition("=")[0].strip().lower() for item in items if item not in known]:
            said = ", ".join(dict.fromkeys(_CREDENTIALS.get(key, "something else") for key in others))
            self._manual(
                f"Its connection string says more than SSIS knows: {said}. That is copied nowhere. Windows "
                f"authentication takes the connection's login and password; for others use Airflow's type smtp."
            )
        properties: dict[str, Any] = {}
        if found := next(filter(None, map(_WITH_PORT.fullmatch, known)), None):
            known[known.index(found[0])] = found[1]
            properties["port"] = int(found[2])
            self._manual(
                f"Its SmtpServer has a port, {found[2]}, in it: SSIS finds no server of such a name. The connection "
                f"has them as host and port."
            )
        try:
            return properties | ConnectionString.parse(";".join(known)).properties()
        except SettingsError as error:
            for problem in error.problems:
                self._manual(f"Left out of the connection: {problem}")
        return properties | _what_is_good(known)

    def _manual(self, text: str) -> None:
        self._findings.manual(About.CONNECTION, self._manager.ref_id, text)


def _what_is_good(items: Iterable[str]) -> dict[str, Any]:
    """Return what items of a connection string say, without those that are wrong or contradict each other."""
    by_key = [(item.partition("=")[0].strip().lower(), item) for item in items]
    times = Counter(key for key, _ in by_key)
    good: dict[str, Any] = {}
    for key, item in by_key:
        if times[key] == 1:
            with suppress(SettingsError):
                good |= ConnectionString.parse(item).properties()
    return good
