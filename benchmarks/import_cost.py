"""What importing a module of ours costs over airflow.sdk: milliseconds and modules, each time in a new process.

Run: .venv/bin/python benchmarks/import_cost.py
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

PROBE = """
import json, sys, time
import airflow.sdk
from airflow.sdk import BaseOperator, BaseHook
before = set(sys.modules)
started = time.perf_counter()
__import__(sys.argv[1])
print(json.dumps([time.perf_counter() - started, sorted(set(sys.modules) - before)]))
"""
MODULES = (
    "airflow.providers.common.compat.sdk",
    "airflow_smtp_cm.operators.send_mail",
    "airflow_smtp_cm.hooks.smtp_cm",
)
ROUNDS = 7


def main() -> None:
    # As installed: compiled already.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for module in MODULES:
        command = [sys.executable, "-c", PROBE, module]
        subprocess.run(command, env=env, capture_output=True, check=True)
        runs = []
        for _ in range(ROUNDS):
            outcome = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
            runs.append(json.loads(outcome.stdout.splitlines()[-1]))
        milliseconds = [1000 * seconds for seconds, _ in runs]
        print(
            f"{module}: {statistics.median(milliseconds):.2f} ms "
            f"({min(milliseconds):.2f} to {max(milliseconds):.2f}), {len(runs[0][1])} modules"
        )


if __name__ == "__main__":
    main()
