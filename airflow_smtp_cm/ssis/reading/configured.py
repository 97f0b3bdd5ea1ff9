"""Applies the values of configurations to a package: to SMTP connections, files, Send Mail tasks and variables.

Other properties have no influence on mail, and are not changed.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_smtp_cm.ssis.model import EventHandler, Executable
from airflow_smtp_cm.ssis.reading.properties import guid
from airflow_smtp_cm.ssis.reading.safe_xml import NotReadableError
from airflow_smtp_cm.ssis.reading.send_mail_data import read_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_smtp_cm.ssis.model import ConnectionManager, Package, SendMail

_Owner = TypeVar("_Owner", Executable, EventHandler)

_TEXTS = {
    "FromLine": "from_line",
    "ToLine": "to_line",
    "CCLine": "cc_line",
    "BCCLine": "bcc_line",
    "Subject": "subject",
    "MessageSource": "message_source",
}
_NUMBERS = {"Priority": "priority", "MessageSourceType": "message_source_type"}
_OF_SMTP = ("SmtpServer", "UseWindowsAuthentication", "EnableSsl", "Timeout")
_TRUE = frozenset({"true", "-1", "1"})


@dataclass(frozen=True, slots=True)
class Target:
    """The property that a configuration sets.

    Attributes:
        owner: ``ref_id`` of the executable or event handler.
        collection: ``Connections`` or ``Variables``; empty for a property of the owner itself.
        member: the connection manager, or the variable with its namespace.
        property: the property.
    """

    owner: str
    collection: str
    member: str
    property: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A value for a property.

    Attributes:
        path: the property's path in the file.
        target: what the path means.
        value: the value, without secrets; None if it is one.
        secret: whether the file has a secret here.
    """

    path: str
    target: Target
    value: str | None
    secret: bool = False


def configured(package: Package, settings: Sequence[Setting]) -> tuple[Package, tuple[Setting, ...]]:
    """Return a package with the values of a configuration file, and the settings that were applied.

    Args:
        package: the package.
        settings: the file's settings; those for other packages and other properties are skipped.
    """
    by_owner: dict[str, list[Setting]] = defaultdict(list)
    for setting in settings:
        by_owner[setting.target.owner].append(setting)
    applied: set[Setting] = set()
    root = _rebuilt(package.root, by_owner, applied)
    managers = {manager.name: manager for manager in package.connection_managers}
    for setting in by_owner[package.root.ref_id]:
        manager = managers.get(setting.target.member) if setting.target.collection == "Connections" else None
        if manager and (changed := _manager(manager, setting)):
            managers[manager.name] = changed
            applied.add(setting)
    changed_managers = tuple(managers[manager.name] for manager in package.connection_managers)
    return replace(package, root=root, connection_managers=changed_managers), tuple(
        setting for setting in dict.fromkeys(settings) if setting in applied
    )


def _rebuilt(owner: _Owner, by_owner: Mapping[str, Iterable[Setting]], applied: set[Setting]) -> _Owner:
    for setting in by_owner.get(owner.ref_id, ()):
        changes = _changes(owner, setting)
        if changes:
            owner = replace(owner, **changes)
            applied.add(setting)
    within: dict[str, Any] = {"executables": tuple(_rebuilt(one, by_owner, applied) for one in owner.executables)}
    if isinstance(owner, Executable):
        within["event_handlers"] = tuple(_rebuilt(one, by_owner, applied) for one in owner.event_handlers)
    return replace(owner, **within) if any(getattr(owner, name) != new for name, new in within.items()) else owner


def _changes(owner: Executable | EventHandler, setting: Setting) -> dict[str, Any]:
    """Return the fields of an executable or event handler that a setting changes."""
    target, value = setting.target, setting.value
    if target.collection == "Variables" and target.property == "Value":
        names = [f"{one.namespace}::{one.name}" for one in owner.variables]
        if target.member not in names:
            return {}
        place = names.index(target.member)
        changed = replace(owner.variables[place], value=value)
        return {"variables": (*owner.variables[:place], changed, *owner.variables[place + 1 :])}
    if target.collection or value is None:
        return {}
    if target.property in {"Disable", "Disabled"}:
        return {"disabled": value.strip().lower() in _TRUE}
    if isinstance(owner, Executable) and owner.mail and (mail := _mail(owner.mail, target.property, value)):
        return {"mail": mail}
    return {}


def _mail(mail: SendMail, name: str, value: str) -> SendMail | None:
    changes: dict[str, Any] = {}
    if name in _TEXTS:
        changes = {_TEXTS[name]: value}
    elif name == "SmtpConnection":
        changes = {"smtp_connection": guid(value)}
    elif name == "FileAttachments":
        changes = {"attachments": tuple(file for file in value.split("|") if file)}
    elif name in _NUMBERS:
        with suppress(NotReadableError):
            changes = {_NUMBERS[name]: getattr(read_numbers({name: value}), _NUMBERS[name])}
    return replace(mail, **changes) if changes else None


def _manager(manager: ConnectionManager, setting: Setting) -> ConnectionManager | None:
    name, value = setting.target.property, setting.value
    if value is None:
        return None
    if name == "ConnectionString":
        return replace(manager, connection_string=value)
    if name in _OF_SMTP and manager.creation_name.upper() == "SMTP":
        stored = manager.connection_string
        items = (stored if "=" in stored else f"SmtpServer={stored}").split(";")
        others = [one for one in items if one.strip() and one.partition("=")[0].strip().lower() != name.lower()]
        return replace(manager, connection_string=";".join([f"{name}={value}", *others, ""]))
    return None
