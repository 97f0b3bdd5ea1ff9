"""How Airflow counts the tries of a task that was cleared while it ran; ``task.state_store`` relies on it."""

from types import SimpleNamespace

import pytest
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState

from airflow_smtp_cm.task.state_store import TaskRecord
from tests.airflow_versions import keeps_state
from tests.connections import anonymous
from tests.servers.scripted import expect, expect_content, say, scripted_peer

SENT = [
    *(say("220 hi"), expect("EHLO"), say("250 hi"), expect("MAIL"), say("250 ok"), expect("RCPT"), say("250 ok")),
    *(expect("DATA"), say("354 go on"), expect_content(), say("250 2.0.0 queued")),
]


@pytest.fixture
def cleared_while_it_runs(dags, monkeypatch):
    """Return a function that returns the task instance after its executor has reported the end of its process."""
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner  # noqa: PLC0415 - older Airflow has other ones
    from airflow.models.dagbag import DBDagBag  # noqa: PLC0415

    def cleared_while_it_runs(report):
        dag = dags["calls_with_0_retries"]
        with scripted_peer(SENT) as peer:
            monkeypatch.setenv("AIRFLOW_CONN_MAIL", anonymous(peer.port))
            ti = dag.test().get_task_instance("send")
        with create_session() as session:
            ti = session.merge(ti)
            ti.state = TaskInstanceState.RUNNING
            clear_task_instances([ti], session, dag_run_state=False)
            session.commit()
            executor = SimpleNamespace(
                get_event_buffer=lambda: {ti.key: (report, None)}, has_task=lambda _: False, team_name=None
            )
            SchedulerJobRunner.process_executor_events(
                executor=executor, job_id=ti.queued_by_job_id, scheduler_dag_bag=DBDagBag(), session=session
            )
            session.commit()
            return session.get(TaskInstance, ti.id)

    return cleared_while_it_runs


@keeps_state
@pytest.mark.parametrize(
    ("report", "state", "is_incomplete"),
    [
        (TaskInstanceState.SUCCESS, None, False),
        (TaskInstanceState.FAILED, TaskInstanceState.UP_FOR_RETRY, True),
    ],
    ids=["success, as LocalExecutor", "failure"],
)
def test_task_that_was_cleared_while_it_ran_is_a_cleared_one_if_its_executor_reports_success(
    cleared_while_it_runs, report, state, is_incomplete
):
    ti = cleared_while_it_runs(report)
    following = SimpleNamespace(try_number=ti.try_number + 1, max_tries=ti.max_tries)
    record = TaskRecord({"ti": following, "task_state_store": {}}, durable=True)

    assert ti.state == state
    assert record.is_incomplete == is_incomplete
