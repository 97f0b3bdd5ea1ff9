"""A certificate authority and what it signed, the good and the bad."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.servers.people import ALICE, MAIL_HOST
from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files of a certificate and its key, which has no password."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """All certificates of the tests. Names are mail.corp.test, localhost and 127.0.0.1 unless said otherwise.

    Attributes:
        authority: PEM file of the authority to trust.
        server: a good one, ECDSA key and SHA-256 signature.
        rsa_sha384: a good one, RSA key and SHA-384 signature.
        expired: no longer valid.
        wrong_name: made out to elsewhere.test.
        untrusted: signed by an authority that nobody trusts.
        alice: a client's, common name alice.
    """

    authority: Path
    server: Certificate
    rsa_sha384: Certificate
    expired: Certificate
    wrong_name: Certificate
    untrusted: Certificate
    alice: Certificate


def make_certificates(folder: Path) -> Certificates:
    """Write all certificates into the folder."""
    folder.mkdir()
    authority = trustme.CA()
    names = (MAIL_HOST, "localhost", LOOPBACK)
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)

    def keep(name: str, leaf: trustme.LeafCert) -> Certificate:
        certificate = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
        leaf.cert_chain_pems[0].write_to_path(certificate.chain)
        leaf.private_key_pem.write_to_path(certificate.key)
        return certificate

    authority.cert_pem.write_to_path(folder / "authority.pem")
    return Certificates(
        authority=folder / "authority.pem",
        server=keep("server", authority.issue_cert(*names)),
        rsa_sha384=_sign_with_sha384(authority, folder / "rsa_sha384"),
        expired=keep("expired", authority.issue_cert(*names, not_after=yesterday)),
        wrong_name=keep("wrong_name", authority.issue_cert("elsewhere.test")),
        untrusted=keep("untrusted", trustme.CA().issue_cert(*names)),
        alice=keep("alice", authority.issue_cert(ALICE.address, common_name=ALICE.name)),
    )


def _sign_with_sha384(authority: trustme.CA, stem: Path) -> Certificate:
    """Do what trustme cannot: it signs with SHA-256 only."""
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    issuer_key = serialization.load_pem_private_key(authority.private_key_pem.bytes(), password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = dt.datetime.now(dt.UTC)
    names = [
        x509.DNSName(MAIL_HOST),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address(LOOPBACK)),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, MAIL_HOST)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer_key, hashes.SHA384())
    )
    made = Certificate(stem.with_suffix(".pem"), stem.with_suffix(".key"))
    made.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made
