"""The example DAG, run from the UI."""

from playwright.sync_api import expect

from tests.servers.people import ALICE


def test_triggered_dag_sends_its_mail(page, connect, outbox, picture):
    connect("smtp_cm_default")
    page.goto("/dags/send_mail")
    page.get_by_role("button", name="Trigger").click()
    page.get_by_role("dialog").get_by_role("button", name="Trigger").click()
    page.wait_for_url("**/dags/send_mail/runs/**")
    expect(page.get_by_text("Success", exact=True)).to_have_count(3)
    picture("dag-run", page)

    (received,) = outbox
    assert (received.identity, received.mechanism) == (ALICE.down_level, "NTLM")
    assert received.recipients == ("john@corp.test", "sales@corp.test", "archive@corp.test")
    (report,) = received.message.iter_attachments()
    assert report.get_filename() == "sales.csv"
