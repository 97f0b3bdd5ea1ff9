"""What a task asks people by mail, answered in Airflow's UI."""

from tests.live.mails import facts_of
from tests.servers.processes import wait_until


def test_the_mail_leads_to_where_the_answer_is_given(airflow, page, connect, mails):
    connect("smtp_cm_default")
    run = airflow.trigger("approval")
    (received,) = mails("approval.release: ")
    # The mail leaves a moment before; an answer in between would fail the task.
    assert wait_until(lambda: airflow.tasks("approval", run)[0]["state"] == "awaiting_input", 30)

    page.goto(facts_of(received)["Answer in Airflow"])
    page.get_by_role("button", name="Approve").click()
    assert airflow.wait_for_end("approval", run) == "success"
