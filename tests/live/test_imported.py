"""A DAG that was converted from an SSIS package, run by Airflow's scheduler and workers."""

from tests.servers.processes import wait_until


def test_a_package_runs_as_it_did_in_ssis(airflow, connect, outbox):
    """Conditions read the states of tasks and groups with Airflow's API; placeholders have callbacks, too."""
    connect("mail_relay", from_email=None)
    run = airflow.trigger("check_feeds", ForceDigest=True)

    assert airflow.wait_for_end("check_feeds", run) == "success"
    skipped = {task["task_id"] for task in airflow.tasks("check_feeds", run) if task["state"] == "skipped"}
    assert skipped == {"feeds_failed", "feeds_are_bad", "package_failure"}
    expected = [
        "All feeds are in",
        "Bank statements",
        "Check totals done",
        "Load statements done",
        "Statements are in done",
        "Weekly digest",
    ]
    assert wait_until(lambda: len(outbox) == len(expected))
    subjects = sorted(received.message["Subject"].partition(" at ")[0] for received in outbox)
    assert subjects == expected
