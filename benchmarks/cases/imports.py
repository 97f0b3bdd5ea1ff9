"""The cost of importing a module in a DAG file, in addition to airflow.sdk, each time in a new process.

Milliseconds, number of modules and, for the operator, user-space instructions. Each of our modules is compared with
its counterpart in Airflow's own provider.
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
for line in sys.stdin:
    __import__(line.strip())
    print("imported", flush=True)
"""
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
        command = [sys.executable, "-c", _COUNTED]
        with CountedWorker(f"{client}-import", command, bed.environment) as worker:
            worker.ask("sys")  # already imported
            loop = worker.count("sys")
            counted[client] = [worker.count(module) - loop]
    bed.results.add("import/operator/instructions", "instructions", counted)


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
)
