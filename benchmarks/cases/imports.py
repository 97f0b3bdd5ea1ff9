"""The cost of importing a module in a DAG file, in addition to airflow.sdk, each time in a new process.

Milliseconds, number of modules and, for the operator, user-space instructions. Each of our modules is compared with
its counterpart in Airflow's own provider. The instructions of all imports of a task that sends a message are those in
addition to what Airflow and the DAG file have imported; the operator of Airflow's own provider has no such imports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import cores
from benchmarks.callgrind import CountedWorker
from benchmarks.cases import Case
from benchmarks.rounds import HOOK, OURS, alternate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bed import Bed

_PROBE = """
import json, sys, time
import airflow.sdk
from airflow.sdk import BaseHook, BaseNotifier, BaseOperator
before = len(sys.modules)
started = time.perf_counter()
__import__(sys.argv[1])
print(json.dumps([1000 * (time.perf_counter() - started), len(sys.modules) - before]))
"""
_COUNTED = """
import sys
import airflow.sdk
from airflow.sdk import BaseHook, BaseNotifier, BaseOperator
{before}
for line in sys.stdin:
    for name in line.split():
        __import__(name)
    print("imported", flush=True)
"""
_BEFORE_A_TASK = """
import airflow.sdk.execution_time.cache, airflow.sdk.execution_time.supervisor, airflow.sdk.execution_time.task_runner
import airflow.sdk.definitions.connection
from airflow_smtp_cm.operators.send_mail import SendMailOperator
SendMailOperator(task_id="send", to="reader@bench.test")
"""
_OF_A_TASK = ["task.composition", "task.delivery.one_message", "smtp.client"]
_OF_TASKS = {"anonymous": _OF_A_TASK, "windows": [*_OF_A_TASK, "smtp.authentication"]}
_MODULES = {
    "operator": ("airflow_smtp_cm.operators.send_mail", "airflow.providers.smtp.operators.smtp"),
    "hook": ("airflow_smtp_cm.hooks.smtp_cm", "airflow.providers.smtp.hooks.smtp"),
    "notifier": ("airflow_smtp_cm.notifications.send_mail", "airflow.providers.smtp.notifications.smtp"),
}


def _measure(kind: str, bed: Bed) -> None:
    runs = {client: partial(_cost, module, bed) for client, module in _by_client(kind)}
    for run in runs.values():
        run()  # compiles the bytecode
    bed.results.add_costs(
        {f"import/{kind}": "ms", f"import/{kind}/modules": "modules"}, alternate(runs, bed.few_rounds)
    )


def _count(bed: Bed) -> None:
    counted = {}
    for client, module in _by_client("operator"):
        _cost(module, bed)  # compiles the bytecode
        counted[client] = [_instructions([module], bed)]
    bed.results.add("import/operator/instructions", "instructions", counted)


def _count_of_tasks(bed: Bed) -> None:
    for login, modules in _OF_TASKS.items():
        names = [f"airflow_smtp_cm.{module}" for module in modules]
        counted = [_instructions(names, bed, _BEFORE_A_TASK) for _ in range(2)]  # the first one compiles the bytecode
        bed.results.add(f"import/task-{login}/instructions", "instructions", {OURS: counted[1:]})


def _instructions(modules: Sequence[str], bed: Bed, before: str = "") -> int:
    command = [sys.executable, "-c", _COUNTED.format(before=before)]
    with CountedWorker("import", command, bed.environment) as worker:
        worker.ask("sys")  # already imported
        loop = worker.count("sys")
        return worker.count(" ".join(modules)) - loop


def _by_client(kind: str) -> list[tuple[str, str]]:
    return list(zip((OURS, HOOK), _MODULES[kind], strict=True))


def _cost(module: str, bed: Bed) -> tuple[float, ...]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | bed.environment
    with cores.on(cores.CLIENTS):
        outcome = subprocess.run(
            [sys.executable, "-c", _PROBE, module], env=env, capture_output=True, text=True, check=True
        )
    return tuple(json.loads(outcome.stdout.splitlines()[-1]))


CASES = (
    *(Case(f"import/{kind}", partial(_measure, kind), in_quick=kind == "operator") for kind in _MODULES),
    Case("import/operator/instructions", _count, in_quick=False),
    Case("import/task", _count_of_tasks, in_quick=False),
)
