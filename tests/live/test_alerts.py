"""Notifications of failures, deadlines and questions, from every process of Airflow that sends them.

All runs are manual runs without a logical date.
"""

import re
import socket

import pytest

from tests.live.mails import facts_of
from tests.live.stage import Victim, kill
from tests.servers.processes import LOOPBACK, PATIENCE_SECONDS, wait_until

MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"


@pytest.fixture(autouse=True)
def connection(connect):
    """The connection that Airflow's alerts use."""
    connect("smtp_cm_default")


def test_a_failed_task_is_reported_by_the_worker(airflow, mails):
    run = airflow.trigger("failure_alert")

    (received,) = mails("failure_alert.load_orders: failed (try 1)")
    facts = facts_of(received)
    assert received.message["Importance"] == "high"
    assert facts.keys() >= {"DAG", "Task", "Try", "State", "Start", "Duration", "Log"}
    assert facts["Run"] == run
    assert facts["Exception"] == "ValueError: No orders of yesterday"
    assert facts["Run in Airflow"].startswith(f"{airflow.url}/dags/failure_alert/runs/manual__")
    assert airflow.run("failure_alert", run)["logical_date"] is None


def start_and_kill(airflow, dag, *, supervisor):
    """Run a DAG and kill its task in its first try; return the id of the run. A second try succeeds."""
    with socket.create_server((LOOPBACK, 0)) as server:
        server.settimeout(PATIENCE_SECONDS)
        port = server.getsockname()[1]
        run = airflow.trigger(dag, port=port)
        with server.accept()[0]:
            kill(Victim(name=dag, port=port, supervisor=supervisor))

        def is_noticed():
            if supervisor:
                airflow.let_heartbeats_time_out(run)
            (task,) = airflow.tasks(dag, run)
            return task["state"] != "running" or task["try_number"] > 1

        assert wait_until(is_noticed, pause=1)
        if dag == "killed_with_retries":
            server.accept()[0].close()
    return run


@pytest.mark.parametrize(("dag", "tries"), [("killed", "1 of 1"), ("killed_with_retries", "1 of 3")])
def test_a_task_that_was_killed_with_its_supervisor_is_reported_by_the_dag_processor(airflow, mails, dag, tries):
    """Airflow calls the callback when it misses the heartbeats, and perhaps again when its executor gives it up."""
    run = start_and_kill(airflow, dag, supervisor=True)

    for received in mails(f"{dag}.wait: "):
        facts = facts_of(received)
        assert received.message["Subject"] == f"{dag}.wait: failed (killed or lost), try {tries}"
        assert (facts["Run"], facts["State"], facts["Try"]) == (run, "failed (killed or lost)", tries)
        assert facts["Host"] == airflow.tasks(dag, run)[0]["hostname"]
        assert facts["Audit log"].endswith("/tasks/wait/events")


def test_a_task_of_which_only_the_process_was_killed_is_reported_for_its_run(airflow, mails):
    """Airflow calls no callback of the task."""
    start_and_kill(airflow, "crashed", supervisor=False)

    (received,) = mails("crashed")
    assert received.message["Subject"] == "crashed: failed"
    assert facts_of(received)["Task"] == "wait"


def test_a_failed_run_is_reported_by_the_dag_processor(airflow, mails):
    run = airflow.trigger("failed_run")

    (received,) = mails("failed_run: failed")
    facts = facts_of(received)
    assert (facts["Run"], facts["Task"]) == (run, "fail")
    assert (facts["State"], facts["Reason"]) == ("failed", "task_failure")
    assert "Try" not in facts
    assert f"{airflow.url}/dags/failed_run/runs/" in facts["Log"]


def test_a_missed_deadline_is_reported_by_the_triggerer(airflow, mails):
    """With AsyncCallback."""
    run = airflow.trigger("deadline_alert")

    (received,) = mails("deadline_alert: deadline missed")
    facts = facts_of(received)
    assert facts["Run"] == run
    assert re.fullmatch(MOMENT, facts["Deadline"])
    assert re.fullmatch(MOMENT, facts["Start"])
    assert facts["Run in Airflow"].startswith(f"{airflow.url}/dags/deadline_alert/runs/manual__")


def test_a_missed_deadline_is_reported_while_the_run_continues(airflow, mails):
    run = airflow.trigger("unanswered")

    (received,) = mails("unanswered: deadline missed")
    facts = facts_of(received)
    assert facts["Run"] == run
    assert facts["State"] in {"queued", "running"}  # the deadline may pass before Airflow starts the run


def test_a_missed_deadline_is_reported_by_a_worker(airflow, connect, mails):
    """With SyncCallback and a connection in the worker's environment. The reasons of failed alerts are logged."""
    connect("elsewhere", host="mail.corp.invalid")
    run = airflow.trigger("late")

    (received,) = mails("late: deadline missed")
    facts = facts_of(received)
    assert facts["Run"] == run
    assert re.fullmatch(MOMENT, facts["Deadline"])
    # Airflow denies it the connections in its database.
    denied = "define the connection in the workers' environment, as AIRFLOW_CONN_SMTP_CM_DEFAULT"
    for reason in (denied, "mail.corp.invalid"):
        assert wait_until(lambda reason=reason: reason in airflow.logs(), pause=1), reason


def test_a_question_is_sent_with_all_its_facts(airflow, mails):
    run = airflow.trigger("approval")

    (received,) = mails("approval.release: ")
    facts = facts_of(received)
    assert received.message["Subject"] == f"approval.release: {facts['Question']}"
    assert facts["Question"] == f"Release the report of {run}?"
    assert facts["Details"] == "It has **12** rows."
    assert (facts["Options"], facts["Default"]) == ("Approve, Reject", "Reject")
    assert re.fullmatch(MOMENT, facts["Answer by"])
    assert facts["Answer in Airflow"].endswith("/tasks/release/required_actions")


def test_a_notifier_that_fails_logs_the_reason_and_does_not_stop_others(airflow, connect, mails):
    """Its server does not exist or does not answer; the notifiers after it still send their mail."""
    with socket.create_server((LOOPBACK, 0)) as silent:
        connect("elsewhere", host="mail.corp.invalid")
        connect("silent", port=silent.getsockname()[1], timeout=1)
        run = airflow.trigger("one_notifies")

        mails("one_notifies.fail: failed")
        assert airflow.wait_for_end("one_notifies", run) == "failed"
    log = airflow.log_of_task("one_notifies", run, "fail")
    reasons = re.findall(r"Failed to send notification \(sync\): ([^\"]+)", log)
    assert len(reasons) == 2
    assert "mail.corp.invalid" in reasons[0]
    assert "did not answer in time" in reasons[1]


def test_airflows_own_alerts_are_readable_and_from_the_connections_sender(airflow, mails):
    run = airflow.trigger("old_alerts")

    received = mails("Airflow alert: old_alerts.fail", 2)
    # Airflow does not wait for the mail about a try before it starts the next.
    received = sorted(received, key=lambda mail: mail.message["Subject"])
    assert [mail.message["Subject"] for mail in received] == [
        f"Airflow alert: old_alerts.fail ({run}, try {number})" for number in (1, 2)
    ]
    for number, mail in enumerate(received, 1):
        assert mail.recipients == ("ops@corp.test", "dba@corp.test")
        assert mail.message["From"] == "Reports <reports@corp.test>"
        assert f"Try {number} out of 2<br>Exception:<br>No rows" in mail.message.get_body(("html",)).get_content()
