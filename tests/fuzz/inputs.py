"""Converts bytes to the input of a target, in a readable form, so that a corpus can be edited by hand."""

from __future__ import annotations

BORDER = b"\xff"  # not a byte of UTF-8


def pieces(data: bytes) -> list[bytes]:
    """Split at each border; return at least one piece."""
    return data.split(BORDER)


def text(data: bytes) -> str:
    """Decode UTF-8; other bytes become lone surrogates, as in file names that are not Unicode."""
    return data.decode("utf-8", "surrogateescape")
