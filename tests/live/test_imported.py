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


def test_a_package_waits_for_the_package_that_it_runs_and_fails_with_it(airflow, connect, outbox):
    """It passes values to it; the loop over files fails, since its folder does not exist here."""
    connect("tickets_mail", from_email=None)
    run = airflow.trigger("morning", Operations="operations@bramblefield.example")

    assert airflow.wait_for_end("morning", run) == "failed"
    states = {task["task_id"]: task["state"] for task in airflow.tasks("morning", run)}
    assert states == {
        "remind": "failed",
        "archive": "upstream_failed",
        "morning_is_done": "upstream_failed",
        "reminding_failed": "success",
        "package_failure": "failed",
    }
    expected = [
        "Hill Street: tickets are counted",
        "Mill Lane: tickets are counted",
        "Open tickets in North, more than 3",
        "Open tickets in South & East, more than 3",
        "Reminding failed",
        "each_list_files failed",
    ]
    assert wait_until(lambda: len(outbox) == len(expected))
    assert sorted(received.message["Subject"] for received in outbox) == expected
    (told,) = (received for received in outbox if received.message["Subject"] == "each_list_files failed")
    assert told.recipients == ("operations@bramblefield.example",)
