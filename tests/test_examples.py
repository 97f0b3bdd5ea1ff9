"""The example DAGs do what they describe. The one with a deadline is in tests/live: it needs a scheduler."""

import pytest

from tests.airflow_versions import DAG_TEST_TELLS_WHY


def test_a_report_is_mailed_with_its_file(dags, smtp_cm_server):
    run = dags["send_mail"].test()

    (received,) = smtp_cm_server.outbox
    message = received.message
    assert run.state == "success"
    assert received.identity == r"CORP\airflow"
    assert received.recipients == ("john@corp.test", "sales@corp.test", "archive@corp.test")
    assert message["From"] == "Reports <reports@corp.test>"
    assert message["To"] == '"Doe, John" <john@corp.test>, sales@corp.test'
    assert message["Subject"] == f"Sales, {run.run_id}"
    assert message["Importance"] == "high"
    assert message.get_body().get_content().endswith(f"Run: {run.run_id}")
    (report,) = message.iter_attachments()
    assert report.get_filename() == "sales.csv"
    assert report.get_content().splitlines() == ["region,sales", "North,1200", "South,950"]
    result = run.get_task_instance("send_report").xcom_pull(task_ids="send_report")
    assert result["message_id"] == message["Message-ID"]
    assert result["size"] == len(received.content)


def test_a_failure_is_reported_without_any_template(dags, smtp_cm_server):
    run = dags["failure_alert"].test()

    (received,) = smtp_cm_server.outbox
    assert run.state == "failed"
    assert received.recipients == ("ops@corp.test",)
    assert received.message["Subject"] == "failure_alert.load_orders: failed (try 1)"
    assert received.message["Importance"] == "high"
    if DAG_TEST_TELLS_WHY:
        assert "ValueError: No orders of yesterday" in received.message.get_body(("plain",)).get_content()


@pytest.mark.parametrize("dag", ["mail_merge", "mail_merge_mapped"])
def test_every_customer_gets_their_own_invoice(dags, smtp_cm_server, dag):
    assert dags[dag].test().state == "success"

    by_customer = {received.recipients[0]: received for received in smtp_cm_server.outbox}
    assert by_customer.keys() == {"ann@north.test", "bo@south.test"}
    assert {received.recipients[1:] for received in smtp_cm_server.outbox} == {("invoices@corp.test",)}
    for_ann = by_customer["ann@north.test"].message
    assert (for_ann["To"], for_ann["Subject"]) == ("Ann Lee <ann@north.test>", "Your invoice 1001")
    assert for_ann.get_content() == "Dear Ann Lee,\n\nplease pay 250 EUR.\n"


def test_a_function_mails_what_it_returns(dags, smtp_cm_server):
    run = dags["send_mail_taskflow"].test()

    (received,) = smtp_cm_server.outbox
    assert run.state == "success"
    assert received.message["Subject"] == f"Orders, {run.run_id}"
    assert received.message.get_content() == "North: 12\nSouth: 9\nTotal: 21\n"


def test_a_chart_is_mailed_inside_the_text(dags, smtp_cm_server):
    run = dags["sales_chart"].test()

    (received,) = smtp_cm_server.outbox
    message = received.message
    assert run.state == "success"
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/related",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "image/png",
    ]
    *_, chart = message.walk()
    assert chart.get_content().startswith(b"\x89PNG")
    assert f"cid:{chart['Content-ID'].strip('<>')}" in message.get_body(("html",)).get_content()
    text = message.get_body(("plain",)).get_content().splitlines()
    assert "[Units sold per week, by region]" in text
    assert "North   1,427   +2.4%" in [line.strip() for line in text]
