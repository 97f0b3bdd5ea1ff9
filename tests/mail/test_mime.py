"""The rendered bytes: no more encoding than the server requires, exact sizes, constant memory."""

import base64
import email
import tracemalloc
from datetime import datetime, timedelta, timezone
from email import policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.mail import Address, Attachment, MailMessage, SourceChanged
from tests.mail.reading import bytes_of
from tests.mail.test_attachments import StoredObject

WHEN = datetime(2026, 3, 1, 9, 5, 7, tzinfo=timezone(timedelta(hours=1)))


def message(**fields):
    return MailMessage(**{"from_email": "a@x", "to": "b@y", **fields})


def parsed(data):
    return email.message_from_bytes(data, policy=policy.default)


def written(message, **offered):
    """Return the message as Python's ``email`` parses it."""
    return parsed(bytes_of(message, **offered))


def tree(part):
    """Return the structure of a message: media types, with the transfer encoding of each leaf."""
    if part.is_multipart():
        return (part.get_content_subtype(), *map(tree, part.iter_parts()))
    return f"{part.get_content_type()} {part['Content-Transfer-Encoding']}"


def test_every_byte_of_a_small_message():
    made = message(
        from_email="Robot <robot@example.com>",
        to="A <a@x>; b@y",
        cc="c@z",
        bcc="secret@z",
        reply_to="desk@example.com",
        subject="Hello",
        text="One\nTwo",
        priority="high",
        headers={"X-Own": "1", "Auto-Submitted": "auto-generated"},
        message_id="<1@example.com>",
        date=WHEN,
    )
    assert bytes_of(made) == (
        b"Date: Sun, 01 Mar 2026 09:05:07 +0100\r\n"
        b"From: Robot <robot@example.com>\r\n"
        b"To: A <a@x>, b@y\r\n"
        b"Cc: c@z\r\n"
        b"Reply-To: desk@example.com\r\n"
        b"Subject: Hello\r\n"
        b"Message-ID: <1@example.com>\r\n"
        b"X-Priority: 1\r\n"
        b"Priority: urgent\r\n"
        b"Importance: high\r\n"
        b"MIME-Version: 1.0\r\n"
        b"X-Own: 1\r\n"
        b"Auto-Submitted: auto-generated\r\n"
        b"Content-Type: text/plain; charset=us-ascii\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"One\r\nTwo\r\n"
    )


def test_empty_fields_are_omitted():
    data = bytes_of(message(to="", bcc="b@y", message_id="<1@x>", date=WHEN))
    assert data == (
        b"Date: Sun, 01 Mar 2026 09:05:07 +0100\r\nFrom: a@x\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("priority", "values"),
    [("High", ("1", "urgent", "high")), ("Normal", (None, None, None)), ("Low", ("5", "non-urgent", "low"))],
)
def test_priority_has_the_headers_of_system_net_mail(priority, values):
    made = written(message(priority=priority))
    assert tuple(made[name] for name in ("X-Priority", "Priority", "Importance")) == values


@pytest.mark.parametrize(
    ("fields", "structure"),
    [
        ({}, "text/plain 7bit"),
        ({"text": "a"}, "text/plain 7bit"),
        ({"html": "a"}, "text/html 7bit"),
        ({"text": "", "html": "a"}, "text/html 7bit"),
        ({"text": "a", "html": "a"}, ("alternative", "text/plain 7bit", "text/html 7bit")),
        (
            {"attachments": [Attachment(b"", "a.pdf"), Attachment(b"", "b.csv")]},
            ("mixed", "text/plain 7bit", "application/pdf base64", "text/csv base64"),
        ),
        (
            {"text": "a", "html": "ä", "attachments": Attachment(b"", "a.pdf")},
            ("mixed", ("alternative", "text/plain 7bit", "text/html quoted-printable"), "application/pdf base64"),
        ),
    ],
)
def test_the_structure_has_only_the_necessary_levels(fields, structure):
    assert tree(written(message(**fields))) == structure


@pytest.mark.parametrize(
    ("text", "eight_bit", "encoding", "charset", "body"),
    [
        ("a" * 998, False, "7bit", "us-ascii", "7BIT"),
        ("a" * 998, True, "7bit", "us-ascii", "7BIT"),
        ("a" * 999, True, "quoted-printable", "us-ascii", "7BIT"),
        ("Grüße", True, "8bit", "utf-8", "8BITMIME"),
        ("ü" * 499, True, "8bit", "utf-8", "8BITMIME"),
        ("ü" * 500, True, "base64", "utf-8", "7BIT"),
        ("Grüße aus der Ferne", False, "quoted-printable", "utf-8", "7BIT"),
        ("日本語の本文", False, "base64", "utf-8", "7BIT"),
    ],
)
def test_text_is_encoded_only_if_necessary(text, eight_bit, encoding, charset, body):
    made = message(text=text)
    content = made.content(eight_bit=eight_bit, binary=False, utf8=False)
    read = parsed(b"".join(content.chunks()))
    assert (read["Content-Transfer-Encoding"], read.get_content_charset()) == (encoding, charset)
    assert content.body == body
    assert read.get_payload(decode=True) == f"{text}\r\n".encode()


@pytest.mark.parametrize("text", ["a\nb\n", "a\rb\r", "a\r\nb\r\n", "a\r\nb"])
@pytest.mark.parametrize("tail", ["", "ü", "日本語日本語日本語", "a" * 999])
@pytest.mark.parametrize("eight_bit", [False, True])
def test_every_line_end_becomes_crlf(text, tail, eight_bit):
    made = written(message(text=tail + text), eight_bit=eight_bit)
    assert made.get_payload(decode=True) == tail.encode() + b"a\r\nb\r\n"


def test_soft_line_breaks_are_crlf_in_a_text_without_line_ends():
    data = bytes_of(message(text="ü" + "a" * 200, html="a"))
    assert data.count(b"=\r\n") == 2
    assert data.count(b"\n") == data.count(b"\r\n")


def test_a_multipart_has_the_encoding_that_its_parts_need():
    """RFC 2045, section 6.4."""
    made = message(text="ü", html="x", attachments=Attachment(b"\0\r\xff", "a.bin"))
    for offered, (mixed, alternative, file), body in [
        ({"eight_bit": False, "binary": False}, (None, None, "base64"), "7BIT"),
        ({"eight_bit": True, "binary": False}, ("8bit", "8bit", "base64"), "8BITMIME"),
        ({"eight_bit": False, "binary": True}, ("binary", None, "binary"), "BINARYMIME"),
        ({"eight_bit": True, "binary": True}, ("binary", "8bit", "binary"), "BINARYMIME"),
    ]:
        content = made.content(**offered, utf8=False)
        assert content.body == body
        root = parsed(b"".join(content.chunks()))
        parts = (root, *root.iter_parts())
        assert tuple(part["Content-Transfer-Encoding"] for part in parts) == (mixed, alternative, file)
        assert root.get_payload(1).get_payload(decode=True) == b"\0\r\xff" or offered["binary"]


def test_binary_is_used_only_for_attachments():
    content = message(text="a").content(eight_bit=False, binary=True, utf8=False)
    assert content.body == "7BIT"


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 1000, 57 * 512 - 1, 57 * 512, 57 * 512 + 1, 200_000])
def test_a_binary_attachment_is_unchanged(size):
    data = b"\r\n\n\r.\0\xff" * (size // 7) + b"x" * (size % 7)
    bytes_sent = bytes_of(message(attachments=Attachment(data, "a")), binary=True)
    assert b"binary\r\n\r\n" + data + b"\r\n--=_" in bytes_sent


@given(st.integers(0, 200) | st.integers(0, 3 * 57 * 512))
def test_base64_in_blocks_equals_base64_of_the_whole(size):
    """For every size, the encoded blocks fit together."""
    data = bytes(number * 7 % 251 for number in range(size))
    sent = bytes_of(message(attachments=Attachment(data, "a")))
    assert b"base64\r\n\r\n" + base64.encodebytes(data).replace(b"\n", b"\r\n") + b"\r\n--=_" in sent


def test_only_addresses_that_need_smtputf8_are_in_raw_utf8():
    made = message(from_email="Jürgen <jürgen@münchen.de>", subject="Grüße", message_id="<1@x>", date=WHEN)
    content = made.content(eight_bit=True, binary=False, utf8=True)
    head = b"".join(content.chunks()).decode()
    assert "From: =?utf-8?q?J=C3=BCrgen?= <jürgen@xn--mnchen-3ya.de>\r\n" in head
    assert "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n" in head
    assert (content.utf8, content.body) == (True, "8BITMIME")


def test_a_header_is_folded_between_words():
    data = bytes_of(
        message(to=[f"Somebody <user{number}@example.com>" for number in range(9)], subject="word " * 40 + "x")
    )
    lines = data.split(b"\r\n\r\n")[0].split(b"\r\n")
    assert max(map(len, lines)) <= 78
    assert all(line.strip() for line in lines)
    read = parsed(data)
    assert [str(address) for address in read["To"].addresses] == [
        f"Somebody <user{number}@example.com>" for number in range(9)
    ]
    assert read["Subject"] == "word " * 40 + "x"


def test_a_long_word_is_divided_only_if_it_does_not_fit_on_a_line():
    """A program may read a custom header: encoded words are for people."""
    url = f"<https://example.com/?{'a' * 800}>"
    assert f"List-Unsubscribe: {url}\r\n".encode() in bytes_of(message(headers={"List-Unsubscribe": url}))
    data = bytes_of(message(headers={"X-Own": "a" * 3000}, subject="b" * 3000))
    assert max(map(len, data.split(b"\r\n"))) <= 78
    read = parsed(data)
    assert (read["X-Own"], read["Subject"]) == ("a" * 3000, "b" * 3000)


def test_no_header_line_is_white_space_only():
    """Some programs read such a line as the end of the header (RFC 5322, section 3.2.2)."""
    subject = f"{'word ' * 14}a{' ' * 200}b"
    data = bytes_of(message(subject=subject))
    assert all(line.strip() for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n"))
    assert parsed(data)["Subject"] == subject


@pytest.mark.parametrize(
    "subject", ["=?utf-8?q?a?=", "x =?x?b?YQ==?= y", " padded ", "two  spaces", "?=", "=?", "  "]
)
def test_a_subject_that_looks_encoded_is_read_back_unchanged(subject):
    assert written(message(subject=subject))["Subject"] == subject


def test_a_name_that_looks_encoded_is_read_back_unchanged():
    name = "=?utf-8?q?a?="
    made = written(message(from_email=Address(name, "a", "x"), attachments=Attachment(b"", name)))
    (file,) = made.iter_attachments()
    assert made["From"].addresses[0].display_name == name
    assert (file.get_filename(), file["Content-Type"].params["name"]) == (name, name)


@pytest.mark.parametrize(
    ("name", "in_type", "in_disposition"),
    [
        ("a b.txt", 'name="a b.txt"', 'filename="a b.txt"'),
        ("ä;b.txt", 'name="=?utf-8?b?w6Q7Yi50eHQ=?="', "filename*=utf-8''%C3%A4%3Bb.txt"),
    ],
)
def test_a_file_name_is_in_both_headers(name, in_type, in_disposition):
    data = bytes_of(message(attachments=Attachment(b"", name)))
    assert (
        f"Content-Type: text/plain;\r\n {in_type}\r\nContent-Disposition: attachment;\r\n {in_disposition}\r\n"
    ).encode() in data


def test_a_media_type_keeps_its_parameters():
    made = message(attachments=Attachment("ä".encode(), "a.csv", "text/csv; charset=utf-8"))
    (file,) = written(made).iter_attachments()
    assert (file.get_content_type(), file.get_content(), file.get_filename()) == ("text/csv", "ä", "a.csv")


@pytest.mark.parametrize("name", ["日" * 75, "日" * 76, "日" * 300, "a" * 300, "🙂" * 200 + ".csv"])
def test_a_long_file_name_is_divided_and_read_back_complete(name):
    data = bytes_of(message(attachments=Attachment(b"", name)))
    assert max(map(len, data.split(b"\r\n"))) <= 998
    (file,) = parsed(data).iter_attachments()
    assert file.get_filename() == name
    assert file["Content-Type"].params["name"] == name


def test_every_message_has_its_own_boundaries():
    made = message(attachments=Attachment(b"", "a"))
    assert written(made).get_boundary() != written(made).get_boundary()


def test_rendered_content_can_be_sent_again():
    """After a 4xx reply, the same content is sent again."""
    content = message(text="a", attachments=Attachment(b"b", "b")).content(eight_bit=True, binary=False, utf8=False)
    assert list(content.chunks()) == list(content.chunks())


def test_small_pieces_are_combined_into_one_chunk():
    made = message(text="a", html="b", attachments=[Attachment(b"x" * 100, str(number)) for number in range(20)])
    assert len(list(made.content(eight_bit=True, binary=False, utf8=False).chunks())) == 1


@pytest.mark.parametrize("fields", [{"text": "a\n" * 500_000}, {"attachments": Attachment(b"a" * 500_000, "a")}])
@pytest.mark.parametrize("binary", [False, True])
def test_chunks_are_limited_in_size_and_number(fields, binary):
    content = message(**fields).content(eight_bit=True, binary=binary, utf8=False)
    chunks = list(content.chunks())
    assert max(map(len, chunks)) <= 100 * 1024
    assert len(chunks) <= content.size / 50_000 + 1


def test_files_are_open_only_while_they_are_sent():
    first, second = StoredObject(b"a" * 200_000, name="1"), StoredObject(b"b" * 200_000, name="2")
    content = message(attachments=[first, second]).content(eight_bit=True, binary=False, utf8=False)
    assert len(first.opened) == len(second.opened) == 1  # opened once, to check that they can be read
    chunks = content.chunks()
    seen = {(first.is_open, second.is_open) for _ in chunks}
    assert (True, False) in seen
    assert (False, True) in seen
    assert (True, True) not in seen
    assert not second.is_open


@pytest.mark.parametrize("binary", [False, True])
def test_a_file_is_closed_when_sending_stops_early(binary):
    stored = StoredObject(b"a" * 500_000)
    chunks = message(attachments=stored).content(eight_bit=True, binary=binary, utf8=False).chunks()
    next(chunks)
    assert stored.is_open
    chunks.close()
    assert not stored.is_open


def test_a_file_that_has_become_shorter_stops_the_content_before_its_end():
    stored = StoredObject(b"a" * 500_000)
    content = message(attachments=stored).content(eight_bit=True, binary=False, utf8=False)
    stored.data = b"a" * 200_000
    received = []
    with pytest.raises(SourceChanged):
        received.extend(content.chunks())
    assert sum(map(len, received)) < content.size


@pytest.mark.parametrize("binary", [False, True])
def test_memory_does_not_depend_on_the_size_of_an_attachment(tmp_path, binary):
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    tracemalloc.start()
    try:
        content = message(attachments=path).content(eight_bit=True, binary=binary, utf8=False)
        sent = sum(map(len, content.chunks()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent == content.size > path.stat().st_size
    assert peak < 4 * 1024 * 1024
