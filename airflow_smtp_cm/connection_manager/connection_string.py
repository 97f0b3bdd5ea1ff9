"""SSIS's connection string of the SMTP connection manager: ``SmtpServer=...;UseWindowsAuthentication=...;``.

As SSIS writes it::

    string := "SmtpServer=" server ";" "UseWindowsAuthentication=" bool ";" "EnableSsl=" bool ";"
              [ "Timeout=" int ";" ]
    bool   := "True" | "False"

There is no quoting: a value ends at the next semicolon. How strictly SSIS reads is not documented. Here the keys
may be in any case and order, some may be missing, and spaces around keys and values are ignored.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.problems import Problems
from airflow_smtp_cm.smtp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

logger = logging.getLogger(__name__)

KEYS = {
    "smtp_server": "SmtpServer",
    "use_windows_authentication": "UseWindowsAuthentication",
    "enable_ssl": "EnableSsl",
    "timeout": "Timeout",
}
"""Each property's key, in SSIS's order."""

_PROPERTIES = {key.lower(): name for name, key in KEYS.items()}

_NO_CREDENTIALS = (
    "SSIS's SMTP connection manager has never had basic authentication. For Windows authentication, set the"
    " login and password of the Airflow connection; for basic authentication, use a connection of Airflow's"
    " own type smtp."
)
_REFUSED = {
    **dict.fromkeys(
        (
            *("username", "user name", "user", "userid", "user id", "uid", "login", "domain"),
            *("password", "passwd", "pass", "pwd"),
        ),
        _NO_CREDENTIALS,
    ),
    "port": "SSIS's SMTP connection manager has no such property: set the port of the Airflow connection.",
    **dict.fromkeys(
        ("from", "fromemail", "from_email"),
        "SSIS's SMTP connection manager has no such property: set the extra from_email of the Airflow connection.",
    ),
}

_KINGSWAYSOFT = frozenset({"smtpserverport", "servicetimeout"})
_NOT_KINGSWAYSOFT = (
    "This is a connection string of KingswaySoft's SMTP connection manager, not of SSIS's own. Instead of "
    "SmtpServer and SmtpServerPort, set the host and port of the Airflow connection; instead of EnableSsl "
    "and ServiceTimeout, set its extras enable_ssl and timeout (in seconds). For basic authentication, use a "
    "connection of Airflow's own type smtp."
)

_NEARLY_RIGHT = (
    "Item {} of the connection string has a key that SSIS does not have, but that is nearly one of its keys, or sets "
    f"TLS or a login elsewhere. SSIS's keys are {', '.join(KEYS.values())}."
)

_BOOLEANS = {"true": True, "false": False}
_MAX_LENGTH = 1000  # characters; the longest server name has 255, and the rest is shorter
_DIGITS = re.compile(r"[0-9]{1,10}")
_LONGEST = 2**31 - 1  # SSIS's Timeout has 32 bits
_TIMEOUT = f"Timeout must be a whole number of milliseconds from 1 to {_LONGEST}."


def ipv6_address(server: str) -> str | None:
    """Return the IPv6 address without brackets; None if ``server`` is not an IPv6 address."""
    address = server[1:-1] if server.startswith("[") and server.endswith("]") else server
    try:
        IPv6Address(address)
    except ValueError:
        return None
    return address


def port_problem(server: str) -> str | None:
    """Return the problem if ``server`` is more than a name or an address, such as ``host:25``; else None."""
    if ":" not in server or ipv6_address(server):
        return None
    return (
        "The SMTP server must be a name or an address, without a port or a scheme: set the port of the Airflow "
        "connection."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionString:
    """The values of a connection string; None, or an empty server, for a key that it does not contain.

    Attributes:
        smtp_server: name or address of the server.
        use_windows_authentication: whether to log in.
        enable_ssl: whether to use TLS.
        timeout: milliseconds, as those of ``System.Net.Mail.SmtpClient``: from 1 to 2147483647.

    Raises:
        SettingsError: a connection string cannot contain these values.
    """

    smtp_server: str = ""
    use_windows_authentication: bool | None = None
    enable_ssl: bool | None = None
    timeout: int | None = None

    def __post_init__(self) -> None:
        if ";" in self.smtp_server or self.smtp_server != self.smtp_server.strip():
            raise SettingsError("SmtpServer must not contain a semicolon, nor begin or end with a space.")
        if self.timeout is not None and not 1 <= self.timeout <= _LONGEST:
            raise SettingsError(_TIMEOUT)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a connection string; a text without ``=`` is the server's name, as in Microsoft's samples.

        Keys of credentials, ports and senders are errors, as is a key that is nearly one of SSIS's, or that sets TLS
        or a login elsewhere. Other keys that SSIS does not have are ignored with a warning.

        Raises:
            SettingsError: all problems with it. They contain no value and no unknown key: it might be a password, or
                a part of one.
        """
        if len(text) > _MAX_LENGTH:
            raise SettingsError(f"The connection string is longer than {_MAX_LENGTH:,} characters.")
        items = [item.strip() for item in text.split(";") if item.strip()]
        if "=" not in text and len(items) == 1:
            items = [f"SmtpServer={items[0]}"]
        pairs = [
            (number, key.strip(), value.strip())
            for number, (key, equals, value) in enumerate((item.partition("=") for item in items), start=1)
            if equals
        ]
        keys = Counter(key.lower() for _, key, _ in pairs)
        if _KINGSWAYSOFT & keys.keys():
            raise SettingsError(_NOT_KINGSWAYSOFT)

        problems = Problems(
            f"Item {number} of the connection string is not of the form Key=Value."
            for number, item in enumerate(items, start=1)
            if item.find("=") < 1
        )
        # Only known keys are named: an unknown one may be a part of a password that contains a semicolon.
        problems += dict.fromkeys(
            f"{KEYS.get(_PROPERTIES.get(key, ''), 'An unknown key')} is in the connection string more than once."
            for key, count in keys.items()
            if key and count > 1 and key not in _REFUSED
        )
        values: dict[str, Any] = {}
        unknown: dict[str, int] = {}
        for number, key, value in pairs:
            if name := _PROPERTIES.get(key.lower()):
                values[name] = problems.attempt(_read, name, value)
            elif reason := _REFUSED.get(key.lower()):
                problems.append(f"{key} is not allowed in the connection string. {reason}")
            else:
                unknown[key] = number
        problems += _mistakes(unknown)
        problems.raise_as(SettingsError)
        if unknown:
            logger.warning("Keys that SSIS's connection string does not have are ignored: %s", ", ".join(unknown))
        return cls(**values)

    def __str__(self) -> str:
        """Return the string as SSIS writes it: a switch that is None is False."""
        text = (
            f"SmtpServer={self.smtp_server};"
            f"UseWindowsAuthentication={bool(self.use_windows_authentication)};"
            f"EnableSsl={bool(self.enable_ssl)};"
        )
        return text if self.timeout is None else f"{text}Timeout={self.timeout};"

    def properties(self) -> dict[str, Any]:
        """Return the values that are given, as properties of the connection manager: its timeout is in seconds."""
        values = {
            "smtp_server": self.smtp_server or None,
            "use_windows_authentication": self.use_windows_authentication,
            "enable_ssl": self.enable_ssl,
            "timeout": None if self.timeout is None else self.timeout / 1000,
        }
        return {name: value for name, value in values.items() if value is not None}


def _mistakes(unknown: Mapping[str, int]) -> Iterator[str]:
    """Yield the problems with unknown keys, given with the numbers of their items, that are mistakes."""
    if not unknown:
        return
    # Most strings have none, and every start of Airflow imports this module.
    from airflow_smtp_cm.connection_manager.unknown_keys import problem_with  # noqa: PLC0415

    yield from (_NEARLY_RIGHT.format(number) for key, number in unknown.items() if problem_with(key))


def _read(name: str, value: str) -> str | bool | int:
    if name == "smtp_server":
        if problem := port_problem(value):
            raise SettingsError(problem)
        return value
    if name == "timeout":
        if not _DIGITS.fullmatch(value) or not 1 <= int(value) <= _LONGEST:
            raise SettingsError(_TIMEOUT)
        return int(value)
    if value.lower() not in _BOOLEANS:
        raise SettingsError(f"{KEYS[name]} must be True or False.")
    return _BOOLEANS[value.lower()]
