"""What can be wrong with a connection manager's properties, found before any server is asked."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_smtp_cm.connection_manager.connection_string import port_problem
from airflow_smtp_cm.connection_manager.fields import CONNECTION_FIELDS, PORT
from airflow_smtp_cm.connection_manager.properties import changed
from airflow_smtp_cm.problems import Problems
from airflow_smtp_cm.smtp.settings import MechanismChoice

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from airflow_smtp_cm.connection_manager.properties import Properties

WINDOWS_OR_ANONYMOUS = (
    "The SMTP connection manager knows Anonymous and Windows authentication only: switch on "
    "use_windows_authentication, or, for basic authentication or OAuth, use a connection of Airflow's own "
    "type smtp."
)

# In SSIS's words (0xC00291C4).
_NO_SERVER = (
    "The Simple Mail Transfer Protocol (SMTP) server is not specified. "
    "Provide a valid name or IP address of the SMTP server."
)
_NOT_IN_A_HOST = frozenset("/\\@;=,*?\"'<>()")
_SPN = re.compile(r"[^/@]+/[^/@]+")
_MAX_TEXT = 4096  # characters: paths can be as long, and all else is shorter
_ADDRESS = re.compile(r"[^@]+@[^@]+")  # enough to see a mistake; whoever sends parses it


def problems_of(manager: Properties, *, unreadable: Container[str] = ()) -> Iterator[str]:
    """Say everything that is wrong with the properties, and with the files they name; nothing is sent.

    Args:
        manager: the properties.
        unreadable: properties that could not be read from their source, so that nothing follows from them.
    """
    if too_long := [item.name for item in fields(manager) if _is_too_long(item.name, getattr(manager, item.name))]:
        yield f"{_are(too_long)} longer than {_MAX_TEXT:,} characters."
        return
    if "smtp_server" not in unreadable:
        yield from _server_problems(manager)
    yield from _option_problems(manager)
    yield from _text_problems(manager)
    yield from _file_problems(manager)
    if "use_windows_authentication" not in unreadable:
        yield from _authentication_problems(manager)
    if "enable_ssl" not in unreadable:
        yield from _tls_problems(manager)


def _server_problems(manager: Properties) -> Iterator[str]:
    if not manager.smtp_server:
        yield _NO_SERVER
    elif problem := port_problem(manager.smtp_server):
        yield problem
    elif not _is_word(manager.smtp_server) or not _NOT_IN_A_HOST.isdisjoint(manager.smtp_server):
        yield "The SMTP server has characters in it that no host's name or address has."


def _option_problems(manager: Properties) -> Problems:
    problems = Problems()
    for item in (PORT, *CONNECTION_FIELDS):
        if item.type in ("integer", "number") or item.choices:
            problems.attempt(item.read, getattr(manager, item.name))
    return problems


def _text_problems(manager: Properties) -> Iterator[str]:
    for name in ("server_name", "ehlo_name", "spn"):
        if not _is_word(getattr(manager, name) or ""):
            yield f"{name} has spaces or control characters in it."
    if manager.spn and not _SPN.fullmatch(manager.spn):
        yield "spn must be service/host, as in SMTPSVC/mail.example.com."
    if manager.username and not manager.username.isprintable():
        yield "The user name has control characters in it."
    if manager.from_email and not (_ADDRESS.fullmatch(manager.from_email) and manager.from_email.isprintable()):
        yield "from_email must be one e-mail address."


def _file_problems(manager: Properties) -> Iterator[str]:
    for name in ("keytab", "ca_bundle", "client_certificate", "client_key"):
        if path := getattr(manager, name):
            try:
                Path(path).open("rb").close()
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                yield f"{name}: the file {path!r} cannot be read on this machine: {reason}."


def _authentication_problems(manager: Properties) -> Iterator[str]:
    if not manager.use_windows_authentication:
        if given := changed(manager, "username", "password", "keytab"):
            yield f"{_are(given)} given, and Windows authentication is off. {WINDOWS_OR_ANONYMOUS}"
        if given := changed(manager, "mechanism", "spn", "channel_binding", "anonymous_if_not_offered"):
            yield f"{_are(given)} set, and use_windows_authentication is off: switch it on, or remove what needs it."
        return
    if manager.password and not manager.username:
        yield "A password is given without a user name: set the login."
    if manager.keytab and not manager.username:
        yield "A keytab is given without the name of its user: set the login to user@REALM."
    if manager.keytab and manager.password:
        yield "A keytab and a password are given: use one of them."
    if manager.mechanism == MechanismChoice.NTLM:
        if manager.keytab:
            yield "A keytab is of no use to NTLM: give a password instead, or use Kerberos."
        elif not manager.password:
            yield "NTLM needs a user name and a password: set the login and the password."


def _tls_problems(manager: Properties) -> Iterator[str]:
    files = ("ca_bundle", "client_certificate", "client_key", "client_key_password")
    if not manager.enable_ssl:
        if given := changed(manager, "tls_mode", *files, "verify_certificate"):
            yield f"{_are(given)} set, and enable_ssl is off: switch it on, or remove what needs it."
    elif not manager.client_certificate and (given := changed(manager, "client_key", "client_key_password")):
        yield f"{_are(given)} given without client_certificate."


def _is_too_long(name: str, value: object) -> bool:
    return isinstance(value, str) and len(value) > _MAX_TEXT and name != "description"


def _is_word(text: str) -> bool:
    return text.isprintable() and " " not in text


def _are(names: list[str]) -> str:
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'}"
