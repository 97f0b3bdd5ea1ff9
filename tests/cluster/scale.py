"""What is sent to measure the scale: by each worker, over each of its connections, the same number of messages."""

from __future__ import annotations

WORKERS = ("worker1", "worker2")
CONNECTIONS = (1, 4)  # of each worker
# The servers by their connections: the messages for each connection to the server.
SERVERS = {"by_keytab": 200, "delaying": 15}


def dag_id_of(server: str, workers: int, connections: int) -> str:
    """Return the DAG that sends to a server from so many workers, over so many connections each."""
    return f"scale_{server}_{workers}_{connections}"


def address_of(server: str, workers: int, connections: int) -> str:
    """Return the recipient of all messages of that DAG."""
    return f"many+{dag_id_of(server, workers, connections)}@corp.test"


def messages_of(server: str, worker: str, workers: int, connections: int) -> list[dict[str, str]]:
    """Return the messages that a worker sends in that DAG."""
    to = address_of(server, workers, connections)
    return [{"to": to, "subject": f"{worker}-{number}"} for number in range(SERVERS[server] * connections)]
