"""The cluster starts when the first test uses it, and runs until the last test has ended."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.cluster import Cluster

# ``make test-cluster`` has an environment of its own; there alone, Airflow has the CeleryExecutor.
collect_ignore_glob = [] if importlib.util.find_spec("celery") else ["test_*.py"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster; during the tests, this process is on its machine ``control``."""
    from tests.cluster.cluster import running_cluster  # noqa: PLC0415 - without Celery, nothing is imported

    # Not in pytest's folder, which the users of the servers cannot read.
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    folder.chmod(0o755)
    try:
        with running_cluster(folder) as cluster:
            yield cluster
    finally:
        shutil.move(folder, tmp_path_factory.getbasetemp() / "cluster")
