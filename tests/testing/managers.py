"""A connection manager for a test server."""

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
