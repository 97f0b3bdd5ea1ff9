"""A small SMTP server whose AUTH uses the system's GSS-API: Kerberos and SPNEGO of MIT, NTLM of gss-ntlmssp.

So it is independent of the client's libraries, and it is the one server here that enforces channel bindings, which
Exchange calls Extended Protection. Its SMTP is only what a login and a message need; messages are thrown away.
It runs as a program of its own, on loopback; ``acceptor_process`` starts it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import socketserver
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import gssapi
import gssapi.raw
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from gssapi.raw.misc import GSSError

if TYPE_CHECKING:
    import socket
    from typing import Any

_NTLM = gssapi.OID.from_int_seq("1.3.6.1.4.1.311.2.2.10")
_KERBEROS = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
_SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
# As on Exchange, GSSAPI carries SPNEGO as well as plain Kerberos.
MECHANISMS = {"NTLM": [_NTLM], "GSSAPI": [_KERBEROS, _SPNEGO], "GSS-SPNEGO": [_SPNEGO]}
# GSS_C_CHANNEL_BOUND_FLAG of krb5 1.19 and later: the client sent the right bindings.
_CHANNEL_BOUND = 0x800
_NO_LAYER = b"\x01\x00\x00\x00"


class Options(NamedTuple):
    """The program's arguments."""

    port: int
    certificate: Path
    key: Path
    bindings: str
    log: Path


class Cancelled(Exception):
    """The client cancelled this AUTH."""


class Conversation(socketserver.BaseRequestHandler):
    """One connection."""

    server: Server
    request: socket.socket
    user: str | None = None
    tls = False

    def handle(self) -> None:
        """Serve the connection until the client ends it."""
        self.lines = self.request.makefile("rb")
        self.say("220 acceptor ESMTP")
        try:
            while self.answer(*self.read().partition(" ")[::2]):
                pass
        except OSError:
            pass  # the client has closed the connection; ssl.SSLError is an OSError, too

    def finish(self) -> None:
        """Close the socket; after STARTTLS, it is not the one that was accepted."""
        self.lines.close()
        self.request.close()

    def say(self, *lines: str) -> None:
        """Send a reply."""
        self.request.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def read(self) -> str:
        """Wait for a line, and return it."""
        line = self.lines.readline()
        if not line.endswith(b"\n"):
            raise ConnectionAbortedError
        return line.decode().rstrip("\r\n")

    def answer(self, verb: str, argument: str) -> bool:
        """Execute a command; return False after QUIT."""
        match verb.upper():
            case "EHLO":
                starttls = [] if self.tls else ["250-STARTTLS"]
                self.say("250-acceptor", *starttls, f"250-AUTH {' '.join(MECHANISMS)}", "250 8BITMIME")
            case "STARTTLS":
                self.say("220 2.0.0 Go ahead")
                self.start_tls()
            case "AUTH":
                self.authenticate(*argument.partition(" ")[::2])
            case "MAIL" | "RCPT" | "DATA" if self.user is None:
                self.say("530 5.7.57 Client not authenticated to send mail")
            case "DATA":
                self.say("354 Go ahead")
                while self.read() != ".":
                    pass
                self.say("250 2.0.0 Discarded")
            case "MAIL" | "RCPT" | "RSET" | "NOOP":
                self.say("250 2.0.0 Ok")
            case "QUIT":
                self.say("221 2.0.0 Bye")
                return False
            case _:
                self.say("500 5.5.1 Unrecognized command")
        return True

    def start_tls(self) -> None:
        """Start TLS with the certificate of the options."""
        self.lines.close()
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.lines = self.request.makefile("rb")
        self.tls = True

    def authenticate(self, mechanism: str, initial: str) -> None:
        """Execute AUTH, and log it before the final reply is sent."""
        if mechanism not in MECHANISMS:
            self.say("504 5.5.4 Unrecognized authentication type")
            return
        note: dict[str, Any] = {"mechanism": mechanism, "ok": False, "user": None, "inner": None, "bound": False}
        reply = "535 5.7.3 Authentication unsuccessful"
        try:
            context = self.negotiate(mechanism, initial)
        except Cancelled:
            note["error"], reply = "cancelled", "501 5.7.0 Authentication cancelled"
        except (GSSError, ValueError) as error:
            note["error"] = " ".join(str(error).split())
        else:
            # not inquire_context(): it does not support contexts of gss-ntlmssp
            note["bound"] = bool(int(context.actual_flags) & _CHANNEL_BOUND)
            note["user"] = str(context.initiator_name).rstrip("\0")
            note["inner"] = context.mech.dotted_form
            if self.server.options.bindings == "require" and not note["bound"]:
                note["error"] = "the client sent no channel bindings"
            else:
                self.user, note["ok"] = note["user"], True
                reply = "235 2.7.0 Authentication successful"
        self.server.log(note)
        self.say(reply)

    def negotiate(self, mechanism: str, initial: str) -> gssapi.SecurityContext:
        """Exchange tokens until the security context is complete.

        Raises:
            GSSError: it is not.
            ValueError: the client violated the protocol of the mechanism.
        """
        context = gssapi.SecurityContext(
            usage="accept",
            creds=gssapi.Credentials(usage="accept", mechs=MECHANISMS[mechanism]),
            channel_bindings=self.server.bindings if self.tls else None,
        )
        if initial:
            token = b"" if initial == "=" else base64.b64decode(initial, validate=True)
        else:
            # Exchange's text for NTLM is not base64.
            token = self.exchange("NTLM supported" if mechanism == "NTLM" else "")
        output = context.step(token)
        while not context.complete:
            output = context.step(self.exchange(_encode(output)))
        if output:
            self.exchange(_encode(output))  # a last token; the response to it is empty
        if mechanism == "GSSAPI":  # RFC 4752, section 3.1
            offer = gssapi.raw.wrap(context, _NO_LAYER, False).message  # noqa: FBT003 - the binding takes it by position
            chosen = gssapi.raw.unwrap(context, self.exchange(_encode(offer))).message
            if chosen[:1] != _NO_LAYER[:1]:
                raise ValueError(f"the client chose a security layer: {chosen!r}")
        return context

    def exchange(self, challenge: str) -> bytes:
        """Send a challenge and return the client's response, decoded."""
        self.say(f"334 {challenge}")
        response = self.read()
        if response == "*":
            raise Cancelled
        return base64.b64decode(response, validate=True)


class Server(socketserver.ThreadingTCPServer):
    """Serves each connection in a thread."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, options: Options) -> None:
        super().__init__(("127.0.0.1", options.port), Conversation)
        self.options = options
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(options.certificate, options.key)
        end_point = b"tls-server-end-point:" + end_point_hash(options.certificate.read_bytes())
        # With bindings set, the GSS-API rejects wrong ones; missing ones must be rejected here.
        self.bindings = None if options.bindings == "off" else gssapi.raw.ChannelBindings(application_data=end_point)

    def log(self, note: dict[str, Any]) -> None:
        """Write one login as one line."""
        with self.options.log.open("a") as log:
            log.write(json.dumps(note) + "\n")


def end_point_hash(pem: bytes) -> bytes:
    """Hash the certificate as in RFC 5929, section 4.1: with its signature's hash, but never with MD5 or SHA-1."""
    certificate = x509.load_pem_x509_certificate(pem)
    algorithm = certificate.signature_hash_algorithm
    name = "sha256" if algorithm is None or algorithm.name in {"md5", "sha1"} else algorithm.name
    return hashlib.new(name, certificate.public_bytes(serialization.Encoding.DER)).digest()


def _encode(token: bytes | None) -> str:
    return base64.b64encode(token or b"").decode()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--bindings", choices=["off", "allow", "require"], required=True)
    parser.add_argument("--log", type=Path, required=True)
    with Server(Options(**vars(parser.parse_args()))) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
