"""A KDC that refers every client to another realm, as a domain controller does for users of other domains.

MIT's KDC gives referrals for services only. The reply is KDC_ERR_WRONG_REALM with the other realm (RFC 6806,
section 7).
"""

from __future__ import annotations

import socketserver
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

_KRB_ERROR = 30
_WRONG_REALM = 68
_ENTERPRISE, _SERVICE = 10, 2  # types of names

# Tags of ASN.1: universal, and the base of those that depend on the context or the application.
_INTEGER, _TIME, _STRING, _SEQUENCE = 0x02, 0x18, 0x1B, 0x30
_APPLICATION, _CONTEXT = 0x60, 0xA0


@dataclass(frozen=True)
class ReferringKdc:
    """A running KDC.

    Attributes:
        address: its host and port, for krb5.conf.
        requests: the requests that it has received, DER.
    """

    address: str
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def referring_kdc(realm: str, *, to: str) -> Iterator[ReferringKdc]:
    """Run a KDC of ``realm`` during the block; it refers every client to the realm ``to``."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (length,) = struct.unpack(">I", self.rfile.read(4))
            kdc.requests.append(self.rfile.read(length))
            reply = _referral(realm, to)
            self.wfile.write(struct.pack(">I", len(reply)) + reply)

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Handler) as server:
        kdc = ReferringKdc(f"{LOOPBACK}:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, name="referring KDC")
        thread.start()
        try:
            yield kdc
        finally:
            server.shutdown()
            thread.join()


def _referral(realm: str, to: str) -> bytes:
    """Return a KRB-ERROR (RFC 4120, section 5.9.1)."""
    now = f"{datetime.now(UTC):%Y%m%d%H%M%S}Z"
    fields = {
        0: _integer(5),
        1: _integer(_KRB_ERROR),
        4: _der(_TIME, now.encode()),
        5: _integer(0),
        6: _integer(_WRONG_REALM),
        7: _string(to),
        8: _name(_ENTERPRISE, "anybody"),
        9: _string(realm),
        10: _name(_SERVICE, "krbtgt", realm),
    }
    return _der(_APPLICATION + _KRB_ERROR, _sequence(fields))


def _name(kind: int, *parts: str) -> bytes:
    return _sequence({0: _integer(kind), 1: _der(_SEQUENCE, b"".join(map(_string, parts)))})


def _sequence(fields: dict[int, bytes]) -> bytes:
    return _der(_SEQUENCE, b"".join(_der(_CONTEXT + number, value) for number, value in fields.items()))


def _integer(number: int) -> bytes:
    return _der(_INTEGER, bytes([number]))


def _string(text: str) -> bytes:
    return _der(_STRING, text.encode())


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    return bytes([tag, length] if length < 0x80 else [tag, 0x81, length]) + content
