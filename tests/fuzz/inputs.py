"""How bytes become the input of a target: readable ones, so that a corpus can be written and read by hand."""

from __future__ import annotations

BORDER = b"\xff"  # no UTF-8 has it


def pieces(data: bytes) -> list[bytes]:
    """Cut at each border; there is at least one piece."""
    return data.split(BORDER)


def text(data: bytes) -> str:
    """Read UTF-8; what is none becomes lone surrogates, as with file names that are not Unicode."""
    return data.decode("utf-8", "surrogateescape")
