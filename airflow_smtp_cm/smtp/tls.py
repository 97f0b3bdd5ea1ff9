"""TLS contexts, channel bindings, and the errors of TLS handshakes; ``session_setup`` has STARTTLS."""

from __future__ import annotations

import _ssl
import hashlib
import ssl
import sys
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_smtp_cm.characters.control import visible
from airflow_smtp_cm.smtp.effects import TlsSession
from airflow_smtp_cm.smtp.errors import CertificateError, Phase, SettingsError, TlsError
from airflow_smtp_cm.smtp.host_names import peer_name
from airflow_smtp_cm.smtp.settings import ChannelBinding
from airflow_smtp_cm.smtp.signature_hash import usual_signature_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cryptography.x509 import Certificate

    from airflow_smtp_cm.smtp.settings import Settings, Tls

# RFC 5929, section 4.1: certificates signed with these are hashed with SHA-256 instead.
_WEAK_HASHES = ("md5", "sha1")

_STRONG = "at least 2048 bits (RSA) or 256 bits (elliptic curves), and a signature with SHA-256"
_REPLACE = (
    f"Replace it, or the authority's certificate that is too weak, by one with a key of {_STRONG}. Neither the CA "
    f"bundle nor the server name changes that."
)
_SET_CA_BUNDLE = "If it is self-signed, or its authority is your own, set the CA bundle."
_SET_SERVER_NAME = "If the certificate is for another name of the server, set the server name."
_RENEW = "Renew it, or the authority's certificate that is out of its dates, or correct this machine's clock."
# By OpenSSL's codes (x509_vfy.h); the certificates with the other codes are wrong in themselves.
_CERTIFICATE_ADVICE = {
    **dict.fromkeys((2, 18, 19, 20, 21, 27), _SET_CA_BUNDLE),
    **dict.fromkeys((62, 64), _SET_SERVER_NAME),
    **dict.fromkeys((9, 10), _RENEW),
    **dict.fromkeys((66, 67, 68), _REPLACE),
}
_OTHER_CERTIFICATE = "The server needs another certificate."

_TOO_OLD = "The server has no TLS version that is used, 1.2 or 1.3: enable one of them on the server."
_TOO_WEAK = f"A key or a signature is too weak: use a key of {_STRONG}."
_NO_CIPHER = "The server offers no cipher that this client uses, or requires a client certificate."
_WEAK_REASONS = ("DH_KEY_TOO_SMALL", "EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "WRONG_SIGNATURE_TYPE")
_NO_CLIENT_CERTIFICATE = "The server requires a client certificate: set it."
_OTHER_CLIENT_CERTIFICATE = (
    "The server does not accept this client's certificate: set one that is valid, and from an authority that the "
    "server trusts."
)
_REJECTED_CERTIFICATE = (
    "TLSV1_ALERT_UNKNOWN_CA",
    *(f"SSLV3_ALERT_CERTIFICATE_{state}" for state in ("EXPIRED", "REVOKED", "UNKNOWN")),
    *("SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "TLSV1_ALERT_ACCESS_DENIED"),
)
_UNKNOWN_NAME = "The server has no certificate for this name: set the server name to one that it has."
# By OpenSSL's names of its reasons (sslerr.h).
_HANDSHAKE_ADVICE = {
    **dict.fromkeys(("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"), _TOO_OLD),
    **dict.fromkeys(_WEAK_REASONS, _TOO_WEAK),
    **dict.fromkeys(_REJECTED_CERTIFICATE, _OTHER_CLIENT_CERTIFICATE),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _NO_CLIENT_CERTIFICATE,
    "TLSV1_UNRECOGNIZED_NAME": _UNKNOWN_NAME,
    **dict.fromkeys(("SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_INSUFFICIENT_SECURITY"), _NO_CIPHER),
}
_CHECK_TLS_MODE = "Check that the TLS mode fits the port: STARTTLS (25, 587) or implicit TLS (465)."
_CHECK_FILES = (
    "Each must be a readable PEM file, and a key must match its certificate and the given password, if any."
)


def context_for(tls: Tls) -> ssl.SSLContext:
    """Return the context for these settings; equal settings share one, since a new one takes milliseconds.

    Raises:
        SettingsError: a file cannot be read, or contains no certificate or key.
    """
    files = (tls.ca_bundle, tls.client_certificate, tls.client_key)
    try:
        # A file that was changed since results in a new context.
        stamps = tuple(Path(file).stat().st_mtime_ns for file in files if file)
        return _context(tls, stamps)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        named = ", ".join(file for file in files if file)
        advice = _TOO_WEAK if getattr(error, "reason", None) in _WEAK_REASONS else _CHECK_FILES
        raise SettingsError(f"The TLS files ({named}) cannot be used: {error}. {advice}") from error


@lru_cache(maxsize=16)
def _context(tls: Tls, _stamps: tuple[int, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_bundle)
    context.sslsocket_class, context.sslobject_class = _Socket, _Object
    # Python's defaults for these depend on the version and the build.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a trust anchor need not be a root (RFC 5280, section 6.1)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # certificates of older authorities lack what RFC 5280 demands
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)  # RFC 8997
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.client_certificate:
        # A callback, so that OpenSSL never asks a terminal for the password; and no error of the encoding, because it
        # would contain the password.
        context.load_cert_chain(
            tls.client_certificate,
            tls.client_key,
            password=lambda: (tls.client_key_password or "").encode(errors="surrogatepass"),
        )
    return context


class _Socket(ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of ssl
        with _certificate_in_errors(self):
            super().do_handshake(block)


class _Object(ssl.SSLObject):
    def do_handshake(self) -> None:
        with _certificate_in_errors(self):
            super().do_handshake()


@contextmanager
def _certificate_in_errors(connection: ssl.SSLSocket | ssl.SSLObject) -> Iterator[None]:
    """Keep the server's certificate, DER, in the error of a failed verification; asyncio drops the connection."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        if sys.version_info >= (3, 13):
            chain = connection.get_unverified_chain()
        else:
            hidden = connection._sslobj.get_unverified_chain()  # type: ignore[union-attr]  # noqa: SLF001 - public from 3.13
            chain = [certificate.public_bytes(_ssl.ENCODING_DER) for certificate in hidden or ()]
        error.certificate = chain[0] if chain else None  # type: ignore[attr-defined]
        raise


def tls_session(sock: ssl.SSLSocket | ssl.SSLObject) -> TlsSession:
    """Return the result of a finished handshake."""
    cipher = sock.cipher()
    return TlsSession(
        version=sock.version() or "",
        cipher=cipher[0] if cipher else "",
        certificate=sock.getpeercert(binary_form=True) or b"",
        tls_unique=sock.get_channel_binding("tls-unique") if sock.version() != "TLSv1.3" else None,
    )


def channel_binding(session: TlsSession, kind: ChannelBinding) -> bytes | None:
    """Return the channel binding (RFC 5929); None if it is off, or not defined for the certificate.

    Raises:
        SettingsError: tls-unique is requested, and this session has none.
        CertificateError: the certificate cannot be read.
    """
    if kind is ChannelBinding.NONE:
        return None
    if kind is ChannelBinding.TLS_UNIQUE:
        if session.tls_unique is None:
            raise SettingsError(
                f"The channel binding tls-unique does not exist in {session.version}. "
                f"Use tls-server-end-point, which Exchange checks too."
            )
        return b"tls-unique:" + session.tls_unique
    if usual := usual_signature_hash(session.certificate):
        return b"tls-server-end-point:" + hashlib.new(usual, session.certificate).digest()
    from cryptography import x509  # noqa: PLC0415 - see ``signature_hash``
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    try:
        certificate = x509.load_der_x509_certificate(session.certificate)
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    except Exception as error:  # its exceptions for malformed certificates have no common base
        raise CertificateError(
            f"The server's certificate cannot be read ({visible(str(error))}), so the login cannot be bound to it. "
            f"Replace it, or set the channel binding to none if the server does not require one.",
            phase=Phase.AUTH,
        ) from error
    if algorithm is None:  # Ed25519 and the like: RFC 5929 defines no binding for them
        return None
    if algorithm.name in _WEAK_HASHES:
        algorithm = hashes.SHA256()
    return b"tls-server-end-point:" + certificate.fingerprint(algorithm)


def handshake_error(error: ssl.SSLError, settings: Settings) -> TlsError:
    """Return the error for a failed handshake of a connection with these settings; it describes the certificate."""
    peer = f"{settings.host}:{settings.port}"
    if not isinstance(error, ssl.SSLCertVerificationError):
        return TlsError(
            f"The TLS handshake with {peer} failed: {error.reason or error}. "
            f"{_HANDSHAKE_ADVICE.get(error.reason, _CHECK_TLS_MODE)}",
            phase=Phase.TLS,
        )
    certificate = getattr(error, "certificate", None)
    sentences = (
        f"The certificate of {peer} is not accepted for {peer_name(settings)}: {error.verify_message.rstrip('.')}.",
        _describe(certificate) if certificate else "",
        _CERTIFICATE_ADVICE.get(error.verify_code, _OTHER_CERTIFICATE),
    )
    return CertificateError(" ".join(filter(None, sentences)), phase=Phase.TLS)


def session_error(error: ssl.SSLError, peer: str, phase: Phase) -> TlsError:
    """Return the error for a TLS session that failed after the handshake.

    In TLS 1.3, the server judges the client's certificate only then.
    """
    advice = _HANDSHAKE_ADVICE.get(error.reason, "")
    text = f"The TLS session with {peer} failed ({phase}): {error.reason or error}. {advice}"
    return TlsError(text.rstrip(), phase=phase)


def _describe(certificate: bytes) -> str:
    """Describe a certificate that is not trusted: it may contain any text, and parts that cannot be read."""
    from cryptography import x509  # noqa: PLC0415 - as above

    try:
        shown = x509.load_der_x509_certificate(certificate)
    except Exception as error:  # noqa: BLE001 - as above
        return f"It cannot be read ({visible(str(error))})."
    names = _readable(lambda: _server_names(shown))
    parts = {
        "for": names or _readable(lambda: shown.subject.rfc4514_string() or "no name"),
        "issued by": _readable(lambda: shown.issuer.rfc4514_string() or "nobody named"),
        "valid from": f"{shown.not_valid_before_utc:%Y-%m-%d} to {shown.not_valid_after_utc:%Y-%m-%d}",
    }
    return f"It is {', '.join(f'{label} {visible(part)}' for label, part in parts.items() if part)}."


def _server_names(certificate: Certificate) -> str:
    """Return the names that count for a server (RFC 9525, section 6.3): DNS names and IP addresses."""
    from cryptography import x509  # noqa: PLC0415 - as above

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return ", ".join(str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress))


def _readable(read: Callable[[], str]) -> str:
    """Return a part of a certificate; "" if it is missing or cannot be read."""
    try:
        return read()
    except Exception:  # noqa: BLE001 - as above
        return ""
