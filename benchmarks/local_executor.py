"""A running Airflow with LocalExecutor and the benchmarks' DAGs; this package is installed from a wheel."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.installation import install
from benchmarks.task_costs import FOLDER
from tests.live.standalone import ROOT, running_airflow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.live.standalone import Standalone

PARALLELISM = 8  # tasks at the same time, each in its own process


@contextmanager
def local_executor(variables: Mapping[str, str]) -> Iterator[Standalone]:
    """Run Airflow for the block.

    Args:
        variables: environment variables, such as the DAGs' connections.

    Raises:
        Unavailable: see ``install``.
    """
    with tempfile.TemporaryDirectory(prefix="airflow-") as name:
        folder = Path(name)
        for part in ("home", "path", "costs"):
            (folder / part).mkdir()
        # What the DAGs import; of the checkout itself, nothing may be found.
        for package in ("benchmarks", "tests"):
            (folder / "path" / package).symlink_to(ROOT / package)
        environment = {
            **variables,
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(PARALLELISM),
            "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
            "PYTHONPATH": str(folder / "path"),
            FOLDER: str(folder / "costs"),
        }
        airflow = install(folder / "environment")
        with running_airflow(folder / "home", environment, [ROOT / "benchmarks" / "dags"], airflow) as running:
            yield running
