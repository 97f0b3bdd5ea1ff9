"""Which Airflow the tests run in, and what is elsewhere in it; beside this, what ``make test-matrix`` installs."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models.taskinstance import clear_task_instances
from airflow.utils.session import create_session
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Major and minor: docs/airflow-versions.md says what the older ones lack.
AIRFLOW = Version(version("apache-airflow")).release[:2]

if AIRFLOW >= (3, 2):
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
else:
    from airflow.models.dagbag import DagBag

if AIRFLOW >= (3, 1):
    from structlog.testing import capture_logs

if AIRFLOW >= (3, 0):
    from airflow.sdk.definitions.dag import _run_task
    from airflow.sdk.execution_time import supervisor
else:
    import airflow.providers.fab.auth_manager.models  # noqa: F401 - the table of users, to which notes of tasks refer
    from airflow.models.dag import _run_task

if (3, 0) <= AIRFLOW < (3, 3):
    # As Airflow 3.3 does itself. To make this API anew for each task takes most of the time of dag.test().
    supervisor.in_process_api_server = cache(supervisor.in_process_api_server)

# Where a task's Connection finds what masks secrets.
if AIRFLOW >= (3, 1):
    MASK_SECRET = "airflow.sdk.log.mask_secret"
elif AIRFLOW >= (3, 0):
    MASK_SECRET = "airflow.sdk.execution_time.secrets_masker.mask_secret"
else:
    MASK_SECRET = "airflow.models.connection.mask_secret"

# From 3.3 on, dag.test() loads and stores all DAGs of Airflow's folder at every run. So that folder is empty in the
# tests, and ``load_dags`` stores each DAG once. Below, dag.test() finds a DAG only in that folder.
DAG_TEST_NEEDS_FILES = AIRFLOW < (3, 3)

# From 3.0 to 3.2, dag.test() hands no exception to a notifier; their workers do.
DAG_TEST_TELLS_WHY = AIRFLOW < (3, 0) or AIRFLOW >= (3, 3)

since_3_1 = pytest.mark.skipif(
    AIRFLOW < (3, 1), reason="Airflow below 3.1 has no deadlines, awaits no notifier, and always names the DAG"
)
keeps_state = pytest.mark.skipif(AIRFLOW < (3, 3), reason="Airflow below 3.3 keeps no state of tasks")
renders_to_nothing = pytest.mark.skipif(
    AIRFLOW < (3, 3), reason="Airflow below 3.3 keeps a notifier's template that renders to nothing, as it is"
)
looks_variables_up = pytest.mark.skipif(
    AIRFLOW == (3, 0), reason="Airflow 3.0 looks Variables up in running tasks only, unless the environment has them"
)


def load_dags(folder: Path) -> dict[str, Any]:
    """Return the DAGs of a folder or file, all of which must load."""
    bag = DagBag(folder)
    assert bag.import_errors == {}
    if not DAG_TEST_NEEDS_FILES:
        DagBundlesManager().sync_bundles_to_db()
        sync_bag_to_db(bag, "dags-folder", None)
    return bag.dags


def clear_and_run(dag: Any, ti: Any) -> None:
    """Run a task instance again, as after a user's Clear."""
    task = dag.get_task(ti.task_id)
    with create_session() as session:
        ti = session.merge(ti)
        clear_task_instances([ti], session, dag_run_state=False)
        if AIRFLOW < (3, 1):  # dag.test() leaves no DAG in their database, from which Clear takes the retries
            ti.max_tries = ti.try_number + task.retries
        ti.task = task
        ti.try_number += 1
        session.flush()
        session.expunge_all()
    if AIRFLOW >= (3, 1):
        _run_task(ti=ti, task=task)
    elif AIRFLOW >= (3, 0):
        _run_task(ti=ti)
    else:
        with create_session() as session:
            ti = session.merge(ti)
            ti.task = task
            _run_task(ti=ti, session=session)


def reset_and_run(dag: Any, ti: Any) -> None:
    """Run a task instance again, as after a crash of its scheduler, which is not a Clear (Airflow 3.3)."""
    task = dag.get_task(ti.task_id)
    with create_session() as session:
        ti = session.merge(ti)
        ti.prepare_db_for_next_try(session)
        ti.task = task
        ti.try_number += 1
        session.flush()
        session.expunge_all()
    _run_task(ti=ti, task=task)


@contextmanager
def captured_log() -> Iterator[list[Any]]:
    """Collect what operators write to their log, before Airflow masks it; each entry's text is its ``event``."""
    if AIRFLOW >= (3, 1):
        with capture_logs() as entries:
            yield entries
        return
    entries = []
    handler = logging.Handler()
    handler.emit = lambda record: entries.append({"event": record.getMessage()})
    logger = logging.getLogger("airflow.task.operators")
    logger.addHandler(handler)
    try:
        yield entries
    finally:
        logger.removeHandler(handler)
