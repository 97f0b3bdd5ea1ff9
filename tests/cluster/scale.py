"""What is sent to measure the scale: by each worker, over each of its connections, the same number of messages."""

from __future__ import annotations

from itertools import chain

WORKERS = ("worker1", "worker2")
# Of each worker.
CONNECTIONS = (1, 4)
# Whether these are the connections of one task (the operator's ``connections``), or each is a mapped task of its own.
IN_ONE_TASK = False
# The servers by their connections: the messages of each connection.
SERVERS = {"by_keytab": 200, "delaying": 15}


def dag_id_of(server: str, workers: int, connections: int) -> str:
    """Return the DAG that sends to a server from so many workers, over so many connections each."""
    return f"scale_{server}_{workers}_{connections}"


def address_of(server: str, workers: int, connections: int) -> str:
    """Return the recipient of all messages of that DAG."""
    return f"many+{dag_id_of(server, workers, connections)}@corp.test"


def messages_of(server: str, worker: str, workers: int, connections: int) -> list[list[dict[str, str]]]:
    """Return the messages of a worker in that DAG, for each of its tasks."""
    to = address_of(server, workers, connections)
    of_connections = [
        [{"to": to, "subject": f"{worker}-{connection}-{number}"} for number in range(SERVERS[server])]
        for connection in range(connections)
    ]
    return [list(chain.from_iterable(of_connections))] if IN_ONE_TASK else of_connections
