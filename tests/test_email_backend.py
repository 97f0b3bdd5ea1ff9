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
            "Airflow alert: sales.group.load[3] failed (manual__1)",
        ),
        (
            "Airflow alert: id=UUID('019a') task_id='load' dag_id='sales' run_id='By Ann' try_number=2 map_index=3",
            "Airflow alert: sales.load[3] (By Ann, try 2)",
        ),
        (
            "Airflow alert: id=UUID('0') task_id='load' dag_id='sales' run_id='manual__1' try_number=2 map_index=-1",
            "Airflow alert: sales.load (manual__1, try 2)",
        ),
        *[
            (of_a_template, of_a_template)
            for of_a_template in (
                "dag_id=sales task_id=load run_id=manual__1: failed!",
                "Paid=5, dag_id='sales' task_id='load' run_id='manual__1'",
            )
        ],
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


ALERT = "Airflow alert: id=UUID('019a') task_id='load' dag_id='sales' run_id='manual__1' try_number=2"


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (f"\n\n{ALERT}\n", "Airflow alert: sales.load (manual__1, try 2)"),
        ("\x1b[31mNo rows\x1b[0m\n\tin \0staging\ud800", "No rows in staging\ufffd"),
        ("x" * 40_000, "x" * (32 * 1024 - 3) + "…"),
    ],
)
def test_no_character_stops_an_alert(server, subject, expected):
    """The first subject is that of a template file that begins with comments."""
    send_email(
        "ops@corp.test",
        subject,
        "Exception:<br>\x1b[31mNo\0 rows\ud800<br>\n\tat all",
        conn_id="mail",
        custom_headers={"X-Error": "No rows\nin \0staging", "X-Empty": None},
    )

    (received,) = server.outbox
    assert received.message["X-Error"] == "No rows in staging"
    assert received.message["Subject"] == expected
    assert received.message.get_body(("html",)).get_content() == "Exception:<br>No rows\ufffd<br>\n\tat all"
    assert received.message.get_body(("plain",)).get_content() == "Exception:\nNo rows\ufffd\nat all"


@pytest.mark.parametrize("sender", [None, "airflow@airflow"])
def test_the_connections_sender_replaces_none_and_airflows_default(server, sender):
    send_email("ops@corp.test", "s", "b", conn_id="mail", from_email=sender)
    assert server.outbox[0].sender == "reports@corp.test"


def test_a_dry_run_sends_nothing(server):
    send_email("ops@corp.test", "s", "b", dryrun=True, conn_id="mail")
    assert server.outbox == []
