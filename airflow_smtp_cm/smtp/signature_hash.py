"""The hash of a certificate's signature, if it is a usual one, without a library that reads certificates.

Channel bindings need only this of a certificate. ``cryptography`` reads every certificate, but its X.509 takes longer
to import than all that a task needs to send a message. So ``tls`` uses it only for unusual signatures.
"""

from __future__ import annotations

# Object identifiers in DER: RSA (RFC 4055, section 5) and ECDSA (RFC 5758, section 3.2).
_HASHES = {
    bytes.fromhex("2a864886f70d01010b"): "sha256",
    bytes.fromhex("2a864886f70d01010c"): "sha384",
    bytes.fromhex("2a864886f70d01010d"): "sha512",
    bytes.fromhex("2a8648ce3d040302"): "sha256",
    bytes.fromhex("2a8648ce3d040303"): "sha384",
    bytes.fromhex("2a8648ce3d040304"): "sha512",
}
_LONG_FORM = 0x80  # X.690, section 8.1.3.5: the other bits are the number of bytes of the length


def usual_signature_hash(certificate: bytes) -> str | None:
    """Return the name of the hash for ``hashlib``; None for another signature, or if there is none to be found.

    Args:
        certificate: DER (RFC 5280, section 4.1).
    """
    try:
        signed, _ = _content(certificate, 0)
        _, algorithm = _content(certificate, signed)
        identifier, _ = _content(certificate, algorithm)
        start, end = _content(certificate, identifier)
    except IndexError:
        return None
    return _HASHES.get(certificate[start:end])


def _content(der: bytes, position: int) -> tuple[int, int]:
    """Return where the content of the element at this position begins and ends."""
    start, length = position + 2, der[position + 1]
    if length & _LONG_FORM:
        size = length & ~_LONG_FORM
        start, length = start + size, int.from_bytes(der[start : start + size])
    return start, start + length
