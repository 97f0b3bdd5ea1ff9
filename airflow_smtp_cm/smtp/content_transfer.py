"""The transfer of a message's content: read block by block, encoded, and sent with BDAT or after DATA."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.data_encoding import DataLines, LineEnds, Unencoded
from airflow_smtp_cm.smtp.effects import Call
from airflow_smtp_cm.smtp.errors import MessageError, Phase
from airflow_smtp_cm.smtp.wire import Command

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.interfaces import Content
    from airflow_smtp_cm.smtp.wire import Wire

# Large enough for few writes, small enough for little memory.
BLOCK = 128 * 1024
# Content of at most one block is sent in one write, also together with envelopes.
INLINE_LIMIT = BLOCK


class ContentTransfer:
    """The transfer of one message's content.

    Args:
        wire: the connection.
        content: the content.
    """

    def __init__(self, wire: Wire, content: Content) -> None:
        self._wire = wire
        self._content = content

    def bdat(self) -> Steps[Command]:
        """Return BDAT with the whole content (RFC 3030).

        Raises:
            MessageError: the content cannot be read.
        """
        encoder = self._bdat_encoder()
        payload = encoder.feed((yield from self._whole())) + encoder.finish()
        return Command(Phase.FINAL, f"BDAT {len(payload)} LAST", payload)

    def data_lines(self) -> Steps[bytes]:
        """Return the whole content encoded for DATA, with the final dot.

        Raises:
            MessageError: the content cannot be read.
        """
        encoder = DataLines()
        return encoder.feed((yield from self._whole())) + encoder.finish()

    def stream(self, bdat: str | None) -> Steps[None]:
        """Send the content block by block.

        Args:
            bdat: the BDAT command to send before it; None if the server waits for the content after DATA.

        Raises:
            MessageError: the content cannot be read, or does not have the announced size.
            SmtpError: the connection broke, or the server replied before the end.
        """
        content = self._content
        encoder = self._bdat_encoder() if bdat else DataLines()
        head = f"{bdat}\r\n".encode() if bdat else b""
        size, last = 0, False
        yield from self._wire.check_for_unsolicited_data(Phase.DATA)
        with closing(content.chunks()) as chunks:
            while not last:
                block, last = yield from self._read(chunks, content.size - size)
                encoded = encoder.feed(block) + (encoder.finish() if last else b"")
                # BDAT announces the encoded size; DATA has dots doubled and a final dot, so that the source counts.
                size += len(encoded if bdat else block)
                if size > content.size or last is not (size == content.size):
                    raise _content_changed(content)
                yield from self._wire.write(head + encoded, Phase.CONTENT)
                head = b""

    def _bdat_encoder(self) -> LineEnds | Unencoded:
        return Unencoded() if self._content.body == "BINARYMIME" else LineEnds()

    def _read(self, chunks: Generator[bytes], left: int) -> Steps[tuple[bytes, bool]]:
        read = partial(_next_block, chunks, left)
        return read() if self._content.in_memory else (yield Call(read))

    def _whole(self) -> Steps[bytes]:
        content = self._content
        with closing(content.chunks()) as chunks:
            data, last = yield from self._read(chunks, content.size)
        if not last or len(data) != content.size:
            raise _content_changed(content)
        return data


def _content_changed(content: Content) -> MessageError:
    return MessageError(
        f"The message changed while it was being sent: it had {content.size:,} bytes. Nothing was delivered."
    )


def _next_block(chunks: Generator[bytes], left: int) -> tuple[bytes, bool]:
    """Return the next block of about ``BLOCK`` bytes, and whether it is the last.

    A block that reaches the announced size is returned only when ``chunks`` has ended: after BDAT, the server would
    deliver the message even if more bytes followed.

    Args:
        chunks: the content.
        left: how many bytes of the announced size are still to be read.

    Raises:
        MessageError: the content cannot be read.
    """
    block: list[bytes] = []
    size = 0
    try:
        for chunk in chunks:
            block.append(chunk)
            size += len(chunk)
            if size >= BLOCK and size != left:
                return b"".join(block), False
    except (OSError, ValueError) as error:
        raise MessageError(
            f"The message could not be read completely, and was not sent: {error}",
            transient=isinstance(
                error, OSError
            ),  # the file was readable when the message was built: the storage may recover
        ) from error
    return b"".join(block), True
