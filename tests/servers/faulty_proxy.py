"""A proxy between a client and a real server that injects one fault into their dialogue, at one point.

::

    proxy = FaultyProxy(postfix.port(), certificates, Point.MAIL, Fault.SILENCE)
    with scripted_peer([proxy.step], [proxy.step]) as peer:  # as many connections as the client may make
        ...  # the client under test connects to 127.0.0.1 and peer.port
        proxy.client_is_back.set()
    assert proxy.received[0][-1] == "MAIL"

It has a TLS session with each of them, so that it can read every command and every reply. The fault is in the first
connection. A fault that replaces a reply is the worst case: the server has executed the command, and everything that
was sent with it, and the client does not know it. A refusal replaces the command, which never reaches the server; so
does every fault at ``Point.DATA`` if the content is sent with BDAT.
"""

from __future__ import annotations

import socket
import ssl
import threading
from enum import StrEnum
from typing import TYPE_CHECKING

from tests.servers.processes import LOOPBACK, PATIENCE_SECONDS
from tests.servers.scripted import ScriptError, Step
from tests.servers.streams import BLOCK, DRIP_SECONDS, Closed, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.certificates import Certificates
    from tests.servers.scripted import Connection

_BEGINNING = 40_000  # bytes of the content before the fault
_LONG = 16_000  # bytes of a drip: they fit into one TLS record, and take longer than any test
_CLIENT_HELLO = 1

_END_OF_DATA = b"\r\n.\r\n"
_OK = b"250 2.0.0 Ok\r\n"


class Point(StrEnum):
    """Where the fault is: in the reply to this."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    TLS = "TLS handshake"
    EHLO_UNDER_TLS = "EHLO under TLS"
    AUTH = "AUTH"
    AUTH_RESPONSE = "AUTH response"
    MAIL = "MAIL"
    FIRST_RCPT = "first RCPT"
    LAST_RCPT = "last RCPT"
    DATA = "DATA/BDAT"
    CONTENT = "mid-content"
    FINAL = "final reply"
    QUIT = "QUIT"


class Fault(StrEnum):
    """What happens there."""

    SILENCE = "silence"
    RESET = "reset"
    HALF_CLOSE = "half-close"
    CLOSING = "421"
    LATER = "4xx"
    NEVER = "5xx"
    GARBAGE = "garbage"
    ENDLESS_LINE = "endless line"
    ENDLESS_CONTINUATION = "endless continuation"
    ONE_BYTE_AT_A_TIME = "one byte at a time"
    DRIP = "endless drip"
    EARLY = "reply before command"
    DOUBLED = "doubled reply"
    CODES = "wrong multi-line codes"


_REFUSALS = {
    Fault.CLOSING: b"421 4.3.2 Shutting down\r\n",
    Fault.LATER: b"451 4.3.0 Try again later\r\n",
    Fault.NEVER: b"554 5.3.0 Never\r\n",
}
_NONSENSE = {Fault.GARBAGE: b"HTTP/1.1 400 Bad Request\r\n", Fault.CODES: b"250-Yes\r\n550 No\r\n"}
_ENDLESS = {Fault.ENDLESS_LINE: b"250 " + b"x" * BLOCK, Fault.ENDLESS_CONTINUATION: b"250-more\r\n" * 1000}
# These replace a reply, and nothing follows them.
_LAST = {Fault.SILENCE, Fault.RESET, Fault.HALF_CLOSE, Fault.DRIP, *_NONSENSE, *_ENDLESS}

# For a reply before its command: the earlier reply that it is sent with, and its text.
_EARLY = {
    Point.EHLO: (Point.GREETING, b"250 early\r\n"),
    Point.STARTTLS: (Point.EHLO, b"220 early\r\n"),
    Point.TLS: (Point.STARTTLS, b"250 early\r\n"),
    Point.EHLO_UNDER_TLS: (Point.TLS, b"250 early\r\n"),
    Point.AUTH: (Point.EHLO_UNDER_TLS, b"334 \r\n"),
    Point.AUTH_RESPONSE: (Point.AUTH, b"235 2.7.0 early\r\n"),
    Point.MAIL: (Point.AUTH_RESPONSE, b"250 2.1.0 early\r\n"),
    Point.FIRST_RCPT: (Point.MAIL, b"250 2.1.5 early\r\n"),
    Point.LAST_RCPT: (Point.FIRST_RCPT, b"250 2.1.5 early\r\n"),
    Point.DATA: (Point.LAST_RCPT, b"354 early\r\n"),
    Point.FINAL: (Point.DATA, b"250 2.0.0 early\r\n"),
    Point.QUIT: (Point.FINAL, b"221 2.0.0 early\r\n"),
}
_EARLY_WITH_BDAT = _EARLY | dict.fromkeys((Point.DATA, Point.FINAL), (Point.LAST_RCPT, b"250 2.0.0 early\r\n"))

_POINTS = {"STARTTLS": Point.STARTTLS, "AUTH": Point.AUTH, "MAIL": Point.MAIL, "QUIT": Point.QUIT}


class FaultyProxy:
    """The proxy of one client, for all its connections.

    Args:
        port: the server's port on 127.0.0.1.
        certificates: the server's certificate, which the proxy uses, too, and the authority to trust.
        point: the point of the fault in the first connection.
        fault: the fault.
        chunking: whether the client sends content with BDAT.
        message: the number of the message in which it occurs.

    Attributes:
        client_is_connected: the test sets it when the client has connected; a reset instead of the greeting waits for
            it.
        client_is_back: the test sets it when the client has returned; then the proxy reads the unread content.
        at_point: set when the client waits in vain: for a reply that was dropped, or for its content to be read.
        received: the commands of each connection: the first word of each command; ``response`` for a response during
            AUTH; ``content`` for complete content after DATA.
        left: for each connection, whether the client has closed it; after a reset, this cannot be observed.
    """

    def __init__(
        self,
        port: int,
        certificates: Certificates,
        point: Point,
        fault: Fault,
        *,
        chunking: bool = False,
        message: int = 1,
    ) -> None:
        self.port = port
        self.certificates = certificates
        self.point = point
        self.fault = fault
        self.chunking = chunking
        self.message = message
        self.client_is_connected = threading.Event()
        self.client_is_back = threading.Event()
        self.at_point = threading.Event()
        self.received: list[list[str]] = []
        self.left: list[bool] = []

    @property
    def step(self) -> Step:
        """Return the proxy as a step for ``scripted_peer``."""
        return Step(f"{self.fault} at {self.point}", self._play)

    def _play(self, connection: Connection) -> None:
        dialogue = _Dialogue(self, connection, first=not self.received)
        self.received.append(dialogue.received)
        self.left.append(False)
        try:
            dialogue.run()
        except Closed:
            self.left[-1] = True


class _Reset(ConnectionError):
    """The proxy has reset the connection itself."""


class _ServerClosed(ScriptError):
    """The server has closed the connection, which no test expects."""


class _Dialogue:
    """One connection of the client, and the proxy's connection to the server."""

    def __init__(self, proxy: FaultyProxy, connection: Connection, *, first: bool) -> None:
        self.received: list[str] = []
        self._proxy = proxy
        self._connection = connection
        self._first = first
        self._point: Point | None = None
        self._fault: Fault | None = None
        self._messages = 0
        if proxy.message == 1:
            self._break_now()
        self._client = Stream(connection.socket)
        self._server = Stream(socket.create_connection((LOOPBACK, proxy.port)), _ServerClosed)
        self._early = _EARLY_WITH_BDAT if proxy.chunking else _EARLY
        self._recipients = 0
        self._in_auth = False
        self._drops = False  # whether replies are dropped, from the fault on
        self._answered = False  # whether the next command was answered before it arrived
        self._alone = False  # whether the connection to the server was closed during the content

    def _break_now(self) -> None:
        if self._first:
            self._point, self._fault = self._proxy.point, self._proxy.fault

    def run(self) -> None:
        with self._server.socket:
            self._pass_on(Point.GREETING, self._server.reply)
            while True:
                if self._drops and not self._client.buffer:
                    self._break()
                self._command(self._client.line())

    def _command(self, line: bytes) -> None:
        word = "response" if self._in_auth else line.split()[0].decode().upper()
        self.received.append(word)
        point = _POINTS.get(word)
        if word == "response":
            point = Point.AUTH_RESPONSE
        elif word == "EHLO":
            point = Point.EHLO_UNDER_TLS if self._client.tls else Point.EHLO
        elif word == "MAIL":
            self._messages += 1
            if self._messages == self._proxy.message > 1:
                self._recipients = 0
                self._break_now()
        elif word == "RCPT":
            self._recipients += 1
            point = Point.FIRST_RCPT if self._recipients == 1 else Point.LAST_RCPT
        elif word == "BDAT":
            self._bdat(line)
            return
        elif word == "DATA":
            self._data(line)
            return
        reply = self._pass_on(point, lambda: self._ask(line))
        self._in_auth = reply.startswith(b"334")
        if word == "STARTTLS" and reply.startswith(b"220") and not self._drops:
            self._start_tls()

    def _pass_on(self, point: Point | None, ask: Callable[[], bytes]) -> bytes:
        """Pass the server's reply on to the client, with the fault if this is its point; return the reply."""
        fault = self._fault if point and point is self._point else None
        if fault in _REFUSALS:
            self._refuse()
            return b""
        reply = ask()
        if fault in _LAST:
            self._drops = True
            self._proxy.at_point.set()
        if self._drops:
            return reply
        if self._answered:
            self._answered = False
            return reply
        self._client.send(reply * (2 if fault is Fault.DOUBLED else 1) + self._early_after(point), self._piece(fault))
        return reply

    def _early_after(self, point: Point | None) -> bytes:
        """Return the early reply that is sent together with the reply at this point, if any."""
        if self._fault is not Fault.EARLY or self._point not in self._early:
            return b""
        after, early = self._early[self._point]
        self._answered = after is point
        return early if self._answered else b""

    @staticmethod
    def _piece(fault: Fault | None) -> int:
        return 1 if fault is Fault.ONE_BYTE_AT_A_TIME else BLOCK

    def _ask(self, data: bytes) -> bytes:
        if self._alone:
            return _OK
        self._server.send(data)
        return self._server.reply()

    def _start_tls(self) -> None:
        certificates = self._proxy.certificates
        self._server.start_tls(ssl.create_default_context(cafile=certificates.authority), server_side=False)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server.chain, certificates.server.key)
        fault = self._fault if self._point is Point.TLS else None
        if self._fault is Fault.EARLY and self._point is Point.EHLO_UNDER_TLS:
            context.maximum_version = ssl.TLSVersion.TLSv1_2  # there, the server ends the handshake
        put = (
            {
                Fault.DOUBLED: lambda data: self._client.put(data * 2),
                Fault.ONE_BYTE_AT_A_TIME: self._client.put_slowly,
                Fault.DRIP: lambda data: self._client.put_slowly(data, DRIP_SECONDS),
            }.get(fault)
            if fault
            else None
        )
        if fault is not None and put is None:
            self._client.take(_CLIENT_HELLO)
            if fault in _REFUSALS:
                self._refuse()
            self._break()
        early = self._early_after(Point.TLS)
        self._client.start_tls(context, server_side=True, early=early, put=put)

    def _data(self, line: bytes) -> None:
        reply = self._pass_on(Point.DATA, lambda: self._ask(line))
        if not reply.startswith(b"354") or self._drops:
            return
        self._break_content()
        searched = 0
        while (end := self._client.buffer.find(_END_OF_DATA, searched)) < 0:
            searched = max(0, len(self._client.buffer) - len(_END_OF_DATA))
            self._client.fill()
        self.received.append("content")
        # The next envelope may follow in the same write.
        self._finish(Point.FINAL, self._client.take(end + len(_END_OF_DATA)))

    def _bdat(self, line: bytes) -> None:
        count = int(line.split()[1])
        beginning = self._break_content(line)
        rest = self._client.take(count - beginning)
        point = Point.DATA if self._point is Point.DATA else Point.FINAL
        self._finish(point, rest if beginning else line + rest)

    def _finish(self, point: Point, data: bytes) -> None:
        """Send the last bytes of the content to the server, unless the fault prevents it."""
        if self._point is point and self._fault in _REFUSALS:
            self._leave_server()
        if point is Point.DATA and self._fault in _LAST:
            self._pass_on(point, lambda: b"")
        else:
            self._pass_on(point, lambda: self._ask(data))

    def _break_content(self, command: bytes = b"") -> int:
        """If the fault is in the content, inject it; return the number of bytes that were received."""
        if self._point is not Point.CONTENT:
            return 0
        client, fault = self._client, self._fault
        client.reads = self._piece(fault)
        while len(client.buffer) < _BEGINNING:
            client.fill()
        client.reads = BLOCK
        count = len(client.buffer)
        self._server.send(command + client.take(count))
        replies = {
            Fault.EARLY: b"250 2.0.0 early\r\n",
            Fault.DOUBLED: b"250 2.1.5 Ok\r\n" if command else b"354 go on\r\n",
            **_NONSENSE,
        }
        if fault in _REFUSALS:
            self._leave_server()
            self._refuse()
        elif fault in replies:
            client.send(replies[fault])
        elif fault in (Fault.SILENCE, Fault.DRIP):
            self._stop_reading()
        elif fault is not Fault.ONE_BYTE_AT_A_TIME:
            self._break()
        return count

    def _stop_reading(self) -> None:
        """Read nothing, or a byte from time to time, until the client has returned."""
        self._proxy.at_point.set()
        if self._fault is Fault.SILENCE:
            self._proxy.client_is_back.wait(PATIENCE_SECONDS)
        while not self._proxy.client_is_back.wait(DRIP_SECONDS):
            self._client.socket.recv(1)
        self._client.read_to_end()

    def _leave_server(self) -> None:
        """Close the connection to the server, so that the content has no end there; the proxy replies from now on."""
        self._server.socket.close()
        self._alone = True

    def _refuse(self) -> None:
        assert self._fault is not None
        self._client.send(_REFUSALS[self._fault])
        if self._fault is Fault.CLOSING:
            self._client.half_close()
            self._client.read_to_end()

    def _break(self) -> None:
        """Do what ends the connection; never return."""
        client, fault = self._client, self._fault
        if fault is Fault.RESET:
            if self._point is Point.GREETING:
                self._proxy.client_is_connected.wait(PATIENCE_SECONDS)
            self._connection.reset()
            raise _Reset
        if fault is Fault.HALF_CLOSE:
            client.half_close()
        elif fault in _NONSENSE:
            client.send(_NONSENSE[fault])
        while fault in _ENDLESS:
            client.send(_ENDLESS[fault])
        if fault is Fault.DRIP:
            client.drip(b"250 " + b"x" * _LONG)
        client.read_to_end()
