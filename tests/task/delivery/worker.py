"""One try of a task as a worker runs it: Airflow's task runner, and its supervisor, which calls the Execution API.

Both are Airflow's code, connected by a socket as in a worker, so that errors of the API reach the task in the same
way. Here, the supervisor is a thread of this process.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import psutil
import structlog
from airflow.sdk.api.datamodels._generated import TaskInstance, TIRunContext
from airflow.sdk.execution_time.comms import CommsDecoder, MaskSecret
from airflow.sdk.execution_time.supervisor import (
    ActivitySubprocess,
    length_prefixed_frame_reader,
    set_supervisor_comms,
)
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk.api.client import Client

_ID = UUID(int=1)
_NOW = "2026-01-01T00:00:00Z"
_RUN = {
    "run_id": "run",
    "run_type": "manual",
    "state": "running",
    "consumed_asset_events": [],
    **dict.fromkeys(("logical_date", "start_date", "run_after"), _NOW),
    **dict.fromkeys(("data_interval_start", "data_interval_end", "end_date", "partition_key")),
}


class _Supervisor(ActivitySubprocess):
    """Airflow's supervisor, without a process of its own."""

    def _handle_request(self, msg: Any, log: Any, req_id: int) -> None:
        if isinstance(msg, MaskSecret):  # here, the task has already masked it for both
            self.send_msg(None, request_id=req_id)
        else:
            super()._handle_request(msg, log, req_id)


class Tried(NamedTuple):
    """How a try ended.

    Attributes:
        state: the state of the task.
        error: the error; None after a success.
    """

    state: str
    error: BaseException | None


def run_try(task: Any, client: Client, *, try_number: int = 1, retries: int = 2) -> Tried:
    """Run one try of a task.

    Args:
        task: the operator, in a DAG.
        client: the supervisor's client of the Execution API.
        try_number: the number of the try.
        retries: how many retries the task has.
    """
    server = TIRunContext.model_validate(
        {"dag_run": _RUN | {"dag_id": task.dag_id}, "max_tries": retries, "should_retry": try_number <= retries}
    )
    what = TaskInstance(
        id=_ID, task_id=task.task_id, dag_id=task.dag_id, run_id="run", try_number=try_number, dag_version_id=_ID
    )
    ti = RuntimeTaskInstance.model_construct(
        **what.model_dump(exclude_unset=True),
        task=task,
        _ti_context_from_server=server,
        max_tries=retries,
        start_date=server.dag_run.start_date,
        state="running",
    )
    before = signal.getsignal(signal.SIGTERM)  # Airflow sets its own
    try:
        with _supervised(client):
            state, _, error = run(ti, ti.get_template_context(), structlog.get_logger())
    finally:
        signal.signal(signal.SIGTERM, before)
    return Tried(str(state.value), error)


@contextmanager
def _supervised(client: Client) -> Iterator[None]:
    """Answer the requests of the task in this thread."""
    of_task, of_supervisor = socket.socketpair()
    supervisor = _Supervisor(
        id=_ID,
        pid=os.getpid(),
        stdin=of_supervisor,
        process=psutil.Process(),
        process_log=structlog.get_logger(),
        client=client,
    )
    answer, _ = length_prefixed_frame_reader(
        supervisor.handle_requests(structlog.get_logger()), on_close=lambda _: None
    )

    def answer_all() -> None:
        while answer(of_supervisor):
            pass

    thread = threading.Thread(target=answer_all, daemon=True)
    thread.start()
    with closing(of_supervisor), set_supervisor_comms(CommsDecoder(socket=of_task)):
        try:
            yield
        finally:
            of_task.close()
            thread.join()
