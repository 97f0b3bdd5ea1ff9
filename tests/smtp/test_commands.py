"""The commands of the envelope, and input that must not become part of one."""

from __future__ import annotations

import pytest

from airflow_smtp_cm.smtp.commands import mail_command, rcpt_command
from airflow_smtp_cm.smtp.delivery_notification import DeliveryNotification
from airflow_smtp_cm.smtp.errors import MessageError
from airflow_smtp_cm.smtp.extensions import Extensions
from tests.smtp.outgoing import RawContent

EVERYTHING = Extensions({"SIZE": "", "8BITMIME": "", "SMTPUTF8": "", "DSN": "", "BINARYMIME": ""}, ())


@pytest.mark.parametrize(
    "address",
    [
        "a@b.test\r\nRCPT TO:<eve@evil.test>",
        "a@b.test>\r\nDATA",
        "a@b.test> SIZE=1",
        '"a\r\nQUIT"@b.test',
        '"a\nb"@b.test',
        "a@[127.0.0.1\r\n]",
        "a\x00@b.test",
        "a\x85@b.test",
        "no-at",
        "@b.test",
        "a@",
        "a b@c.test",
        "<a@b.test>",
        "",
    ],
)
def test_an_invalid_address_is_rejected_before_it_becomes_a_command(address):
    with pytest.raises(MessageError):
        rcpt_command(address, None)
    with pytest.raises(MessageError):
        mail_command(address, RawContent(b""), EVERYTHING, None)


@pytest.mark.parametrize("address", ["a@b.test", '"a b"@c.test', r'"a\"b>"@c.test', "a@[127.0.0.1]", "bøb@corp.test"])
def test_an_address_is_unchanged_in_the_command(address):
    assert rcpt_command(address, None).line == f"RCPT TO:<{address}>"


def test_mail_has_the_parameters_that_the_message_needs():
    content = RawContent(b"x" * 10, body="8BITMIME", utf8=True)
    assert mail_command("a@b.test", content, EVERYTHING, None).line == (
        "MAIL FROM:<a@b.test> SIZE=10 BODY=8BITMIME SMTPUTF8"
    )


def test_mail_has_no_parameters_without_extensions():
    assert mail_command("a@b.test", RawContent(b"x"), Extensions.none(), None).line == "MAIL FROM:<a@b.test>"


def test_delivery_notifications_are_requested_in_xtext():
    notification = DeliveryNotification(notify=("SUCCESS", "FAILURE"), full=True, envelope_id="a+b = c")
    assert mail_command("a@b.test", RawContent(b""), EVERYTHING, notification).line.endswith(
        " RET=FULL ENVID=a+2Bb+20+3D+20c"
    )
    assert rcpt_command("a@b.test", notification).line == "RCPT TO:<a@b.test> NOTIFY=SUCCESS,FAILURE"


def test_never_and_an_envelope_id_with_controls_are_refused():
    with pytest.raises(MessageError, match="NEVER"):
        DeliveryNotification(notify=("NEVER", "DELAY"))
    with pytest.raises(MessageError, match="envelope id"):
        DeliveryNotification(envelope_id="a\r\nb")
