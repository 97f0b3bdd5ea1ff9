"""The costs of a task's process: the benchmarks' DAGs record them, and the harness reads them."""

from __future__ import annotations

import json
import os
import re
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "BENCHMARK_TASK_COSTS"
"""The environment variable with the folder of the records."""


def record(context: Mapping[str, Any]) -> None:
    """Record the CPU seconds and the peak memory of this process; a callback for tasks that have succeeded."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    ti = context["ti"]
    costs = [usage.ru_utime + usage.ru_stime, int(peak[1]) / 1024]
    _file(Path(os.environ[FOLDER]), ti.dag_id, ti.run_id).write_text(json.dumps(costs))


def recorded(folder: Path, dag_id: str, run_id: str) -> tuple[float, float]:
    """Return the CPU seconds and the peak memory, in MiB, of the only task of a run."""
    cpu, peak = json.loads(_file(folder, dag_id, run_id).read_text())
    return cpu, peak


def _file(folder: Path, dag_id: str, run_id: str) -> Path:
    return folder / f"{dag_id} {run_id}.json"
