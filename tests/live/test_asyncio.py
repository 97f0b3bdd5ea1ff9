"""The hook's methods for asyncio in a running Airflow: in a worker and in the triggerer."""


def test_task_sends_messages_at_once_and_a_trigger_tests_the_connection(airflow, connect, outbox, mail_server):
    """Airflow looks up the connection, which is in its database, for both of them."""
    connect("smtp_cm_default")
    run = airflow.trigger("asynchronous")

    assert airflow.wait_for_end("asynchronous", run) == "success", airflow.logs()
    on_each_connection = airflow.returned("asynchronous", run, "send")
    assert (len(on_each_connection), sum(on_each_connection)) == (5, 50)
    assert {received.message["Subject"] for received in outbox} == set(map(str, range(50)))
    worked, description = airflow.returned("asynchronous", run, "test")
    assert worked
    assert f"{mail_server.host}:{mail_server.port}" in description
