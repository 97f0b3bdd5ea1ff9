"""Parsing of the server's replies, and their limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.smtp.errors import ProtocolError
from airflow_smtp_cm.smtp.reply import Reply
from airflow_smtp_cm.smtp.reply_parser import MAX_LINE, MAX_LINES, MAX_REPLY, ReplyParser
from tests.fuzz.replies import check


def read(raw: bytes, pieces: list[int] | None = None) -> list[Reply]:
    """Feed bytes in pieces that end at the given offsets."""
    parser, replies, start = ReplyParser(), [], 0
    for end in [*sorted(pieces or []), len(raw)]:
        parser.feed(raw[start:end])
        start = max(start, end)
        while (reply := parser.next_reply()) is not None:
            replies.append(reply)
    return replies


@pytest.mark.parametrize(
    ("raw", "code", "lines"),
    [
        (b"250 Ok\r\n", 250, ("Ok",)),
        (b"250-first\r\n250-\r\n250 last\r\n", 250, ("first", "", "last")),
        (b"250\r\n", 250, ("",)),
        (b"354 \r\n", 354, ("",)),
        (b"250 line end without CR\n", 250, ("line end without CR",)),
        ("550 5.1.1 Empfänger unbekannt\r\n".encode(), 550, ("5.1.1 Empfänger unbekannt",)),
        ("550 Empfänger\r\n".encode("latin-1"), 550, ("Empfänger",)),
    ],
)
def test_a_reply_has_one_code_and_its_lines(raw, code, lines):
    assert read(raw) == [Reply(code, lines)]


@pytest.mark.parametrize("raw", [b"\r", b"\0", b"\x1b", b"\x7f", b"\x9b", b"\xc2\x9b", "\u2028".encode()])
def test_control_characters_are_not_passed_on(raw):
    """They could forge lines of a log, or control a terminal; a mail that contains them could not be sent."""
    assert read(b"550 5.1.1 a" + raw + b"b\r\n") == [Reply(550, ("5.1.1 a\N{REPLACEMENT CHARACTER}b",))]


def test_pipelined_replies_are_returned_one_by_one():
    assert [reply.code for reply in read(b"250 a\r\n550-b\r\n550 c\r\n354 d\r\n")] == [250, 550, 354]


@pytest.mark.parametrize(
    ("line", "enhanced"),
    [
        ("550 5.1.1 no such person", "5.1.1"),
        ("250 2.0.0", "2.0.0"),
        ("421 4.7.0 later", "4.7.0"),
        ("550 4.1.1 class of another reply", None),
        ("550 5.1.1.7 no such code", None),
        ("550 said 5.1.1", None),
        ("354 3.0.0 no such class", None),
    ],
)
def test_an_enhanced_code_counts_only_in_its_own_class(line, enhanced):
    assert read(f"{line}\r\n".encode())[0].enhanced_code == enhanced


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\r\n",
        b"\r\n",
        b"25 short\r\n",
        b"199 too low\r\n",
        b"600 too high\r\n",
        b"250?what\r\n",
        b"250-first\r\n550 other code\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x16\x03\x01\x02\x00\n",
    ],
)
def test_data_that_is_not_a_reply_is_a_protocol_error(raw):
    with pytest.raises(ProtocolError):
        read(raw)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"250 " + b"x" * MAX_LINE, id="a line without end"),
        pytest.param(b"250 " + b"x" * MAX_LINE + b"\r\n", id="a line too long"),
        pytest.param(b"250-x\r\n" * (MAX_LINES + 1), id="a reply without end"),
        pytest.param(
            (b"250-" + b"x" * (MAX_LINE - 10) + b"\r\n") * (MAX_REPLY // MAX_LINE + 2), id="a reply too large"
        ),
    ],
)
def test_an_endless_reply_is_a_protocol_error(raw):
    with pytest.raises(ProtocolError):
        read(raw)


def test_an_error_shows_the_beginning_of_the_data():
    with pytest.raises(ProtocolError, match=r"xxx…$") as raised:
        read(b"x" * 5000 + b"\r\n")
    assert len(str(raised.value)) < 300


replies = st.lists(
    st.tuples(
        st.integers(200, 599),
        st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])), min_size=1, max_size=4),
    ),
    max_size=5,
)


@given(replies, st.data())
def test_replies_do_not_depend_on_how_the_network_splits_them(written, data):
    raw = b"".join(
        f"{code}{' ' if number == len(lines) else '-'}{line}\r\n".encode()
        for code, lines in written
        for number, line in enumerate(lines, 1)
    )
    cuts = data.draw(st.lists(st.integers(0, len(raw))))
    assert read(raw, cuts) == [Reply(code, tuple(lines)) for code, lines in written]


pieces = st.binary() | st.sampled_from([b"250", b"250-", b"550 5.1.1 ", b"334 TlRM", b"\r\n", b"\n", b"\r", b"421"])


@given(st.lists(pieces), st.booleans())
def test_any_bytes_are_replies_or_a_protocol_error(received, secret):
    check(received, secret=secret)
