"""Messages a second from one worker and from two, over one connection each and over more; for comparison only."""

from __future__ import annotations

import pytest

from tests.cluster.scale import CONNECTIONS, SERVERS, WORKERS, address_of, dag_id_of
from tests.conftest import SHOWN_AT_THE_END


@pytest.mark.parametrize("server", SERVERS)
def test_more_workers_and_connections_deliver_each_message_once(cluster, server, record_property):
    rates = {}
    for workers in range(1, len(WORKERS) + 1):
        for connections in CONNECTIONS:
            dag_id = dag_id_of(server, workers, connections)
            run_id = cluster.airflow.trigger(dag_id)
            cluster.wait_for(lambda dag_id=dag_id, run_id=run_id: cluster.has_ended(dag_id, run_id))

            messages = SERVERS[server] * connections * workers
            cluster.postfix.wait_until_idle()
            to = address_of(server, workers, connections)
            delivered = [message for message in cluster.postfix.messages("many") if message["To"] == to]
            assert len(delivered) == len({message["Subject"] for message in delivered}) == messages
            rates[workers, connections] = messages / cluster.seconds_of_tasks(run_id)

    one = rates[1, CONNECTIONS[0]]
    for (workers, connections), rate in rates.items():
        figures = f"{rate:.1f} messages a second, {rate / one:.2f} times as many as the first"
        record_property(SHOWN_AT_THE_END, f"{server}, {workers} workers, {connections} connections each: {figures}")
