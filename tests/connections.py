"""Airflow connections to the tests' servers, as the JSON that Airflow reads from the environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.servers.people import ALICE, MAIL_HOST
from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from tests.servers.certificates import Certificates
    from tests.servers.postfix import Postfix

_STANDARD_FIELDS = ("conn_type", "description", "host", "port", "login", "password")


def connection(**given: Any) -> str:
    """Return a connection of type smtp_cm; what is no standard field goes into its extra."""
    standard = {name: given.pop(name) for name in _STANDARD_FIELDS if name in given}
    return json.dumps({"conn_type": "smtp_cm", **standard, "extra": given})


def to_postfix(postfix: Postfix, certificates: Certificates, port: str = "default", **changes: Any) -> str:
    """Return a connection by which alice logs in to one of Postfix's ports, by NTLM."""
    given = {
        "host": LOOPBACK,
        "port": postfix.port(port),
        "login": ALICE.down_level,
        "password": ALICE.password,
        "use_windows_authentication": True,
        "mechanism": "ntlm",
        "enable_ssl": True,
        "server_name": MAIL_HOST,
        "ca_bundle": str(certificates.authority),
        "from_email": "alice@corp.test",
    }
    return connection(**{name: value for name, value in (given | changes).items() if value is not None})


def anonymous(port: int, **changes: Any) -> str:
    """Return a connection without TLS and login, to a server that plays a script."""
    return connection(**{"host": LOOPBACK, "port": port, "from_email": "alice@corp.test"} | changes)
