"""Mails through a running Airflow with LocalExecutor: one mail; a hundred in one task; a hundred in mapped tasks.

Two durations are measured, as Airflow recorded them: that of the tasks, and that of the whole run. If the tasks are
short, the scheduler takes most of the run.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.cases import Case
from benchmarks.hook_connection import hook_connection
from benchmarks.job import Server
from benchmarks.local_executor import local_executor
from benchmarks.rounds import HOOK, OURS, alternate
from tests import connections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.bed import Bed
    from tests.live.standalone import Standalone

MAPPED = f"{OURS}-mapped"

_ONE_MAIL = {OURS: "speed_operator", HOOK: "speed_operator_of_hook"}
_IN_ONE_TASK = {OURS: "speed_one_task", HOOK: "speed_one_task_of_hook"}
_MAPPED_TASKS = "speed_mapped_tasks"

_RUN_SECONDS = 300.0


def _measure(bed: Bed) -> None:
    port = bed.sink("smtp-sink")
    speed = {
        "AIRFLOW_CONN_SPEED": connections.anonymous(port),
        "AIRFLOW_CONN_SPEED_HOOK": hook_connection(Server(port=port)),
    }
    with local_executor(speed) as airflow:
        for dag_id in (*_ONE_MAIL.values(), *_IN_ONE_TASK.values()):
            _costs(airflow, dag_id)  # warm-up: the executor's processes load their modules
        rounds = bed.few_rounds
        _add(bed, "airflow/1-mail", _alternate(airflow, _ONE_MAIL, rounds))
        of_one_task = _alternate(airflow, _IN_ONE_TASK, rounds)
        _add(bed, "airflow/100-mails", of_one_task | {MAPPED: [_costs(airflow, _MAPPED_TASKS)]})


def _add(bed: Bed, name: str, measured: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    bed.results.add_costs({name: "s", f"{name}/run": "s"}, measured)


def _alternate(airflow: Standalone, dags: Mapping[str, str], rounds: int) -> dict[str, list[tuple[float, float]]]:
    return alternate({client: partial(_costs, airflow, dag) for client, dag in dags.items()}, rounds)


def _costs(airflow: Standalone, dag_id: str) -> tuple[float, float]:
    """Return the seconds from the start of the first task to the end of the last, and those of the whole run."""
    run_id = airflow.succeed(dag_id, _RUN_SECONDS)
    path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
    (first,), (last,) = (
        airflow.api.get(path, params={"order_by": order, "limit": 1}).raise_for_status().json()["task_instances"]
        for order in ("start_date", "-end_date")
    )
    run = airflow.run(dag_id, run_id)
    return _seconds(first["start_date"], last["end_date"]), _seconds(run["start_date"], run["end_date"])


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


CASES = (Case("airflow", _measure, in_quick=False),)
