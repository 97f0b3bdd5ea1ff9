"""Whatever is written, two independent parsers read what was meant."""

import email
import re
from email import policy

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_smtp_cm.mail import Attachment, MailMessage
from tests.mail.reading import octets_of, seen_by_python, seen_by_rust
from tests.mail.strategies import addresses, bodies, file_names, lines, plain_addresses

MARK = "only-in-bcc@nowhere.example"


@st.composite
def messages(draw):
    recipients = st.lists(plain_addresses, max_size=3)  # the parser in Rust reads no others
    return MailMessage(
        from_email=draw(plain_addresses),
        to=draw(recipients),
        cc=draw(recipients),
        bcc=MARK,
        reply_to=draw(recipients),
        subject=draw(lines),
        text=draw(st.none() | bodies),
        html=draw(st.none() | bodies),
        priority=draw(st.sampled_from([1, 3, 5])),
        attachments=draw(st.lists(st.builds(Attachment, st.binary(max_size=300), file_names), max_size=3)),
        headers={"X-Own": draw(lines)},
        message_id="<1@example.com>",
    )


def meant(known):
    return [(address.display_name, address.addr_spec) for address in known]


def without_spaces(pairs):
    """Python 3.11's email puts a space between two encoded words of a name, and makes one space of several."""
    return [("".join(name.split()), address) for name, address in pairs]


def with_lf(texts):
    return {subtype: text.replace("\r\n", "\n").replace("\r", "\n") for subtype, text in texts.items()}


def texts_meant(message):
    texts = {"plain": message.text, "html": message.html}
    texts = with_lf({subtype: text for subtype, text in texts.items() if text}) or {"plain": ""}
    if len(texts) == 1 and not message.attachments:  # nothing follows, so the last line gets an end
        texts = {subtype: text if not text or text.endswith("\n") else f"{text}\n" for subtype, text in texts.items()}
    return texts


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(message=messages(), eight_bit=st.booleans())
def test_what_is_read_is_what_was_meant(message, eight_bit):
    octets = octets_of(message, eight_bit=eight_bit)
    for seen in (seen_by_python(octets), seen_by_rust(octets)):
        for pairs, known in [
            (seen.senders, [message.from_email]),
            (seen.to, message.to),
            (seen.cc, message.cc),
            (seen.reply_to, message.reply_to),
        ]:
            assert without_spaces(pairs) == without_spaces(meant(known))
        assert seen.subject == message.subject
        assert seen.own_header == message.headers["X-Own"]
        assert with_lf(seen.texts) == texts_meant(message)
        assert seen.attachments == [(file.name, file.media_type, file.source) for file in message.attachments]
    assert seen_by_rust(octets).to == meant(message.to)


@given(st.lists(addresses, min_size=1, max_size=3))
def test_quoted_local_parts_and_literals_are_read_back(recipients):
    octets = octets_of(MailMessage(from_email="a@x", to=recipients))
    read = email.message_from_bytes(octets, policy=policy.default)["To"].addresses
    assert [(address.username, address.domain) for address in read] == [
        (address.local_part, address.domain) for address in recipients
    ]


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(message=messages(), eight_bit=st.booleans())
def test_the_octets_keep_to_the_rules_of_the_wire(message, eight_bit):
    content = message.content(eight_bit=eight_bit, binary=False, utf8=False)
    octets = b"".join(content.chunks())
    assert len(octets) == content.size
    assert octets.endswith(b"\r\n")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", octets)
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    assert octets.isascii() or content.body == "8BITMIME"
    head = octets.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert not [line for line in head.split(b"\r\n") if not line.strip()]
    assert b"nowhere.example" not in octets
    assert not re.search(rb"(?im)^bcc:", head)
