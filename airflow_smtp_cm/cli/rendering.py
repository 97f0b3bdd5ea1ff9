"""Renders the templates of a task that does not run, as ``airflow tasks render`` does.

Airflow has no public function for this, so the functions of that command are used. With them alone, no XCom is found;
here, XComs, Variables and connections are read as ``airflow tasks test`` reads them, from the configured database.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import structlog
from airflow.cli.commands.task_command import _get_template_context, _get_ti
from airflow.sdk import timezone
from airflow.sdk.execution_time.supervisor import (
    InProcessSupervisorComms,
    InProcessTestSupervisor,
    set_supervisor_comms,
)
from airflow.utils.cli import get_bagged_dag, get_db_dag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Context


@contextmanager
def rendered(
    dag_id: str, task_id: str, *, map_index: int, run_id: str | None, conf: Mapping[str, Any] | None
) -> Iterator[Context]:
    """Render a task's templates, and yield its context, whose ``task`` has the rendered fields.

    During the block, hooks find connections, and templates find XComs and Variables.

    Args:
        dag_id: the id of the DAG.
        task_id: the id of the task.
        map_index: the index of a mapped task; -1 for others.
        run_id: the id of a run; if None, of a run that exists only here, and begins now.
        conf: the parameters of that run.

    Raises:
        Exception: whatever Airflow raises, if there is no such DAG, task or run, or what a template raises.
    """
    task = get_bagged_dag(None, dag_id).get_task(task_id)
    ti, is_new = _get_ti(
        get_db_dag(None, dag_id).get_task(task_id),
        map_index,
        # A date is the logical date of a run that is not in the database.
        logical_date_or_run_id=run_id or timezone.utcnow().isoformat(),
        create_if_necessary=False if run_id else "memory",
    )
    if is_new:
        ti.dag_run.conf = conf
    supervisor = InProcessTestSupervisor(
        id=ti.id,
        pid=os.getpid(),
        process=psutil.Process(),
        process_log=structlog.get_logger(),
        client=InProcessTestSupervisor._api_client(),  # type: ignore[no-untyped-call]  # noqa: SLF001 - see above
    )
    supervisor.comms = InProcessSupervisorComms(supervisor=supervisor)
    with set_supervisor_comms(supervisor.comms):
        context = _get_template_context(ti, task)
        context["ti"].start_date = ti.start_date or timezone.utcnow()  # Airflow's function omits it
        task.render_template_fields(context)
        yield context
