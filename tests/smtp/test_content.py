"""The content as it leaves: line ends, dots, the end."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.smtp.content import DataLines, LineEnds

# Few different octets, so that the troublesome ones meet often.
octets = st.text(alphabet="a.\r\n", max_size=60).map(str.encode)


def encode(encoder, data: bytes, cuts: list[int]) -> bytes:
    edges = [0, *sorted(cuts), len(data)]
    pieces = [encoder.feed(data[start:end]) for start, end in pairwise(edges)]
    return b"".join([*pieces, encoder.finish()])


def decode(wire: bytes) -> bytes:
    """Read content as a server does (RFC 5321, section 4.5.2)."""
    lines = wire.removesuffix(b".\r\n").split(b"\r\n")
    return b"\r\n".join(line.removeprefix(b".") for line in lines)


@given(octets, st.data())
def test_a_server_reads_back_what_was_meant_wherever_the_chunks_end(data, choice):
    cuts = choice.draw(st.lists(st.integers(0, len(data))))
    meant = re.sub(rb"\r\n|\r|\n", b"\r\n", data)
    if meant and not meant.endswith(b"\r\n"):
        meant += b"\r\n"
    assert decode(encode(DataLines(), data, cuts)) == meant


@given(octets, st.data())
def test_the_end_of_data_stands_at_the_end_and_nowhere_else(data, choice):
    cuts = choice.draw(st.lists(st.integers(0, len(data))))
    wire = b"\r\n" + encode(DataLines(), data, cuts)
    assert wire.find(b"\r\n.\r\n") == len(wire) - 5


@given(octets, st.data(), st.sampled_from([DataLines, LineEnds]))
def test_no_bare_cr_or_lf_ever_leaves(data, choice, encoder):
    cuts = choice.draw(st.lists(st.integers(0, len(data))))
    wire = encode(encoder(), data, cuts)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", wire)


@given(octets, st.data())
def test_bdat_is_not_stuffed(data, choice):
    cuts = choice.draw(st.lists(st.integers(0, len(data))))
    assert encode(LineEnds(), data, cuts) == re.sub(rb"\r\n|\r|\n", b"\r\n", data)


@pytest.mark.parametrize(
    "smuggled",
    [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n\x00.\r\n", b"\r.\r", b"\r\n.\r\n"],
)
def test_no_sequence_known_to_end_data_early_survives(smuggled):
    wire = encode(DataLines(), b"first\r\n" + smuggled + b"MAIL FROM:<eve@evil.test>\r\n", [])
    ends = [match.start() for match in re.finditer(rb"(?:\r\n|\r|\n)\.(?:\r\n|\r|\n)", wire)]
    assert ends == [len(wire) - 5]


def test_empty_content_is_a_lone_dot():
    assert encode(DataLines(), b"", []) == b".\r\n"
