"""Mails through a running Airflow with LocalExecutor: one mail; a hundred in one task; a hundred in mapped tasks.

Two durations are measured, as Airflow recorded them: that of the tasks, and that of the whole run. If the tasks are
short, the scheduler takes most of the run. Beside them: CPU time and peak memory of the task's process, and how much
more memory that is than with Airflow's own operator.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cases import Case
from benchmarks.cases.connections import login_environment
from benchmarks.hook_connection import hook_connection
from benchmarks.job import Server
from benchmarks.local_executor import local_executor
from benchmarks.rounds import HOOK, OURS, alternate
from benchmarks.sinks import Unavailable
from benchmarks.task_costs import FOLDER, recorded
from tests import connections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.bed import Bed
    from tests.live.standalone import Standalone

MAPPED = f"{OURS}-mapped"
NO_MAIL = "no-mail"  # a task that does nothing: what Airflow itself takes

# The DAGs of each case.
_ANONYMOUS = {
    "airflow/1-mail": {OURS: "speed_operator", HOOK: "speed_operator_of_hook", NO_MAIL: "speed_no_mail"},
    "airflow/1-mail-retries": {OURS: "speed_retries", HOOK: "speed_retries_of_hook"},
}
_WITH_LOGIN = {
    "airflow/1-mail-ntlm": {OURS: "speed_ntlm", HOOK: "speed_password_of_hook"},
    "airflow/1-mail-kerberos": {OURS: "speed_kerberos", HOOK: "speed_password_of_hook"},
}
_MANY = "airflow/100-mails"
_IN_ONE_TASK = {_MANY: {OURS: "speed_one_task", HOOK: "speed_one_task_of_hook"}}
_MAPPED_TASKS = "speed_mapped_tasks"

_RUN_SECONDS = 300.0


def _measure(bed: Bed) -> None:
    cases, variables = _ANONYMOUS | _IN_ONE_TASK, _anonymous(bed)
    try:
        variables |= _with_login(bed)
        cases = _ANONYMOUS | _WITH_LOGIN | _IN_ONE_TASK
    except Unavailable as error:
        bed.log(f"{', '.join(_WITH_LOGIN)}: not measured; missing: {error}")
    with local_executor(variables) as airflow:
        for dag_id in dict.fromkeys(dag_id for dags in cases.values() for dag_id in dags.values()):
            _durations(airflow, dag_id)  # warm-up: the executor's processes load their modules
        for name, dags in cases.items():
            measured = _alternate(airflow, dags, bed.rounds_of_tasks)
            if name == _MANY:
                measured[MAPPED] = [_durations(airflow, _MAPPED_TASKS)[1:]]
            _add(bed, name, measured)


def _anonymous(bed: Bed) -> dict[str, str]:
    port = bed.sink("smtp-sink")
    return {
        "AIRFLOW_CONN_SPEED": connections.anonymous(port),
        "AIRFLOW_CONN_SPEED_HOOK": hook_connection(Server(port=port)),
    }


def _with_login(bed: Bed) -> dict[str, str]:
    servers = bed.servers
    # Both operators trust the authorities of the environment.
    to_postfix = partial(connections.to_postfix, servers.postfix, servers.certificates, "discarding", ca_bundle=None)
    own = Server(port=bed.sink("postfix"), starttls=True, login="password")
    return {
        **login_environment(bed),
        "AIRFLOW_CONN_SPEED_NTLM": to_postfix(),
        "AIRFLOW_CONN_SPEED_KERBEROS": to_postfix(mechanism="kerberos", login=None, password=None),
        "AIRFLOW_CONN_SPEED_PASSWORD": hook_connection(own),
    }


def _add(bed: Bed, name: str, measured: Mapping[str, Sequence[tuple[float, ...]]]) -> None:
    bed.results.add_costs({name: "s", f"{name}/run": "s", f"{name}/cpu": "s", f"{name}/memory": "MiB"}, measured)
    more = [ours[-1] - hooks[-1] for ours, hooks in zip(measured[OURS], measured[HOOK], strict=True)]
    bed.results.add(f"{name}/more-memory", "MiB", {OURS: more})


def _alternate(airflow: Standalone, dags: Mapping[str, str], rounds: int) -> dict[str, list[tuple[float, ...]]]:
    return alternate({client: partial(_costs, airflow, dag_id) for client, dag_id in dags.items()}, rounds)


def _costs(airflow: Standalone, dag_id: str) -> tuple[float, ...]:
    """Return the durations of a task and of its run, and the CPU seconds and the peak memory of its process."""
    run_id, *durations = _durations(airflow, dag_id)
    return (*durations, *recorded(Path(airflow.env[FOLDER]), dag_id, run_id))


def _durations(airflow: Standalone, dag_id: str) -> tuple[str, float, float]:
    """Run a DAG; return the id of the run, the seconds of its tasks, first to last, and of the whole run."""
    run_id = airflow.succeed(dag_id, _RUN_SECONDS)
    path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
    (first,), (last,) = (
        airflow.api.get(path, params={"order_by": order, "limit": 1}).raise_for_status().json()["task_instances"]
        for order in ("start_date", "-end_date")
    )
    run = airflow.run(dag_id, run_id)
    return run_id, _seconds(first["start_date"], last["end_date"]), _seconds(run["start_date"], run["end_date"])


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


CASES = (Case("airflow", _measure, in_quick=False),)
