"""The content as it is sent: line ends, dots, the end."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.smtp.data_encoding import DataLines
from tests.fuzz.content import check, encode

# Few different bytes, so that critical sequences are frequent.
raw = st.text(alphabet="a.\r\n", max_size=30).map(str.encode)


@given(st.lists(raw))
def test_a_server_reads_the_content_and_one_end_wherever_the_chunks_end(chunks):
    check(chunks)


@pytest.mark.parametrize(
    "smuggled",
    [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n\x00.\r\n", b"\r.\r", b"\r\n.\r\n"],
)
def test_no_known_sequence_ends_data_early(smuggled):
    wire = encode(DataLines(), [b"first\r\n" + smuggled + b"MAIL FROM:<eve@evil.test>\r\n"])
    ends = [match.start() for match in re.finditer(rb"(?:\r\n|\r|\n)\.(?:\r\n|\r|\n)", wire)]
    assert ends == [len(wire) - 5]


def test_empty_content_is_a_lone_dot():
    assert encode(DataLines(), []) == b".\r\n"
