"""A message is valid as a whole, or it is rejected with all its problems."""

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.mail import Address, Attachment, InvalidMessage, MailMessage, Priority, Smtputf8Needed
from tests.mail.strategies import controls


def message(**fields):
    return MailMessage(**{"from_email": "a@example.com", "to": "b@y", **fields})


def problems_with(**fields):
    with pytest.raises(InvalidMessage) as caught:
        message(**fields)
    return caught.value.problems


def test_a_message_needs_only_a_sender_and_a_recipient():
    made = MailMessage(from_email="a@x", to="b@y")
    assert made.sender == "a@x"
    assert made.recipients == ("b@y",)
    assert (made.cc, made.bcc, made.reply_to, made.attachments, made.headers) == ((), (), (), (), {})
    assert (made.subject, made.text, made.html, made.priority) == ("", None, None, Priority.NORMAL)


def test_lines_of_addresses_are_parsed():
    made = message(from_email="Robot <r@x>", to=["A <a@x>; b@y", "c@z"], cc="d@x", bcc=["e@x"], reply_to="f@x,g@x")
    assert made.from_email == Address("Robot", "r", "x")
    assert made.to == (Address("A", "a", "x"), Address("", "b", "y"), Address("", "c", "z"))
    assert made.reply_to == (Address("", "f", "x"), Address("", "g", "x"))


def test_recipients_are_those_of_to_cc_and_bcc_without_duplicates():
    """Only the domain is case-insensitive (RFC 5321, section 2.4)."""
    made = message(to="b@y; a@x; b@Y", cc="A@x; c@z", bcc="d@z; c@Z; N <a@x>; jo@münchen.de; jo@MÜNCHEN.de")
    assert made.recipients == ("b@y", "a@x", "A@x", "c@z", "d@z", "jo@xn--mnchen-3ya.de")


@pytest.mark.parametrize("line", ["cc", "bcc"])
def test_to_may_be_empty_if_there_is_another_recipient(line):
    assert message(**{"to": "", line: "c@z"}).recipients == ("c@z",)


def test_a_message_without_recipients_is_rejected():
    assert problems_with(to="; ", cc=[], bcc=None) == ("to: No recipient is specified. Give one in to, cc or bcc.",)


def test_a_malformed_recipient_is_not_also_reported_as_missing():
    (problem,) = problems_with(to="john")
    assert problem.startswith('to: The address "john" is malformed.')


def test_a_message_has_one_sender():
    assert problems_with(from_email="") == ("from_email: No sender is specified.",)
    assert problems_with(from_email="a@x; b@x") == ("from_email: 2 senders are specified; a message has one.",)


def test_a_sender_may_have_a_name_with_a_comma_without_quotes():
    made = message(from_email="Doe, John <john@corp.example>")
    assert (made.from_email, made.sender) == (Address("Doe, John", "john", "corp.example"), "john@corp.example")


@pytest.mark.parametrize(
    ("subject", "expected"),
    [("Sales\n", "Sales"), ("Sales\r\n\r\n", "Sales"), ("North\tSales\t\n", "North Sales "), ("\n", "")],
)
def test_a_subject_loses_line_ends_at_its_end_and_its_tabs_become_blanks(subject, expected):
    assert message(subject=subject).subject == expected


def test_all_problems_are_reported_together_each_with_its_field():
    problems = problems_with(
        from_email="a",
        to="b; c@y; d",
        cc="e@",
        bcc="f@\n",
        reply_to="g g@x",
        subject="a\nb",
        text="a\0",
        html="\ud800",
        priority="urgent",
        attachments="missing.csv|*.missing",
        headers={"Subject": "x", "X Y": "z", "X-Y": "\r"},
        message_id="x",
    )
    assert [problem.partition(":")[0] for problem in problems] == [
        *("from_email", "to", "to", "cc", "bcc", "reply_to", "subject", "text", "html", "priority"),
        *("attachments", "attachments", "headers", "headers", "headers", "message_id"),
    ]


@given(control=controls, before=st.sampled_from(["", "ab"]), after=st.sampled_from(["", "cd", " Bcc: x@y"]))
@pytest.mark.parametrize(
    "fields",
    [
        lambda text: {"from_email": f"Ann {text}. <a@x>"},
        lambda text: {"from_email": f"a{text}@x"},
        lambda text: {"to": f'"{text}"@x'},
        lambda text: {"to": ["a@x", f"a@x{text}y"]},
        lambda text: {"cc": f'"{text}" <a@x>'},
        lambda text: {"bcc": f"a@[{text}]"},
        lambda text: {"reply_to": f"a@x {text}y"},
        lambda text: {"subject": f"{text}.".replace("\t", "\n")},
        lambda text: {"headers": {"X-Own": text}},
        lambda text: {"headers": {f"X-{text}": "a"}},
        lambda text: {"message_id": f"<a{text}@x>"},
        lambda text: {"message_id": f"<a@[{text}]>"},
        lambda text: {"message_id": f"<a@x>{text}"},
        lambda text: {"priority": f"{text}high"},
        lambda text: {"attachments": f"{text}.csv"},
    ],
)
def test_a_control_character_is_rejected_in_every_field(fields, control, before, after):
    given_fields = fields(before + control + after)
    for problem in problems_with(**given_fields):
        assert problem.startswith(f"{next(iter(given_fields))}: ")
        assert control not in problem


@pytest.mark.parametrize(
    ("value", "priority"),
    [
        *[(value, Priority.HIGH) for value in (Priority.HIGH, "High", "HIGH", 1, "1")],
        *[(value, Priority.NORMAL) for value in (Priority.NORMAL, "Normal", "normal", 3, "3", 0, "0")],
        *[(value, Priority.LOW) for value in (Priority.LOW, "Low", "low", 5, "5")],
    ],
)
def test_priority_accepts_the_names_and_numbers_of_ssis(value, priority):
    assert message(priority=value).priority is priority


@pytest.mark.parametrize("value", ["", "urgent", 2, -1, None])
def test_any_other_priority_is_rejected(value):
    (problem,) = problems_with(priority=value)
    assert problem == f'priority: "{value}" is none of High, Normal, Low, 1, 3 and 5.'


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("From", "from_email"),
        ("to", "to"),
        ("CC", "cc"),
        ("Bcc", "bcc"),
        ("Reply-To", "reply_to"),
        ("Sender", "from_email"),
        ("subject", "subject"),
        ("Date", "date"),
        ("Message-Id", "message_id"),
        ("Importance", "priority"),
        ("Priority", "priority"),
        ("X-PRIORITY", "priority"),
        ("MIME-Version", "text, html and attachments"),
        ("Content-Type", "text, html and attachments"),
        ("content-anything", "text, html and attachments"),
    ],
)
def test_a_header_that_has_its_own_field_is_rejected(name, instead):
    assert problems_with(headers={name: "x"}) == (
        f'headers: The header "{name}" is built from the field {instead}; use that instead.',
    )


@pytest.mark.parametrize("name", ["", "X:", "X Y", "X-É", "X" * 77])
def test_a_malformed_header_name_is_rejected(name):
    (problem,) = problems_with(headers={name: "x"})
    assert "is not a header name" in problem


def test_a_generated_message_id_has_the_senders_domain():
    first, second = message(from_email="a@münchen.de"), message(from_email="a@münchen.de")
    assert first.message_id != second.message_id
    assert first.message_id.startswith("<")
    assert first.message_id.endswith("@xn--mnchen-3ya.de>")


def test_a_message_without_a_sender_gets_the_default_one():
    made = message(from_email=None)
    sent = made.with_default_sender("Robot <r@corp.example>")

    assert (str(sent.from_email), sent.sender) == ("Robot <r@corp.example>", "r@corp.example")
    assert message().with_default_sender("r@corp.example").sender == "a@example.com"
    assert message(from_email=None, message_id="<x@y>").with_default_sender("r@corp.example").message_id == "<x@y>"


def test_a_message_without_a_sender_has_one_message_id_however_often_it_is_sent():
    made = message(from_email=None)
    first, second = made.with_default_sender("r@corp.example"), made.with_default_sender("r@corp.example")

    assert first.message_id == second.message_id
    assert first.message_id.endswith("@corp.example>")


def test_a_message_without_any_sender_is_an_error():
    made = message(from_email=None)

    for use in (lambda: made.sender, lambda: made.with_default_sender(None)):
        with pytest.raises(InvalidMessage, match=r"^from_email: Neither the message nor the connection has a sender"):
            use()


def test_a_generated_message_id_is_accepted_as_an_argument():
    for sender in ("a@x", "a@my_host.local", "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]"):
        made = message(from_email=sender)
        assert message(message_id=made.message_id).message_id == made.message_id


@pytest.mark.parametrize(
    "message_id", ["a@x", "<a>", "<@x>", "<a@>", "<a b@x>", "<a@x> <b@x>", "<ä@x>", "<a..b@x>", f"<a@{'x' * 1000}>"]
)
def test_a_malformed_message_id_is_rejected(message_id):
    (problem,) = problems_with(message_id=message_id)
    assert problem.endswith("is not of the form <unique@example.com>.")


def test_the_date_is_now_unless_given():
    before = datetime.now(UTC)
    assert before <= message().date <= datetime.now(UTC)
    given_date = datetime(2024, 2, 29, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert message(date=given_date).date is given_date


def test_a_naive_date_is_local_time():
    naive = datetime(2024, 2, 29, 12, 0)  # noqa: DTZ001  # a naive date is what is tested
    assert message(date=naive).date == naive.astimezone()


def test_a_message_can_be_made_from_another():
    made = message(to="A <a@x>", headers={"X-Own": "1"}, attachments=Attachment(b"1", "a"), priority="low")
    changed = dataclasses.replace(made, subject="Again")
    assert changed.subject == "Again"
    assert dataclasses.replace(changed, subject="") == made


def test_a_repr_does_not_contain_bodies_and_attachments():
    made = message(text="secret", html="secret", attachments=Attachment(b"secret", "name"))
    rendered = made.content(eight_bit=True, binary=False, utf8=False)
    assert b"secret" in b"".join(rendered.chunks())
    for shown in (made, made._related, rendered):
        assert "secret" not in repr(shown)


@pytest.mark.parametrize("line", ["from_email", "to", "cc", "bcc", "reply_to"])
def test_an_address_that_needs_smtputf8_is_an_error_without_it(line):
    made = message(**{line: "jürgen@münchen.de"})
    with pytest.raises(Smtputf8Needed, match=r'"jürgen@xn--mnchen-3ya\.de" .* SMTPUTF8'):
        made.content(eight_bit=True, binary=True, utf8=False)
    assert made.content(eight_bit=True, binary=False, utf8=True).utf8


@pytest.mark.parametrize("line", ["from_email", "to", "cc", "bcc", "reply_to"])
def test_invisible_characters_at_the_ends_of_an_address_do_not_need_smtputf8(line):
    made = message(**{line: "\ufeffAnn <ann@corp.example>\u200b\r\n"})
    assert made.utf8_addresses == ()
    assert getattr(made, line) in (Address("Ann", "ann", "corp.example"), (Address("Ann", "ann", "corp.example"),))


def test_smtputf8_is_not_used_without_need():
    made = message(from_email="Jürgen <a@münchen.de>", subject="Grüße")
    content = made.content(eight_bit=True, binary=False, utf8=True)
    assert not content.utf8
    assert b"".join(content.chunks()).isascii()


def test_a_message_can_be_sent_by_the_smtp_package(tmp_path):
    """The two packages share no code, only the protocol in smtp/interfaces.py."""
    program = (
        "from airflow_smtp_cm.mail import MailMessage\n"
        "from airflow_smtp_cm.smtp.interfaces import Content, Outgoing\n"
        "def check(message: MailMessage) -> tuple[Outgoing, Content]:\n"
        "    return message, message.content(eight_bit=True, binary=True, utf8=True)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", "-c", program]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_the_package_imports_neither_smtp_nor_airflow():
    program = "import sys, airflow_smtp_cm.mail; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not [name for name in loaded if name.startswith(("airflow.", "airflow_smtp_cm.smtp", "smtplib"))]
