"""Airflow's own alerts through this provider."""

from __future__ import annotations

import pytest

from airflow_smtp_cm.email_backend import readable, send_email


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (
            "Airflow alert: id=UUID('019a') task_id='load' dag_id='sales' run_id='manual__1' try_number=2",
            "Airflow alert: sales.load (manual__1, try 2)",
        ),
        (
            "Airflow alert: <TaskInstance: sales.load manual__1 [failed]>",
            "Airflow alert: sales.load failed (manual__1)",
        ),
        (
            "Airflow alert: <TaskInstance: sales.group.load manual__1 map_index=3 [failed]>",
            "Airflow alert: sales.group.load failed (manual__1)",
        ),
        ("Nightly run failed", "Nightly run failed"),
    ],
)
def test_a_task_instances_repr_becomes_readable(subject, expected):
    assert readable(subject) == expected


def test_all_of_airflows_arguments_are_accepted(server, tmp_path):
    file = tmp_path / "log.txt"
    file.write_text("log")
    send_email(
        ["ops@corp.test", "dba@corp.test"],
        "Nightly run failed",
        "Try 1<br>",
        [str(file)],
        cc="lead@corp.test",
        bcc=["audit@corp.test"],
        mime_subtype="mixed",
        mime_charset="utf-8",
        conn_id="mail",
        from_email="airflow@corp.test",
        custom_headers={"X-Alert": "yes"},
        something_new=1,
    )
    (received,) = server.outbox
    assert received.recipients == ("ops@corp.test", "dba@corp.test", "lead@corp.test", "audit@corp.test")
    assert received.sender == "airflow@corp.test"
    assert received.message["X-Alert"] == "yes"
    assert received.message.get_body(("html",)).get_content() == "Try 1<br>"
    assert [part.get_filename() for part in received.message.iter_attachments()] == ["log.txt"]


@pytest.mark.parametrize("sender", [None, "airflow@airflow"])
def test_the_connections_sender_replaces_none_and_airflows_default(server, sender):
    send_email("ops@corp.test", "s", "b", conn_id="mail", from_email=sender)
    assert server.outbox[0].sender == "reports@corp.test"


def test_a_dry_run_sends_nothing(server):
    send_email("ops@corp.test", "s", "b", dryrun=True, conn_id="mail")
    assert server.outbox == []
