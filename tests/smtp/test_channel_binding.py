"""The channel bindings of a TLS session: what a login is bound to (RFC 5929)."""

from __future__ import annotations

import datetime as dt
import hashlib
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from airflow_smtp_cm.smtp.effects import TlsSession
from airflow_smtp_cm.smtp.errors import CertificateError
from airflow_smtp_cm.smtp.settings import ChannelBinding
from airflow_smtp_cm.smtp.tls import channel_binding


def make_certificate(key, algorithm) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
    )
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


def session(certificate: bytes, tls_unique: bytes | None = None) -> TlsSession:
    return TlsSession(version="TLSv1.2", cipher="", certificate=certificate, tls_unique=tls_unique)


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize(
    ("algorithm", "used"),
    [
        (hashes.SHA224(), "sha224"),
        (hashes.SHA256(), "sha256"),
        (hashes.SHA384(), "sha384"),
        (hashes.SHA512(), "sha512"),
        (hashes.SHA3_256(), "sha3_256"),
    ],
)
@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
def test_the_end_point_binding_is_the_certificates_own_hash(rsa_key, kind, algorithm, used):
    """RFC 5929, section 4.1."""
    certificate = make_certificate(rsa_key if kind == "RSA" else ec.generate_private_key(ec.SECP256R1()), algorithm)
    expected = b"tls-server-end-point:" + hashlib.new(used, certificate).digest()
    assert channel_binding(session(certificate), ChannelBinding.TLS_SERVER_END_POINT) == expected


UNUSUAL = hashes.SHA224()  # ``signature_hash`` does not know it


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_a_certificate_with_a_usual_signature_is_not_read_by_a_library(monkeypatch, rsa_key, algorithm):
    for key in (rsa_key, ec.generate_private_key(ec.SECP256R1())):
        certificate = make_certificate(key, algorithm)
        with monkeypatch.context() as patch:
            patch.delattr("cryptography.x509.load_der_x509_certificate")
            assert channel_binding(session(certificate), ChannelBinding.TLS_SERVER_END_POINT)


@pytest.mark.parametrize("weak", [hashes.MD5(), hashes.SHA1()])
def test_md5_and_sha_1_are_replaced_by_sha_256(monkeypatch, rsa_key, weak):
    """No library signs with them any more, so the certificate only claims that algorithm."""
    certificate = make_certificate(rsa_key, UNUSUAL)
    real = x509.load_der_x509_certificate(certificate)
    pretender = SimpleNamespace(signature_hash_algorithm=weak, fingerprint=real.fingerprint)
    monkeypatch.setattr("cryptography.x509.load_der_x509_certificate", lambda _: pretender)
    expected = b"tls-server-end-point:" + hashlib.sha256(certificate).digest()
    assert channel_binding(session(certificate), ChannelBinding.TLS_SERVER_END_POINT) == expected


def test_a_signature_without_a_hash_of_its_own_has_no_binding():
    certificate = make_certificate(ed25519.Ed25519PrivateKey.generate(), None)
    assert channel_binding(session(certificate), ChannelBinding.TLS_SERVER_END_POINT) is None


def test_an_unknown_signature_algorithm_has_no_binding(monkeypatch, rsa_key):
    class Unknown:
        @property
        def signature_hash_algorithm(self):
            raise UnsupportedAlgorithm("Signature algorithm OID: 1.2.3 not recognized")

    monkeypatch.setattr("cryptography.x509.load_der_x509_certificate", lambda _: Unknown())
    certificate = make_certificate(rsa_key, UNUSUAL)
    assert channel_binding(session(certificate), ChannelBinding.TLS_SERVER_END_POINT) is None


def of_version_6(certificate: bytes) -> bytes:
    return certificate.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"), 1)


@pytest.mark.parametrize(
    "certificate",
    [b"", b"garbage", of_version_6(make_certificate(ec.generate_private_key(ec.SECP256R1()), UNUSUAL))],
)
def test_an_unreadable_certificate_is_an_error_if_the_login_must_be_bound_to_it(certificate):
    """OpenSSL accepts certificates that other libraries reject, especially without verification."""
    with pytest.raises(CertificateError, match="set the channel binding to none"):
        channel_binding(session(certificate), ChannelBinding.TLS_SERVER_END_POINT)


def test_without_channel_binding_none_is_computed():
    assert channel_binding(session(b"", b"finished"), ChannelBinding.NONE) is None
