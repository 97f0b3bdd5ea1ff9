"""The connection for Airflow's own provider; a separate module, because the hook's module loads Airflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.job import SENDER
from tests.servers.people import ALICE
from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from benchmarks.job import Server


def hook_connection(server: Server) -> str:
    """Return the Airflow connection to a server, as JSON; a login is by password, the only way that the hook has."""
    extra = {"from_email": SENDER, "disable_ssl": True, "disable_tls": not server.starttls}
    login = {"login": ALICE.name, "password": ALICE.password} if server.login else {}
    return json.dumps({"conn_type": "smtp", "host": LOOPBACK, "port": server.port, **login, "extra": extra})
