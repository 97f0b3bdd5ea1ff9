"""TLS settings turned into ``ssl``'s, what ties a login to the session, and failed handshakes in words."""

from __future__ import annotations

import _ssl
import ssl
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.effects import TlsSession
from airflow_smtp_cm.smtp.errors import CertificateError, Phase, SettingsError, TlsError
from airflow_smtp_cm.smtp.settings import ChannelBinding

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.settings import Settings, Tls

# RFC 5929, section 4.1: certificates signed with these are hashed with SHA-256 instead.
_WEAK_HASHES = ("md5", "sha1")


def context_for(tls: Tls) -> ssl.SSLContext:
    """Return the context for these settings; equal settings share one, since making one costs milliseconds.

    Raises:
        SettingsError: a file cannot be read, or holds no certificate or key.
    """
    files = (tls.ca_bundle, tls.client_certificate, tls.client_key)
    try:
        # A file that was renewed since makes a new context.
        stamps = tuple(Path(file).stat().st_mtime_ns for file in files if file)
        return _context(tls, stamps)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        named = ", ".join(file for file in files if file)
        raise SettingsError(
            f"The TLS files ({named}) cannot be used: {error}. Each must be a readable PEM file, and a key must "
            f"belong to its certificate and be encrypted with the given password, if any."
        ) from error


@lru_cache(maxsize=16)
def _context(tls: Tls, _stamps: tuple[int, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_bundle)
    # Python's defaults for these differ by version and by build.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a trust anchor need not be a root (RFC 5280, section 6.1)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # certificates of older authorities lack what RFC 5280 demands
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)  # RFC 8997
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.client_certificate:
        # A callback, so that OpenSSL never asks a terminal for the password.
        context.load_cert_chain(
            tls.client_certificate, tls.client_key, password=lambda: tls.client_key_password or ""
        )
    return context


@dataclass(slots=True)
class Resumption:
    """What the last session with a server left for the next one (RFC 8446, section 2.2; RFC 5077).

    Attributes:
        session: the session; None if there is none.
    """

    session: ssl.SSLSession | None = None


def resumption_for(settings: Settings) -> Resumption:
    """Return what connections of this process with equal settings share."""
    if settings.authentication is not None and settings.authentication.channel_binding is not ChannelBinding.NONE:
        # The login is bound to the certificate, and a server that has a new one may go on with an old session.
        return Resumption()
    return _resumption(context_for(settings.tls), settings.host, settings.port, settings.peer_name)


@lru_cache(maxsize=64)
def _resumption(_context: ssl.SSLContext, _host: str, _port: int, _peer_name: str) -> Resumption:
    return Resumption()


def session_of(sock: ssl.SSLSocket | ssl.SSLObject) -> TlsSession:
    """Describe a finished handshake."""
    cipher = sock.cipher()
    return TlsSession(
        version=sock.version() or "",
        cipher=cipher[0] if cipher else "",
        certificate=sock.getpeercert(binary_form=True) or b"",
        tls_unique=sock.get_channel_binding("tls-unique") if sock.version() != "TLSv1.3" else None,
        resumed=bool(sock.session_reused),
    )


def channel_binding(session: TlsSession, kind: ChannelBinding) -> bytes | None:
    """Return what the login is bound to (RFC 5929); None where nothing is asked for or defined.

    Raises:
        SettingsError: tls-unique is asked for, and this session has none.
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
    # Takes longer to import than a message takes to send; most connections do without.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    try:
        certificate = x509.load_der_x509_certificate(session.certificate)
    except ValueError as error:
        raise CertificateError(
            f"The server's certificate cannot be read ({error}), so the login cannot be bound to it. Have it "
            f"replaced, or set the channel binding to none if the server does not demand one.",
            phase=Phase.AUTH,
        ) from error
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    if algorithm is None:  # Ed25519 and the like: RFC 5929 defines no binding for them
        return None
    if algorithm.name in _WEAK_HASHES:
        algorithm = hashes.SHA256()
    return b"tls-server-end-point:" + certificate.fingerprint(algorithm)


def handshake_error(error: ssl.SSLError, settings: Settings, certificate: bytes | None) -> TlsError:
    """Word a failed handshake.

    Args:
        error: what ``ssl`` raised.
        settings: how the connection was asked for.
        certificate: what the server presented, DER, if it got that far.
    """
    peer = f"{settings.host}:{settings.port}"
    if not isinstance(error, ssl.SSLCertVerificationError):
        return TlsError(
            f"The TLS handshake with {peer} failed: {error.reason or error}. If the port expects STARTTLS "
            f"(25, 587) or TLS from the start (465), the TLS mode must say so.",
            phase=Phase.TLS,
        )
    problem = error.verify_message.rstrip(".")
    shown = f" {_describe(certificate)}" if certificate else ""
    return CertificateError(
        f"The certificate of {peer} is not accepted for {settings.peer_name}: {problem}.{shown} "
        f"If the server is known under another name, set the server name; if its authority is your own, "
        f"set the CA bundle.",
        phase=Phase.TLS,
    )


def presented_certificate(sock: ssl.SSLSocket) -> bytes | None:
    """Return the certificate of a server whose handshake failed, DER, or None if it did not get that far."""
    if sys.version_info >= (3, 13):
        chain = sock.get_unverified_chain()
    else:
        hidden = sock._sslobj.get_unverified_chain()  # type: ignore[attr-defined]  # noqa: SLF001 - public from 3.13
        chain = [certificate.public_bytes(_ssl.ENCODING_DER) for certificate in hidden or ()]
    return chain[0] if chain else None


def _describe(certificate: bytes) -> str:
    from cryptography import x509  # noqa: PLC0415 - as above

    names: list[str] = []
    try:
        shown = x509.load_der_x509_certificate(certificate)
        alternative = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(name.value) for name in alternative]
    except x509.ExtensionNotFound:
        pass
    except ValueError as error:
        return f"It cannot be read ({error})."
    return (
        f"It is for {', '.join(names) or shown.subject.rfc4514_string() or 'no name'}, issued by "
        f"{shown.issuer.rfc4514_string() or 'nobody named'}, valid from {shown.not_valid_before_utc:%Y-%m-%d} "
        f"to {shown.not_valid_after_utc:%Y-%m-%d}."
    )
