"""A certificate authority, and its valid and invalid certificates."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.servers.people import ALICE, MAIL_HOST
from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path


_NAMES = (MAIL_HOST, "localhost", LOOPBACK)
_MADE_OUT_TO_THEM = x509.SubjectAlternativeName(
    [x509.DNSName(MAIL_HOST), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
)
_AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)
_SERVER_AND_NO_AUTHORITY = (
    x509.BasicConstraints(ca=False, path_length=None),
    x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    ),
    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files of a certificate and its key, which has no password."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """All certificates of the tests. Unless noted, their names are mail.corp.test, localhost and 127.0.0.1.

    Attributes:
        authority: PEM file of the authority to trust.
        server: a valid one, with an ECDSA key and a SHA-256 signature.
        rsa_sha384: a good one, RSA key and SHA-384 signature.
        expired: no longer valid.
        wrong_name: its name is elsewhere.test.
        non_ascii_name: its name is straße.test (xn--strae-oqa.test, IDNA 2008).
        untrusted: signed by an authority that is not trusted.
        alice: a client's, common name alice.
        intermediate: an authority below ``authority``.
        below_intermediate: signed by ``intermediate``, which is included in the chain.
        old_authority: an authority without key identifier, key usage and critical extensions.
        below_old_authority: signed by ``old_authority``, without Authority Key Identifier.
        expired_authority: an authority that is no longer valid.
        below_expired_authority: signed by ``expired_authority``.
        self_signed: a self-signed server certificate, which is not marked as an authority.
        self_signed_expired: the same, no longer valid.
        below_self_signed: signed with the key of ``self_signed``.
        weak: its RSA key has 1024 bits.
        weak_authority: an authority whose elliptic curve has 192 bits.
        below_weak_authority: signed by ``weak_authority``.
    """

    authority: Path
    server: Certificate
    rsa_sha384: Certificate
    expired: Certificate
    wrong_name: Certificate
    non_ascii_name: Certificate
    untrusted: Certificate
    alice: Certificate
    intermediate: Certificate
    below_intermediate: Certificate
    old_authority: Certificate
    below_old_authority: Certificate
    expired_authority: Certificate
    below_expired_authority: Certificate
    self_signed: Certificate
    self_signed_expired: Certificate
    below_self_signed: Certificate
    weak: Certificate
    weak_authority: Certificate
    below_weak_authority: Certificate


def make_certificates(folder: Path) -> Certificates:
    """Write all certificates into the folder."""
    folder.mkdir()
    root = trustme.CA()
    child = root.create_child_ca()
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)

    def keep(name: str, made: trustme.CA | trustme.LeafCert) -> Certificate:
        certificate = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
        chain = [made.cert_pem] if isinstance(made, trustme.CA) else made.cert_chain_pems
        certificate.chain.write_bytes(b"".join(pem.bytes() for pem in chain))
        made.private_key_pem.write_to_path(certificate.key)
        return certificate

    authority = keep("authority", root)
    old = _sign(folder / "old_authority", _AUTHORITY)
    expired = _sign(folder / "expired_authority", _AUTHORITY, not_after=yesterday)
    own = (_MADE_OUT_TO_THEM, *_SERVER_AND_NO_AUTHORITY)
    self_signed = _sign(folder / "self_signed", *own)
    weak_curve = ec.generate_private_key(ec.SECP192R1())
    weak_authority = _sign(folder / "weak_authority", _AUTHORITY, key=weak_curve)
    weak_key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return Certificates(
        authority=authority.chain,
        server=keep("server", root.issue_cert(*_NAMES)),
        rsa_sha384=_sign(
            folder / "rsa_sha384",
            _MADE_OUT_TO_THEM,
            _authority_key_identifier(authority),
            issuer=authority,
            key=rsa.generate_private_key(public_exponent=65537, key_size=2048),
            algorithm=hashes.SHA384(),
        ),
        expired=keep("expired", root.issue_cert(*_NAMES, not_after=yesterday)),
        wrong_name=keep("wrong_name", root.issue_cert("elsewhere.test")),
        non_ascii_name=keep("non_ascii_name", root.issue_cert("xn--strae-oqa.test")),
        untrusted=keep("untrusted", trustme.CA().issue_cert(*_NAMES)),
        alice=keep("alice", root.issue_cert(ALICE.address, common_name=ALICE.name)),
        intermediate=keep("intermediate", child),
        below_intermediate=keep("below_intermediate", child.issue_cert(*_NAMES)),
        old_authority=old,
        below_old_authority=_sign(folder / "below_old_authority", _MADE_OUT_TO_THEM, issuer=old),
        expired_authority=expired,
        below_expired_authority=_sign(folder / "below_expired_authority", _MADE_OUT_TO_THEM, issuer=expired),
        self_signed=self_signed,
        self_signed_expired=_sign(folder / "self_signed_expired", *own, not_after=yesterday),
        below_self_signed=_sign(folder / "below_self_signed", _MADE_OUT_TO_THEM, issuer=self_signed),
        weak=_sign(folder / "weak", _MADE_OUT_TO_THEM, issuer=authority, key=weak_key),
        weak_authority=weak_authority,
        below_weak_authority=_sign(folder / "below_weak_authority", _MADE_OUT_TO_THEM, issuer=weak_authority),
    )


def _authority_key_identifier(issuer: Certificate) -> x509.AuthorityKeyIdentifier:
    extensions = x509.load_pem_x509_certificate(issuer.chain.read_bytes()).extensions
    identifier = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _sign(
    stem: Path,
    *extensions: x509.ExtensionType,
    issuer: Certificate | None = None,
    not_after: dt.datetime | None = None,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None,
    algorithm: hashes.SHA256 | hashes.SHA384 | None = None,
) -> Certificate:
    """Make a certificate that trustme cannot make: other extensions, keys and signatures, or self-signed.

    Args:
        stem: path of the file without suffix; its name is the common name.
        extensions: none of them is critical.
        issuer: the certificate whose ECDSA key signs it; its own key by default.
        not_after: in a month by default.
        key: an ECDSA key by default.
        algorithm: SHA-256 by default.
    """
    made = Certificate(stem.with_suffix(".pem"), stem.with_suffix(".key"))
    key = key or ec.generate_private_key(ec.SECP256R1())
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, stem.name)])
    signer = serialization.load_pem_private_key((issuer or made).key.read_bytes(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    now = dt.datetime.now(dt.UTC)
    month = dt.timedelta(days=30)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.load_pem_x509_certificate(issuer.chain.read_bytes()).subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - month)
        .not_valid_after(not_after or now + month)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    certificate = builder.sign(signer, algorithm or hashes.SHA256())
    made.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return made
