"""The decisions of the retry policy in a running Airflow: state, delay and reason of tasks."""

from contextlib import ExitStack

import pytest

from tests.connections import anonymous, to_postfix
from tests.live.standalone import PAUSE_SECONDS
from tests.servers.processes import free_ports, wait_until
from tests.servers.scripted import say, scripted_peer

DAGS = {
    "greylisting": "default_policy",
    "throttling": "default_policy",
    "network": "default_policy",
    "permanent": "default_policy",
    "own policy": "own_policy",
}


@pytest.fixture(scope="module")
def tasks(airflow, postfix, certificates):
    """State, delay in seconds and reason of a task after the first try, by its name."""
    (nobody,) = free_ports(1)
    blocked = to_postfix(postfix, certificates, from_email="blocked@corp.test")
    with ExitStack() as stack:
        busy = stack.enter_context(scripted_peer([say("421 4.3.2 Too many connections")]))
        connections = {
            "greylisting": to_postfix(postfix, certificates),
            "throttling": anonymous(busy.port),
            "network": anonymous(nobody),
            "permanent": blocked,
            "own policy": blocked,
        }
        runs = {}
        for name, dag in DAGS.items():
            conn_id = name.replace(" ", "_")
            stack.enter_context(airflow.connected(conn_id, connections[name]))
            to = "later@corp.test" if name == "greylisting" else "carol@corp.test"
            runs[name] = airflow.trigger(dag, smtp_conn_id=conn_id, to=to)
        found = {}

        def have_been_tried():
            found.update({name: task_of(airflow, run) for name, run in runs.items()})
            return all(task[0] in {"up_for_retry", "failed"} for task in found.values())

        assert wait_until(have_been_tried, pause=PAUSE_SECONDS), found
        yield found


def task_of(airflow, run):
    """Read a run's task from the database; the API of Airflow 3.3 returns neither delay nor reason."""
    with airflow.database() as database:
        columns = "state, retry_delay_override, retry_reason"
        return database.execute(f"SELECT {columns} FROM task_instance WHERE run_id = %s", [run]).fetchone()


@pytest.mark.parametrize(
    ("cause", "minutes", "reason", "reply"),
    [
        ("greylisting", 6, "The server deferred recipients (possibly greylisting): ", "451 4.3.0"),
        ("throttling", 10, "The server limits messages or connections: ", "421 4.3.2"),
        ("network", 1, "Network or server unavailable: ", "Connection refused"),
    ],
)
def test_transient_error_is_retried_after_the_delay_of_its_cause_and_the_reason_is_recorded(
    tasks, cause, minutes, reason, reply
):
    state, delay, shown = tasks[cause]

    assert (state, delay) == ("up_for_retry", minutes * 60)
    assert shown.startswith(reason)
    assert reply in shown


def test_permanent_error_fails_without_a_retry(tasks):
    state, _, _ = tasks["permanent"]

    assert state == "failed"


def test_policy_of_the_user_replaces_ours(tasks):
    assert tasks["own policy"] == ("up_for_retry", 2 * 60 * 60, "Own policy")
