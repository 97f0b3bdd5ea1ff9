"""Encoding of the content for DATA and BDAT (RFC 5321, sections 2.3.8 and 4.5.2; RFC 3030)."""

from __future__ import annotations

import re

_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")
END_OF_DATA = b".\r\n"


class LineEnds:
    """Converts all line ends to CRLF, chunk by chunk; a bare CR or LF would allow SMTP smuggling."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk with CRLF line ends; a CR at its end is held back until the next chunk."""
        chunk = self._held + chunk
        self._held = b""
        if chunk.endswith(b"\r"):
            chunk, self._held = chunk[:-1], b"\r"
        ends = len(chunk) - len(chunk.translate(None, b"\r\n"))  # faster than counting each
        if ends != 2 * chunk.count(b"\r\n"):
            chunk = _ANY_LINE_END.sub(b"\r\n", chunk)
        return chunk

    def finish(self) -> bytes:
        """Return the rest: the line end that was held back."""
        return b"\r\n" if self._held else b""


class DataLines:
    """Encodes content for DATA: CRLF line ends, leading dots doubled, a final dot."""

    def __init__(self) -> None:
        self._line_ends = LineEnds()
        self._at_line_start = True

    def feed(self, chunk: bytes) -> bytes:
        """Return the encoded chunk."""
        return self._stuff(self._line_ends.feed(chunk))

    def finish(self) -> bytes:
        """Return the rest: the end of the last line if it is missing, and the final dot."""
        last = self._stuff(self._line_ends.finish())
        return last + (END_OF_DATA if self._at_line_start else b"\r\n" + END_OF_DATA)

    def _stuff(self, chunk: bytes) -> bytes:
        if not chunk:
            return chunk
        if self._at_line_start and chunk.startswith(b"."):
            chunk = b"." + chunk
        self._at_line_start = chunk.endswith(b"\n")
        return chunk.replace(b"\n.", b"\n..")


class Unencoded:
    """Leaves content as it is, for BDAT with BINARYMIME."""

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk."""
        return chunk

    def finish(self) -> bytes:
        """Return nothing."""
        return b""
