"""A running Airflow with LocalExecutor and the benchmarks' DAGs."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.live.standalone import ROOT, running_airflow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.live.standalone import Standalone

PARALLELISM = 8  # tasks at the same time, each in its own process


@contextmanager
def local_executor(connections: Mapping[str, str]) -> Iterator[Standalone]:
    """Run Airflow for the block.

    Args:
        connections: the DAGs' connections, as environment variables.
    """
    environment = {
        **connections,
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(PARALLELISM),
        "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
        "PYTHONPATH": str(ROOT),
    }
    with (
        tempfile.TemporaryDirectory(prefix="airflow-") as home,
        running_airflow(Path(home), environment, [ROOT / "benchmarks" / "dags"]) as airflow,
    ):
        yield airflow
