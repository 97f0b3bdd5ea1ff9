"""The description of a certificate that is not trusted: anybody may have written it."""

from __future__ import annotations

import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID

from airflow_smtp_cm.smtp.errors import CertificateError
from airflow_smtp_cm.smtp.settings import Settings
from airflow_smtp_cm.smtp.tls import handshake_error

DNS_NAME = b"\x82\x0bother.mail.x"


def made(*extensions: x509.ExtensionType, subject: str = "mail.test", replaced=("", "")) -> bytes:
    """Make a certificate, DER, in which bytes are replaced that no builder would write."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 2, 3, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2021, 2, 3, tzinfo=dt.UTC))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    return certificate.replace(*map(bytes.fromhex, replaced), 1)


def names(*alternative: x509.GeneralName) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(alternative)


def raw_names(content: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes([0x30, len(content)]) + content)


def described(certificate: bytes | None) -> str:
    """Return the error about the certificate."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message, error.certificate = 18, "self-signed certificate", certificate
    explained = handshake_error(error, Settings(host="mail.test"))
    assert isinstance(explained, CertificateError)
    text = str(explained)
    assert text.startswith("The certificate of mail.test:25 is not accepted for mail.test: self-signed certificate. ")
    assert text.endswith("set the CA bundle.")
    return text


@pytest.mark.parametrize(
    "certificate",
    [
        pytest.param(made(raw_names(b"\xa3\x02\x30\x00" + DNS_NAME)), id="x400Address"),
        pytest.param(made(raw_names(b"\xa5\x04\xa1\x02\x0c\x00" + DNS_NAME)), id="ediPartyName"),
        pytest.param(
            made(
                names(x509.DNSName("other.test")),
                x509.IssuerAlternativeName([x509.DNSName("other.test")]),
                replaced=("0603551d12", "0603551d11"),
            ),
            id="duplicate extension",
        ),
        pytest.param(made(raw_names(b"\x82\x7fshort")), id="not DER"),
    ],
)
def test_names_that_cannot_be_read_are_left_out(certificate):
    shown = "It is for CN=mail.test, issued by CN=mail.test, valid from 2020-02-03 to 2021-02-03."
    assert shown in described(certificate)


def test_an_issuer_that_cannot_be_read_is_left_out():
    """It is no UTF-8."""
    certificate = made(replaced=(b"mail.test".hex(), b"mail\xfftest".hex()))
    assert "It is for CN=mail.test, valid from 2020-02-03 to 2021-02-03." in described(certificate)


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        pytest.param(made(replaced=("a003020102", "a003020105")), "5 is not a valid X509 version", id="version"),
        pytest.param(b"garbage", "error parsing asn1 value", id="garbage"),
    ],
)
def test_a_certificate_that_cannot_be_read_is_still_one_that_is_not_accepted(certificate, reason):
    assert f"It cannot be read ({reason}" in described(certificate)


@pytest.mark.parametrize("certificate", [b"", None])
def test_without_a_certificate_the_reason_is_shown(certificate):
    assert "It " not in described(certificate).replace("If it", "")


def test_control_characters_are_shown_as_code_points():
    """An error is written to logs and shown on terminals."""
    for certificate in (
        made(subject="a\nb\x1b[31m\u202e"),
        made(raw_names(b"\x82\x07a\nb\x1b[31"), subject="\u202e"),
    ):
        text = described(certificate)
        assert text.isprintable()
        assert "a<U+000A>b<U+001B>[31" in text
        assert "<U+202E>" in text


def test_many_names_are_shortened():
    text = described(made(names(*(x509.DNSName(f"host-{number}.test") for number in range(2000)))))
    assert "It is for host-0.test, host-1.test, " in text
    assert "…, issued by CN=mail.test" in text
    assert len(text) < 600


def test_only_names_of_servers_are_shown():
    others = (
        x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x04user"),
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "z")])),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.RFC822Name("alice@corp.test"),
    )
    assert "It is for other.test, issued by" in described(made(names(*others, x509.DNSName("other.test"))))
    assert "It is for CN=mail.test, issued by" in described(made(names(*others)))
