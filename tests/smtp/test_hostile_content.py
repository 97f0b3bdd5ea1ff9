"""Messages that change while they are sent, or cannot be read: the server never gets one as complete."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest

from airflow_smtp_cm.smtp.content_transfer import INLINE_LIMIT
from airflow_smtp_cm.smtp.errors import Disconnected, MessageError, Refused
from tests.smtp.driver import Breaks
from tests.smtp.outgoing import Note

BDAT = ("PIPELINING", "CHUNKING")
DATA = ("PIPELINING",)


@dataclass
class Hostile:
    """Content whose chunks differ from its announced size."""

    raw: bytes
    size: int
    error: Exception | None = None
    body: str = "7BIT"
    utf8: bool = False
    in_memory: bool = False
    open_files: list[str] = field(default_factory=list)

    def chunks(self):
        self.open_files.append("attachment")
        try:
            for start in range(0, len(self.raw), 50_000):
                yield self.raw[start : start + 50_000]
            if self.error:
                raise self.error
        finally:
            self.open_files.clear()


@dataclass(frozen=True)
class HostileNote(Note):
    rendering: Hostile | None = None

    def content(self, **_):
        return self.rendering


TOO_MUCH_OR_TOO_LITTLE = [-7, -1, 1, INLINE_LIMIT]


@pytest.mark.parametrize("difference", TOO_MUCH_OR_TOO_LITTLE)
def test_a_short_message_that_has_changed_is_not_sent(driver, send, difference):
    content = Hostile(b"x" * (1000 + difference), size=1000)
    with pytest.raises(MessageError, match="changed while it was being sent: it had 1,000 bytes"):
        send(BDAT, note=HostileNote(rendering=content))
    assert driver.writes == []
    assert content.open_files == []
    assert not send.session.wire.closed


@pytest.mark.parametrize("offer", [BDAT, DATA, ()])
@pytest.mark.parametrize("difference", TOO_MUCH_OR_TOO_LITTLE)
def test_a_message_that_changes_is_not_completed(driver, send, difference, offer):
    content = Hostile(b".\r\n" * 100_000, size=300_000 - difference)
    with pytest.raises(MessageError, match="changed while it was being sent"):
        send(offer, *_go_ahead(offer), note=HostileNote(rendering=content))
    _assert_not_ended(driver, content)
    assert send.session.wire.closed


@pytest.mark.parametrize("error", [OSError("share is gone"), ValueError("I/O operation on closed file")])
@pytest.mark.parametrize("size", [1000, 300_000])
@pytest.mark.parametrize("offer", [BDAT, DATA, ()])
def test_a_message_that_cannot_be_read_completely_is_not_completed(driver, send, offer, size, error):
    content = Hostile(b"x\r\n" * (size // 3), size=size, error=error)
    with pytest.raises(MessageError, match=f"could not be read completely, and was not sent: {error}") as raised:
        send(offer, *([] if (offer, size) == (BDAT, 1000) else _go_ahead(offer)), note=HostileNote(rendering=content))
    assert raised.value.__cause__ is error
    _assert_not_ended(driver, content)
    assert send.session.wire.closed is bool(driver.writes)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a bug"), Refused("no")])
@pytest.mark.parametrize("offer", [BDAT, DATA, ()])
def test_after_an_interruption_of_the_content_nothing_is_sent(driver, send, offer, error):
    content = Hostile(b"x\r\n" * 100_000, size=300_000, error=error)
    with pytest.raises(type(error)):
        send(offer, *_go_ahead(offer), note=HostileNote(rendering=content))
    _assert_not_ended(driver, content)
    assert send.session.wire.closed


@pytest.mark.parametrize("offer", [BDAT, DATA])
def test_a_broken_connection_closes_the_files_of_the_message(send, offer):
    content = Hostile(b"x\r\n" * 100_000, size=300_000)
    with pytest.raises(Disconnected):
        send(offer, *_go_ahead(offer), Breaks(), note=HostileNote(rendering=content))
    assert content.open_files == []


def _go_ahead(offer):
    together = ["250 a\n250 b"] if "CHUNKING" in offer else ["250 a\n250 b\n354 go"]
    return together if "PIPELINING" in offer else ["250 a", "250 b", "354 go"]


def _assert_not_ended(driver, content):
    sent = b"".join(driver.writes)
    if bdat := re.search(rb"BDAT (\d+) LAST\r\n(.*)", sent, re.DOTALL):
        assert len(bdat[2]) < int(bdat[1])
    else:
        assert not sent.endswith(b"\r\n.\r\n")
    assert content.open_files == []


def test_a_message_that_cannot_be_rendered_is_not_sent(driver, send):
    class Unrenderable(Note):
        def content(self, **_):
            raise ValueError("Größe needs 8BITMIME")

    with pytest.raises(MessageError, match=r"cannot be sent to mail\.test:25: Größe needs 8BITMIME"):
        send(BDAT, note=Unrenderable())
    assert driver.writes == []
    assert not send.session.wire.closed


def test_a_message_without_recipients_is_not_sent(driver, send):
    with pytest.raises(MessageError, match="no recipient"):
        send(BDAT, note=Note(recipients=()))
    assert driver.writes == []


def test_bare_line_ends_in_a_large_bdat_message_do_not_change_its_size(driver, send):
    """Otherwise the announced size would be wrong, and a server would read content as commands."""
    content = Hostile(b"x\n" * 100_000, size=200_000)
    with pytest.raises(MessageError):
        send(BDAT, *_go_ahead(BDAT), note=HostileNote(rendering=content))
    _assert_not_ended(driver, content)
