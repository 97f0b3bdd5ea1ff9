"""Mapped tasks in a running Airflow."""


def test_a_mapped_task_is_labelled_with_recipients_and_subject(airflow, connect, outbox):
    connect("smtp_cm_default")
    run = airflow.trigger("mail_merge_mapped")

    assert airflow.wait_for_end("mail_merge_mapped", run) == "success"
    shown = {task["map_index"]: task["rendered_map_index"] for task in airflow.tasks("mail_merge_mapped", run)}
    assert shown == {
        -1: None,
        0: "To Ann Lee <ann@north.test>: Your invoice 1001",
        1: "To Bo Berg <bo@south.test>: Your invoice 1002",
    }
    assert {received.message["Subject"] for received in outbox} == {"Your invoice 1001", "Your invoice 1002"}
