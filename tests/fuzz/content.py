"""Any content in any chunks: a server reads the same content, with one end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.data_encoding import DataLines, LineEnds
from tests.fuzz import inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def encode(encoder: DataLines | LineEnds, chunks: Sequence[bytes]) -> bytes:
    return b"".join([*[encoder.feed(chunk) for chunk in chunks], encoder.finish()])


def decode(wire: bytes) -> bytes:
    """Decode content like a server (RFC 5321, section 4.5.2)."""
    lines = wire.removesuffix(b".\r\n").split(b"\r\n")
    return b"\r\n".join(line.removeprefix(b".") for line in lines)


def check(chunks: Sequence[bytes]) -> None:
    """Check the encodings for DATA and for BDAT."""
    meant = re.sub(rb"\r\n|\r|\n", b"\r\n", b"".join(chunks))
    data, bdat = encode(DataLines(), chunks), encode(LineEnds(), chunks)
    assert bdat == meant
    assert decode(data) == (meant if not meant or meant.endswith(b"\r\n") else meant + b"\r\n")
    framed = b"\r\n" + data
    assert framed.find(b"\r\n.\r\n") == len(framed) - 5
    assert not _BARE.search(data)
    assert not _BARE.search(bdat)


def one_input(data: bytes) -> None:
    check(inputs.pieces(data))
