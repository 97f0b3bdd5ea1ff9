"""Any bytes from a server: replies within their limits, or one protocol error that shows only their beginning."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import ProtocolError
from airflow_smtp_cm.smtp.reply_parser import MAX_CHALLENGE_LINE, MAX_LINES, MAX_REPLY, ReplyParser
from airflow_smtp_cm.smtp.trace import REDACTED
from tests.fuzz import inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_smtp_cm.smtp.reply import Reply


def check(received: Sequence[bytes], *, secret: bool) -> None:
    """Check data that arrives in these pieces."""
    replies, error = read(received, secret=secret)
    for reply in replies:
        assert 200 <= reply.code <= 599
        assert len(reply.lines) <= MAX_LINES
        assert len(reply.text) <= MAX_REPLY
        assert not [sign for sign in reply.text if sign != "\t" and unicodedata.category(sign) in {"Cc", "Zl", "Zp"}]
    if error is not None:
        assert len(str(error)) < 600
        if secret:
            assert REDACTED in str(error) or not error.__context__
    whole, other_error = read([b"".join(received)], secret=secret)
    assert replies == whole
    assert (error is None) is (other_error is None)


def read(received: Sequence[bytes], *, secret: bool = False) -> tuple[list[Reply], ProtocolError | None]:
    """Return the replies, and the error that ended them, if one did."""
    parser, replies = ReplyParser(), []
    parser.secret = secret
    for piece in received:
        parser.feed(piece)
        try:
            while (reply := parser.next_reply()) is not None:
                replies.append(reply)
        except ProtocolError as error:
            return replies, error
        assert len(parser._buffer) <= MAX_CHALLENGE_LINE  # the limit applies to an endless line
    return replies, None


def one_input(data: bytes) -> None:
    for secret in (False, True):
        check(inputs.pieces(data), secret=secret)
