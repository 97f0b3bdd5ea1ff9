"""Each message is delivered once, or its task reports that delivery is uncertain, whatever fails meanwhile."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import krb5
import pytest

from tests.cluster.scale import WORKERS
from tests.conftest import SHOWN_AT_THE_END
from tests.servers.faulty_proxy import Point

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.cluster import Cluster, Try
    from tests.servers.faulty_proxy import FaultyProxy

MAPPED_TASKS = int(os.environ.get("TASKS", "500"))
DURING_A_FAILURE = min(24, MAPPED_TASKS)
LARGE = 8_000_000  # bytes; much more than the buffers of a connection
FINAL_SECONDS = 30  # the client's timeout for the final reply, in which the network is cut

UNCERTAIN = ("may have been delivered or not", "delivery is uncertain")


class Run:
    """A run of mapped tasks that send one message each.

    Args:
        cluster: where it runs.
        name: its name, which is a part of the recipients' addresses.
        messages: the number of tasks.
        attachment: the attachment of the first message, which is sent over the connection ``held``.
    """

    def __init__(self, cluster: Cluster, name: str, messages: int, attachment: Path | None = None) -> None:
        self.cluster = cluster
        self.name = name
        self.messages = messages
        held = {"held": "held", "attachment": str(attachment)} if attachment else {}
        self.run_id = cluster.airflow.trigger("mapped", name=name, messages=messages, **held)

    def tries(self) -> list[Try]:
        """Return the last try of each task."""
        return self.cluster.tries(self.run_id)

    def wait_until_in_progress(self) -> None:
        """Wait until the first task has sent its message."""
        self.cluster.wait_for(lambda: any(each.state == "success" for each in self.tries()))

    def wait_for_end(self) -> list[Try]:
        """Wait until the run has ended, and return the last try of each task."""
        self.cluster.wait_for(lambda: self.cluster.has_ended("mapped", self.run_id))
        return self.tries()

    def uncertain(self) -> dict[int, int]:
        """Wait until the run has ended, and check each task and its mailbox.

        Returns:
            The messages whose tasks report that their delivery is uncertain; for each, its copies in the mailbox.
        """
        tries = self.wait_for_end()
        assert [each.number for each in tries] == list(range(self.messages))
        copies = self._copies()
        uncertain = {}
        for each in tries:
            if each.state == "success":
                assert copies[each.number] == 1, each
                continue
            log = self.cluster.airflow.log_of_task("mapped", self.run_id, "send", each.tries, each.number)
            assert each.state == "failed", (each, log)
            assert any(text in log for text in UNCERTAIN), (each, log)
            assert copies[each.number] <= 1, each
            uncertain[each.number] = copies[each.number]
        return uncertain

    def machine(self, number: int) -> str:
        """Return the machine of a task's last try."""
        return self.tries()[number].machine

    def _copies(self) -> Counter[int]:
        """Count the delivered messages of the run by the number of their task."""
        self.cluster.postfix.wait_until_idle()
        beginning = f"carol+{self.name}-"
        numbers = [
            message["To"].removeprefix(beginning).partition("@")[0]
            for message in self.cluster.postfix.messages("carol")
            if message["To"].startswith(beginning)
        ]
        return Counter(map(int, numbers))


@pytest.fixture
def start(cluster):
    """A function that starts a run."""

    def start(name: str, messages: int = DURING_A_FAILURE, attachment: Path | None = None) -> Run:
        return Run(cluster, name, messages, attachment)

    return start


@pytest.fixture(scope="session")
def large(cluster) -> Path:
    """A file that is the attachment of a message in whose content a task is held."""
    file: Path = cluster.folder / "large.bin"
    file.write_bytes(os.urandom(LARGE))
    return file


@pytest.fixture
def show_uncertain(record_property, request):
    """A function that shows at the end of the output how many further messages were uncertain."""

    def show(uncertain: dict[int, int]) -> None:
        counts = f"{len(uncertain)} further messages uncertain, {sum(uncertain.values())} of them delivered"
        record_property(SHOWN_AT_THE_END, f"{request.node.name}: {counts}")

    return show


@contextmanager
def held(cluster: Cluster, run: Run, proxy: FaultyProxy) -> Iterator[str]:
    """Wait until the first task is held, and yield its machine; after the block, the task is released."""
    cluster.wait_for(proxy.at_point.is_set)
    yield run.machine(0)
    proxy.client_is_back.set()


def end_of_ticket(folder: Path) -> int:
    """Return when the ticket of a machine ends, in seconds since 1970; 0 if it is just being renewed."""
    cache = krb5.cc_resolve(krb5.init_context(), f"FILE:{folder / 'krb5cc'}".encode())
    return max((entry.times.endtime for entry in cache), default=0)


def test_mapped_tasks_over_both_workers_deliver_each_message_once_while_tickets_are_renewed(cluster, start):
    first_tickets = {worker: end_of_ticket(cluster.folder / worker) for worker in WORKERS}
    run = start("many", MAPPED_TASKS)

    assert run.uncertain() == {}
    assert {each.machine for each in run.tries()} == set(WORKERS)

    cluster.wait_for(lambda: time.time() > max(first_tickets.values()))
    after = start("after", len(WORKERS) * 4)
    assert after.uncertain() == {}
    for worker, end in first_tickets.items():
        assert end_of_ticket(cluster.folder / worker) > end


def test_worker_that_is_killed_in_the_midst_of_a_content(cluster, start, large, show_uncertain):
    with cluster.held(Point.CONTENT) as proxy:
        run = start("killed", attachment=large)
        with held(cluster, run, proxy) as worker:
            cluster.components[worker].kill()
            cluster.let_queued_time_out(run.run_id)
            cluster.let_heartbeats_time_out(run.run_id, worker)
        uncertain = run.uncertain()

    assert uncertain.pop(0) == 0
    show_uncertain(uncertain)


def test_worker_whose_network_is_cut_in_the_midst_of_a_content(cluster, start, large, show_uncertain):
    with cluster.held(Point.CONTENT) as proxy:
        run = start("unplugged", attachment=large)
        with held(cluster, run, proxy) as worker, cluster.network[worker].unplugged():
            cluster.let_queued_time_out(run.run_id)

            def is_left() -> bool:
                cluster.let_heartbeats_time_out(run.run_id, worker)
                return run.tries()[0].state == "failed"

            cluster.wait_for(is_left)
        uncertain = run.uncertain()

    assert uncertain.pop(0) == 0
    show_uncertain(uncertain)


def test_server_that_one_worker_cannot_reach_any_more(cluster, start, large, show_uncertain):
    with cluster.held(Point.FINAL, timeout=FINAL_SECONDS) as proxy:
        run = start("unreachable", attachment=large)
        with held(cluster, run, proxy) as worker, cluster.network.cut(worker, "mail"):
            cluster.wait_for(lambda: run.tries()[0].state == "failed")
        uncertain = run.uncertain()

    assert uncertain.pop(0) == 1
    show_uncertain(uncertain)


@pytest.mark.parametrize("server", ["redis", "database"])
def test_restart_of_redis_or_postgresql(cluster, start, server, show_uncertain):
    run = start(server)
    run.wait_until_in_progress()
    with getattr(cluster, server).stopped():
        pass

    show_uncertain(run.uncertain())
