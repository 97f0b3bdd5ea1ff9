"""The contexts that the components of Airflow 3.3 give to callbacks and notifiers, all made by Airflow's own code."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEPT: dict[str, dict[str, Any]] = {}
"""The contexts, by what they are about."""

_REQUEST: dict[str, Any] = {"filepath": "alerts.py", "bundle_name": "dags-folder", "bundle_version": None}
_HEARTBEAT_TIMED_OUT = "{'DAG Id': 'alerts', 'Hostname': 'worker-7'}"


def keep(name: str) -> Callable[[Mapping[str, Any]], None]:
    """Return a callback that keeps its context under a name."""

    def callback(context: Mapping[str, Any]) -> None:
        KEPT[name] = dict(context)
        if ti := context.get("ti"):  # the worker changes it later
            KEPT[name]["ti"] = ti.model_copy()

    return callback


def make_contexts(dags: Mapping[str, Any]) -> Mapping[str, dict[str, Any]]:
    """Return the contexts of workers, the dag-processor, the triggerer and the executor."""
    run = dags["alerts"].test()  # its callbacks keep theirs
    dags["alerts_of_a_question"].test()
    _lose_tasks(dags["alerts"], run)
    _end_run(dags["alerts"], run)
    _miss_deadlines(run)
    return KEPT


def _lose_tasks(dag: Any, run: Any) -> None:
    """Let the dag-processor call the callbacks of tasks that were killed, or ended by their trigger."""
    from airflow.api_fastapi.execution_api.datamodels.taskinstance import DagRun, TIRunContext  # noqa: PLC0415
    from airflow.callbacks.callback_requests import TaskCallbackRequest  # noqa: PLC0415
    from airflow.utils.state import TaskInstanceState  # noqa: PLC0415

    known = TIRunContext(dag_run=DagRun.model_validate(run, from_attributes=True), max_tries=2)
    retry, failed = TaskInstanceState.UP_FOR_RETRY, TaskInstanceState.FAILED
    for name, task_id, map_index, state, context in (
        ("a killed task", "load", -1, failed, known),
        ("a killed task with a retry", "load", -1, retry, known),
        ("a killed mapped task", "part", 1, failed, known),
        ("a task that its trigger ended", "load", -1, failed, None),
    ):
        task = dag.get_task(task_id)
        task.on_failure_callback = task.on_retry_callback = [keep(name)]
        _process(
            dag,
            TaskCallbackRequest(
                **_REQUEST,
                ti=_instance(dag, run, task_id, map_index),
                msg=_HEARTBEAT_TIMED_OUT,
                task_callback_type=state,
                context_from_server=context,
            ),
        )


def request_email(dag: Any, context: Mapping[str, Any]) -> None:
    """Let the dag-processor send Airflow's own alert about a killed task."""
    from airflow.api_fastapi.execution_api.datamodels.taskinstance import TIRunContext  # noqa: PLC0415
    from airflow.callbacks.callback_requests import EmailRequest  # noqa: PLC0415

    run, ti = context["dag_run"], context["ti"]
    _process(
        dag,
        EmailRequest(
            **_REQUEST,
            ti=_instance(dag, run, ti.task_id),
            msg=_HEARTBEAT_TIMED_OUT,
            context_from_server=TIRunContext(dag_run=run, max_tries=ti.max_tries),
        ),
    )


def _end_run(dag: Any, run: Any) -> None:
    """Let the dag-processor call the callbacks of a run."""
    from airflow.callbacks.callback_requests import DagCallbackRequest, DagRunContext  # noqa: PLC0415

    for name, last in (
        ("a run", _instance(dag, run, "load")),
        ("a run without a task", None),
    ):
        dag.on_failure_callback = [keep(name)]
        context = DagRunContext(dag_run=run, last_ti=last)
        known = {"dag_id": dag.dag_id, "run_id": run.run_id, "context_from_server": context, "msg": "task_failure"}
        _process(dag, DagCallbackRequest(**_REQUEST, **known))


def _instance(dag: Any, run: Any, task_id: str, map_index: int = -1) -> Any:
    from airflow.api_fastapi.execution_api.datamodels.taskinstance import TaskInstance  # noqa: PLC0415

    return TaskInstance(
        id=uuid.uuid4(),
        dag_id=dag.dag_id,
        task_id=task_id,
        run_id=run.run_id,
        map_index=map_index,
        try_number=1,
        dag_version_id=uuid.uuid4(),
        hostname="worker-7",
    )


def _process(dag: Any, request: Any) -> None:
    import structlog  # noqa: PLC0415
    from airflow.dag_processing.processor import _execute_callbacks  # noqa: PLC0415

    _execute_callbacks(SimpleNamespace(dags={dag.dag_id: dag}), [request], structlog.get_logger())


def _miss_deadlines(run: Any) -> None:
    """Let the scheduler find missed deadlines, and triggerer and executor call their callbacks."""
    import structlog  # noqa: PLC0415
    from airflow.models.deadline import Deadline  # noqa: PLC0415
    from airflow.sdk import AsyncCallback, SyncCallback  # noqa: PLC0415
    from airflow.sdk.execution_time.callback_supervisor import execute_callback  # noqa: PLC0415
    from airflow.triggers.callback import CallbackTrigger  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415

    async def trigger(callback: dict[str, Any]) -> None:
        async for _ in CallbackTrigger(callback["path"], callback["kwargs"]).run():
            pass

    with create_session() as session:

        def miss(callback: Any) -> dict[str, Any]:
            deadline = Deadline(datetime.now(UTC), callback, run.id, None)
            session.add(deadline)
            session.flush()
            deadline.handle_miss(session)
            return dict(deadline.callback.data)

        asyncio.run(trigger(miss(AsyncCallback(missed_for_triggerer))))
        executed = miss(SyncCallback(missed_for_executor))
        execute_callback(executed["path"], executed["kwargs"], "", None, structlog.get_logger())
        session.rollback()


async def missed_for_triggerer(context: Mapping[str, Any]) -> None:
    """Keep the context."""
    keep("a deadline, in the triggerer")(context)


def missed_for_executor(context: Mapping[str, Any]) -> None:
    """Keep the context."""
    keep("a deadline, in the executor")(context)
