"""Devices between a client and the test server, which do what firewalls and mail gateways do.

    with SmtpTestServer(personality="exchange") as server, esmtp_inspection(server) as port:
        connection = server.airflow_connection(port=port)
        ...  # the client connects to the device

A device relays each connection to the server, command by command. It ends TLS with the server's own certificate. The
server must offer what the device breaks: CHUNKING is offered by the personality ``exchange`` only.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from contextlib import contextmanager, suppress
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.testing.streams import Closed, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_smtp_cm.testing.server import SmtpTestServer

# The keywords that the default policy of Cisco's "inspect esmtp" does not mask.
_KNOWN = {
    "8BITMIME",
    "AUTH",
    "BINARYMIME",
    "CHECKPOINT",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "ETRN",
    "PIPELINING",
    "SIZE",
    "VRFY",
}
_POLL_SECONDS = 0.05


@contextmanager
def esmtp_inspection(server: SmtpTestServer) -> Iterator[int]:
    """A firewall that masks the EHLO keywords that it does not know, STARTTLS included; yields its port."""
    with _running(server, _EsmtpInspection) as port:
        yield port


@contextmanager
def hang_up_at_bdat(server: SmtpTestServer) -> Iterator[int]:
    """A gateway that passes CHUNKING on, and closes the connection after BDAT; yields its port."""
    with _running(server, _HangUpAtBdat) as port:
        yield port


@contextmanager
def stall_at_bdat(server: SmtpTestServer) -> Iterator[int]:
    """A gateway that passes CHUNKING on, and does not reply to BDAT; yields its port."""
    with _running(server, _StallAtBdat) as port:
        yield port


@contextmanager
def one_bdat_per_session(server: SmtpTestServer) -> Iterator[int]:
    """A gateway that closes the connection after the second BDAT of a session; yields its port."""
    with _running(server, _OneBdatPerSession) as port:
        yield port


@contextmanager
def _running(server: SmtpTestServer, dialogue: type[_Dialogue]) -> Iterator[int]:
    with _Device(server, dialogue) as device:
        thread = threading.Thread(target=device.serve_forever, args=(_POLL_SECONDS,), name="device")
        thread.start()
        try:
            yield device.server_address[1]
        finally:
            device.shutdown()
            thread.join()
            device.disconnect()


class _Device(socketserver.ThreadingTCPServer):
    """Accepts connections; each has a dialogue in a thread of its own."""

    def __init__(self, behind: SmtpTestServer, dialogue: type[_Dialogue]) -> None:
        super().__init__((behind.host, 0), dialogue)
        self.behind = behind
        self._streams: list[Stream] = []

    # socketserver passes the request on as it is.
    def get_request(self) -> tuple[tuple[Stream, Stream], Any]:  # type: ignore[override]
        accepted, address = self.socket.accept()
        try:
            upstream = socket.create_connection((self.behind.host, self.behind.port))
        except OSError:
            accepted.close()
            raise
        client_and_server = Stream(accepted), Stream(upstream)
        self._streams += client_and_server
        return client_and_server, address

    def shutdown_request(self, request: Any) -> None:
        for stream in request:
            stream.socket.close()

    def disconnect(self) -> None:
        """Make every dialogue end."""
        for stream in self._streams:
            with suppress(OSError):  # it has ended
                stream.socket.shutdown(socket.SHUT_RDWR)


class _Dialogue(socketserver.BaseRequestHandler):
    """Relays one connection."""

    server: _Device

    def handle(self) -> None:
        self.client, self.upstream = self.request
        with suppress(OSError):
            self.client.send(self.upstream.reply())
            while True:
                self.relay(self.client.line())

    def relay(self, line: bytes) -> None:
        """Relay a command, and the reply."""
        word = line[:8].split(b" ")[0].strip().upper()
        if word == b"BDAT":
            line += self.client.take(int(line.split()[1]))
            self.at_bdat()
        self.upstream.send(line)
        reply = self.upstream.reply()
        self.client.send(self.ehlo(reply) if word == b"EHLO" else reply)
        if word == b"STARTTLS" and reply.startswith(b"220"):
            self.start_tls()
        elif word == b"DATA" and reply.startswith(b"354"):
            self.content()
        while word == b"AUTH" and reply.startswith(b"334"):
            self.upstream.send(self.client.line())
            reply = self.upstream.reply()
            self.client.send(reply)

    def ehlo(self, reply: bytes) -> bytes:
        """Return the reply to EHLO for the client."""
        return reply

    def at_bdat(self) -> None:
        """Do something before a BDAT that has arrived completely is relayed."""

    def content(self) -> None:
        """Relay the content after DATA, and the final reply."""
        line = b""
        while line != b".\r\n":
            line = self.client.line()
            self.upstream.send(line)
        self.client.send(self.upstream.reply())

    def start_tls(self) -> None:
        behind = self.server.behind
        trusted = ssl.create_default_context(cafile=behind.ca_bundle)
        self.upstream.start_tls(trusted, server_hostname=behind.server_name)
        self.client.start_tls(behind.tls_context, server_side=True)


class _EsmtpInspection(_Dialogue):
    def ehlo(self, reply: bytes) -> bytes:
        greeting, *lines = reply.decode().splitlines()
        letters = iter(ascii_uppercase)
        return "".join(f"{line}\r\n" for line in (greeting, *(_masked(line, letters) for line in lines))).encode()


def _masked(line: str, letters: Iterator[str]) -> str:
    keyword, blank, parameters = line[4:].partition(" ")
    if keyword in _KNOWN:
        return line
    return f"{line[:4]}{'X' * (len(keyword) - 1)}{next(letters)}{blank}{parameters}"


class _HangUpAtBdat(_Dialogue):
    def at_bdat(self) -> None:
        raise Closed


class _StallAtBdat(_Dialogue):
    def at_bdat(self) -> None:
        while True:
            self.client.fill()


class _OneBdatPerSession(_Dialogue):
    used = False

    def at_bdat(self) -> None:
        if self.used:
            raise Closed
        self.used = True
