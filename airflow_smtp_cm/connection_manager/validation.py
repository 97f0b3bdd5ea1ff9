"""Validation of a connection manager's properties, without connecting to a server."""

from __future__ import annotations

import math
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_smtp_cm.connection_manager.connection_string import port_problem
from airflow_smtp_cm.connection_manager.fields import CONNECTION_FIELDS, PORT
from airflow_smtp_cm.connection_manager.login_validation import password_problems, user_name_problems
from airflow_smtp_cm.connection_manager.properties import changed
from airflow_smtp_cm.problems import Problems
from airflow_smtp_cm.smtp.settings import MechanismChoice

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from airflow_smtp_cm.connection_manager.properties import Properties

WINDOWS_OR_ANONYMOUS = (
    "The SMTP connection manager supports only anonymous and Windows authentication: enable "
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
_MAX_TEXT = 4096  # characters: the longest path; all other values are shorter


def problems_of(manager: Properties, *, unreadable: Container[str] = ()) -> Iterator[str]:
    """Yield all problems with the properties and with the files that they name.

    Args:
        manager: the properties.
        unreadable: properties whose values could not be read; checks that depend on them are skipped.
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
        yield "The SMTP server contains characters that are not valid in a host name or an address."


def _option_problems(manager: Properties) -> Problems:
    problems = Problems()
    for item in (PORT, *CONNECTION_FIELDS):
        if item.type in ("integer", "number"):
            value = getattr(manager, item.name)
            # Texts of Airflow's connections are numbers already; others cannot be compared with numbers.
            problems.attempt(item.read, math.nan if isinstance(value, str) else value)
        elif item.choices:
            problems.attempt(item.read, getattr(manager, item.name))
    return problems


def _text_problems(manager: Properties) -> Iterator[str]:
    for name in ("server_name", "ehlo_name", "spn"):
        if not _is_word(getattr(manager, name) or ""):
            yield f"{name} contains spaces or control characters."
    if manager.spn and not _SPN.fullmatch(manager.spn):
        yield "spn must be service/host, as in SMTPSVC/mail.example.com."
    if manager.username:
        yield from user_name_problems(manager.username, with_password=bool(manager.password))
    if manager.password:
        yield from password_problems(manager.password)
    if manager.from_email:
        yield from _sender_problems(manager.from_email)


def _sender_problems(line: str) -> Problems:
    from airflow_smtp_cm.mail.addresses import parse_sender  # noqa: PLC0415 - slow to import, and seldom needed

    problems = Problems()
    problems.attempt(parse_sender, line, field="from_email")
    return problems


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
            yield f"{_are(given)} set, but Windows authentication is off. {WINDOWS_OR_ANONYMOUS}"
        if given := changed(manager, "mechanism", "spn", "channel_binding", "anonymous_if_not_offered"):
            yield _needs("use_windows_authentication", given)
        return
    if manager.password and not manager.username:
        yield "A password is given without a user name: set the login."
    if manager.keytab and not manager.username:
        yield "A keytab is given without a user name: set the login to user@REALM."
    if manager.keytab and manager.password:
        yield "Both a keytab and a password are given: remove one of them."
    if manager.mechanism == MechanismChoice.NTLM:
        if manager.keytab:
            yield "NTLM cannot use a keytab: set a password instead, or use Kerberos."
        elif not manager.password:
            yield "NTLM needs a user name and a password: set the login and the password."


def _tls_problems(manager: Properties) -> Iterator[str]:
    files = ("ca_bundle", "client_certificate", "client_key", "client_key_password")
    if not manager.enable_ssl:
        if given := changed(manager, "tls_mode", *files, "verify_certificate"):
            yield _needs("enable_ssl", given)
    elif not manager.client_certificate and (given := changed(manager, "client_key", "client_key_password")):
        yield f"{_are(given)} given without client_certificate."


def _is_too_long(name: str, value: object) -> bool:
    return isinstance(value, str) and len(value) > _MAX_TEXT and name != "description"


def _is_word(text: str) -> bool:
    return text.isprintable() and " " not in text


def _needs(switch: str, given: list[str]) -> str:
    return f"{_are(given)} set, but {switch} is off: enable it, or remove {' and '.join(given)}."


def _are(names: list[str]) -> str:
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'}"
