"""A connection manager for a test server."""

import threading

from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from tests.servers import people

ALICE, PASSWORD = people.ALICE.down_level, people.ALICE.password


def manager(server, **properties):
    given = {
        "smtp_server": server.host,
        "port": server.port,
        "enable_ssl": True,
        "server_name": server.server_name,
        "ca_bundle": server.ca_bundle,
        "use_windows_authentication": True,
        "username": ALICE,
        "password": PASSWORD,
    }
    return SmtpConnectionManager(**given | properties)


def threads():
    """Return the running threads, except those of a client's calls, which end a moment after their results arrive."""
    return {thread for thread in threading.enumerate() if thread.name != "airflow_smtp_cm call"}
