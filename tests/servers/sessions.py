"""A server with any number of sessions at the same time, in which the test decides the replies.

::

    def reply(session, word):
        if word == "content":
            all_are_waiting.wait()  # a Barrier: the sessions wait for each other
        return None  # the usual reply

    with sessions(reply) as server:
        ...  # the client under test connects to 127.0.0.1 and server.port
    assert server.delivered == {"<1@corp.test>": 1}
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING

from tests.servers.processes import LOOPBACK, PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_REPLIES = {
    "greeting": "220 hi",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    "content": "250 2.0.0 queued",
    "QUIT": "221 bye",
}
_MESSAGE_ID = re.compile(rb"^Message-ID: (<[^>]+>)", re.IGNORECASE | re.MULTILINE)
_CLOSING = "421"

CLOSE = ""
"""The reply of a server that closes the connection instead."""


class Sessions(ThreadingTCPServer):
    """The server.

    Args:
        reply: gets the number of the session, from 1, and what is to be answered: ``greeting``, the first word of the
            command, or ``content``. It returns the reply, ``CLOSE``, or None for the usual reply. It may block.
        extensions: the extensions in the reply to EHLO.

    Attributes:
        port: its port on 127.0.0.1.
        sessions: how many connections were made.
        delivered: how often each message was accepted, by Message-ID.
        by: the numbers of the sessions in which messages were accepted.
        open: how many connections are open.
    """

    allow_reuse_address = True

    def __init__(self, reply: Callable[[int, str], str | None], extensions: tuple[str, ...]) -> None:
        super().__init__((LOOPBACK, 0), _Session)
        self.port: int = self.server_address[1]
        self.sessions = self.open = 0
        self.delivered: Counter[str] = Counter()
        self.by: Counter[int] = Counter()
        self.reply = reply
        self.ehlo = "\r\n".join([*(f"250-{name}" for name in ("me", *extensions)), "250 8BITMIME"])
        self.lock = threading.Lock()


class _Session(StreamRequestHandler):
    server: Sessions
    timeout = PATIENCE_SECONDS

    def handle(self) -> None:
        with self.server.lock:
            self.server.sessions += 1
            self.server.open += 1
            self._number = self.server.sessions
        try:
            with suppress(OSError):  # the client has closed the connection
                self._talk()
        finally:
            with self.server.lock:
                self.server.open -= 1

    def _talk(self) -> None:
        goes_on = self._answer("greeting")
        while goes_on and (line := self.rfile.readline()):
            word = line.split()[0].decode().upper()
            goes_on = self._answer(word) and word != "QUIT"
            if goes_on and word == "DATA" and self._last.startswith("354"):
                goes_on = self._receive()

    def _receive(self) -> bool:
        content = b""
        for line in self.rfile:
            if line == b".\r\n":
                (message_id,) = _MESSAGE_ID.findall(content)
                return self._answer("content", message_id.decode())
            content += line
        return False  # the client has closed the connection

    def _answer(self, word: str, message_id: str = "") -> bool:
        reply = self.server.reply(self._number, word)
        if reply is None:
            reply = self.server.ehlo if word == "EHLO" else _REPLIES.get(word, "250 ok")
        if word == "content" and reply.startswith("250"):
            with self.server.lock:
                self.server.delivered[message_id] += 1
                self.server.by[self._number] += 1
        self._last = reply
        if reply != CLOSE:
            self.wfile.write(f"{reply}\r\n".encode())
        return reply != CLOSE and not reply.startswith(_CLOSING)


def together(count: int) -> Callable[[int, str], None]:
    """Return a ``reply`` with which final replies wait until so many sessions wait for one."""
    barrier = threading.Barrier(count)

    def reply(_: int, word: str) -> None:
        if word == "content":
            barrier.wait(PATIENCE_SECONDS)

    return reply


@contextmanager
def sessions(
    reply: Callable[[int, str], str | None] = lambda *_: None, extensions: tuple[str, ...] = ()
) -> Iterator[Sessions]:
    """Run the server during the block, whose end waits for all sessions."""
    server = Sessions(reply, extensions)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="sessions")
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
