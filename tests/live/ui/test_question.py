"""A question of a task, sent by mail and answered in Airflow's UI."""

from tests.live.mails import facts_of
from tests.live.standalone import PAUSE_SECONDS
from tests.servers.processes import wait_until


def test_the_mail_links_to_the_page_where_the_question_is_answered(airflow, page, connect, mails):
    connect("smtp_cm_default")
    run = airflow.trigger("approval")
    (received,) = mails("approval.release: ")
    # An answer before this would fail the task: docs/notifier.md, "Somebody has to decide".
    waits = f"TaskInstance Finished: dag_id=approval, task_id=release, run_id={run},"
    assert wait_until(lambda: waits in airflow.logs(), pause=PAUSE_SECONDS)

    page.goto(facts_of(received)["Answer in Airflow"])
    page.get_by_role("button", name="Approve").click()
    assert airflow.wait_for_end("approval", run) == "success"
