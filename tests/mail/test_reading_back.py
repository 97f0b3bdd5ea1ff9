"""Two independent parsers read any rendered message as it was meant."""

import email
from email import policy

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_smtp_cm.mail import Attachment, MailMessage
from tests.fuzz import file_names as attached
from tests.fuzz import headers
from tests.fuzz import messages as whole
from tests.mail.reading import bytes_of
from tests.mail.strategies import addresses, bodies, controls, file_names, lines, plain_addresses


@st.composite
def messages(draw):
    recipients = st.lists(plain_addresses, max_size=3)  # the parser in Rust supports no others
    return MailMessage(
        from_email=draw(plain_addresses),
        to=draw(recipients),
        cc=draw(recipients),
        bcc=whole.HIDDEN,
        reply_to=draw(recipients),
        subject=draw(lines),
        text=draw(st.none() | bodies),
        html=draw(st.none() | bodies),
        priority=draw(st.sampled_from([1, 3, 5])),
        attachments=draw(st.lists(st.builds(Attachment, st.binary(max_size=300), file_names), max_size=3)),
        headers={"X-Own": draw(lines)},
        message_id="<1@example.com>",
    )


@settings(max_examples=3 * settings().max_examples)
@given(message=messages(), eight_bit=st.booleans())
def test_any_message_is_read_back_and_its_bytes_follow_the_rules_of_smtp(message, eight_bit):
    whole.check(message, eight_bit=eight_bit)


header_names = (
    st.sampled_from(["X-Own", "x-a", "Bcc", "Content-Type", "X-", "Sub ject", "X:", "", "Errors-To", "List-Help"])
    | st.text()
)


@given(header_names, lines | st.text(controls | st.characters()))
def test_any_header_is_rejected_or_read_back_without_another_one(name, value):
    headers.check(name, value)


@given(file_names | st.text(controls | st.characters()), st.binary(max_size=100))
def test_any_file_name_is_rejected_or_read_back(name, content):
    attached.check(name, content)


@given(st.lists(addresses, min_size=1, max_size=3))
def test_quoted_local_parts_and_literals_are_read_back(recipients):
    data = bytes_of(MailMessage(from_email="a@x", to=recipients))
    read = email.message_from_bytes(data, policy=policy.default)["To"].addresses
    assert [(address.username, address.domain) for address in read] == [
        (address.local_part, address.domain) for address in recipients
    ]
