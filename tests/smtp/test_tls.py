"""TLS: which servers are trusted, the errors about those that are not, client certificates, channel bindings."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import ssl
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.effects import TlsSession
from airflow_smtp_cm.smtp.errors import (
    CertificateError,
    Phase,
    SettingsError,
    TimedOut,
    TlsError,
)
from airflow_smtp_cm.smtp.settings import ChannelBinding, Settings, Timeouts, Tls, TlsMode
from airflow_smtp_cm.smtp.tls import channel_binding, context_for
from tests.servers.people import MAIL_HOST
from tests.servers.processes import LOOPBACK
from tests.servers.scripted import Step, expect, say, scripted_peer, start_tls, wait_for_close
from tests.smtp.outgoing import Note

GOODBYE = [expect("QUIT"), say("221 bye")]


@pytest.fixture
def connect(certificates):
    """Return a function that opens an anonymous client under TLS."""

    def connect(port, mode=TlsMode.STARTTLS, *, server_name=MAIL_HOST, timeouts=None, **tls) -> SmtpClient:
        tls = {"ca_bundle": str(certificates.authority), **tls}
        settings = Settings(
            host=LOOPBACK,
            port=port,
            server_name=server_name,
            tls=Tls(mode=mode, **tls),
            timeouts=timeouts or Timeouts(),
            ehlo_name="me.test",
        )
        return SmtpClient.open(settings)

    return connect


# --- which servers are trusted


@pytest.mark.parametrize("name", [MAIL_HOST, "localhost", LOOPBACK])
@pytest.mark.parametrize("port", ["default", "rsa_sha384"])
def test_a_server_is_trusted_under_each_of_its_names(postfix, connect, port, name):
    with connect(postfix.port(port), server_name=name) as client:
        assert client.tls.version == "TLSv1.3"


def test_implicit_tls_is_supported(postfix, dovecot, connect):
    for port in (postfix.port("smtps"), dovecot.tls_port):
        with connect(port, TlsMode.IMPLICIT) as client:
            assert client.tls.version == "TLSv1.3"
            client.noop()


@pytest.mark.parametrize(
    ("port", "problem", "shown", "advice"),
    [
        (
            "untrusted",
            "unable to get local issuer certificate",
            f"It is for {MAIL_HOST}, localhost, {LOOPBACK}, issued",
            "set the CA bundle",
        ),
        ("expired", "certificate has expired", "valid from 2000-01-01 to {end}", "Renew it"),
        (
            "wrong_name",
            f"Hostname mismatch.*{MAIL_HOST}",
            r"It is for elsewhere\.test, issued by .*trustme",
            "set the server name",
        ),
    ],
)
def test_a_certificate_that_is_not_trusted_is_shown(postfix, connect, certificates, port, problem, shown, advice):
    end = x509.load_pem_x509_certificate(certificates.expired.chain.read_bytes()).not_valid_after_utc
    expected = f"not accepted for {MAIL_HOST}: .*{problem}.*{shown.format(end=f'{end:%Y-%m-%d}')}"
    with pytest.raises(CertificateError, match=expected) as raised:
        connect(postfix.port(port))
    others = {"set the server name", "set the CA bundle", "Renew it"} - {advice}
    assert advice in str(raised.value)
    assert not any(other in str(raised.value) for other in others)
    assert raised.value.phase is Phase.TLS
    assert not raised.value.transient


def test_a_name_that_the_certificate_does_not_have_is_an_error(postfix, connect):
    with pytest.raises(CertificateError, match=r"not accepted for other\.corp\.test"):
        connect(postfix.port(), server_name="other.corp.test")


def test_either_the_systems_authorities_or_the_given_ones_are_trusted(postfix, connect):
    with pytest.raises(CertificateError):
        connect(postfix.port(), ca_bundle=None)


@pytest.mark.parametrize("port", ["untrusted", "expired", "wrong_name"])
def test_without_verification_any_certificate_is_accepted(postfix, connect, port):
    with connect(postfix.port(port), verify=False, ca_bundle=None) as client:
        assert client.tls.certificate


@pytest.mark.parametrize("mode", [TlsMode.STARTTLS, TlsMode.IMPLICIT])
def test_a_client_that_does_not_trust_the_server_sends_nothing(certificates, connect, mode):
    starttls = [say("220 hi"), expect("EHLO"), say("250-hi", "250 STARTTLS"), expect("STARTTLS"), say("220 go")]
    script = [*(starttls if mode is TlsMode.STARTTLS else []), start_tls(certificates.untrusted), expect("EHLO")]
    with scripted_peer(script, to_the_end=False) as peer, pytest.raises(CertificateError):
        connect(peer.port, mode)
    assert peer.commands in ([], ["EHLO me.test", "STARTTLS"])


# --- the wrong port


def test_starttls_on_a_port_with_implicit_tls_is_explained(postfix, connect):
    with pytest.raises(TimedOut, match="The port may expect implicit TLS"):
        connect(postfix.port("smtps"), timeouts=Timeouts(command=0.3))


def test_implicit_tls_on_a_port_with_starttls_is_explained(postfix, connect):
    with pytest.raises(TlsError, match=r"fits the port: STARTTLS \(25, 587\)") as raised:
        connect(postfix.port(), TlsMode.IMPLICIT)
    assert not raised.value.transient


def old_server(certificate, version=None) -> list[Step]:
    """A server that allows weak keys, and only the given version of TLS."""

    def start(connection):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(certificate.chain, certificate.key)
        if version:
            with pytest.deprecated_call():
                context.minimum_version = context.maximum_version = version
        connection.socket = context.wrap_socket(connection.socket, server_side=True)

    return [Step("start_tls", start), say("220 hi")]


@pytest.mark.parametrize(
    ("server", "bundle", "problem"),
    [
        ("weak", "authority", "EE certificate key too weak"),
        ("weak", "weak", "EE certificate key too weak"),
        ("weak", None, "EE certificate key too weak"),
        ("below_weak_authority", "weak_authority", "CA certificate key too weak"),
    ],
)
def test_a_key_that_is_too_weak_must_be_replaced(certificates, connect, server, bundle, problem):
    trusted = getattr(certificates, bundle) if bundle else certificates.untrusted
    trusted = str(getattr(trusted, "chain", trusted))
    with (
        scripted_peer(old_server(getattr(certificates, server)), to_the_end=False) as peer,
        pytest.raises(CertificateError, match=f"{problem}.* Replace it.* at least 2048 bits") as raised,
    ):
        connect(peer.port, TlsMode.IMPLICIT, ca_bundle=trusted)
    assert "set the CA bundle" not in str(raised.value)
    assert "set the server name" not in str(raised.value)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_a_tls_version_that_is_too_old_must_be_replaced(certificates, connect, version):
    with (
        scripted_peer(old_server(certificates.server, version), to_the_end=False) as peer,
        pytest.raises(TlsError, match=r"PROTOCOL.* 1\.2 or 1\.3: enable one of them on the server\.") as raised,
    ):
        connect(peer.port, TlsMode.IMPLICIT)
    assert "TLS mode" not in str(raised.value)
    assert "CA bundle" not in str(raised.value)


def test_a_client_certificate_that_is_too_weak_is_explained(certificates):
    tls = Tls(client_certificate=str(certificates.weak.chain), client_key=str(certificates.weak.key))
    with pytest.raises(SettingsError, match="A key or a signature is too weak: use a key of at least 2048 bits"):
        context_for(tls)


def test_tls_1_1_is_not_used_even_if_the_machines_openssl_allows_it(connect, certificates, tmp_path):
    bundle = tmp_path / "ca.pem"  # a new file, so that the context is new, too
    bundle.write_bytes(certificates.authority.read_bytes())
    context_for(Tls(mode=TlsMode.IMPLICIT, ca_bundle=str(bundle))).set_ciphers("ALL:@SECLEVEL=0")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.chain, certificates.server.key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.deprecated_call():
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    def start_tls_1_1(connection):
        connection.socket = context.wrap_socket(connection.socket, server_side=True)

    with (
        scripted_peer([Step("start_tls_1_1", start_tls_1_1), say("220 hi")], to_the_end=False) as peer,
        pytest.raises(TlsError, match="handshake"),
    ):
        connect(peer.port, TlsMode.IMPLICIT, ca_bundle=str(bundle))


# --- client certificates


def encrypted(key, path, password: str) -> str:
    private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        )
    )
    return str(path)


@pytest.fixture
def in_one_file(certificates, tmp_path) -> str:
    """Alice's certificate and key together."""
    file = tmp_path / "alice.pem"
    file.write_bytes(certificates.alice.chain.read_bytes() + certificates.alice.key.read_bytes())
    return str(file)


@pytest.mark.parametrize("kind", ["two files", "one file", "encrypted key"])
def test_a_client_certificate_is_presented_to_a_server_that_requests_it(
    postfix, connect, certificates, tmp_path, in_one_file, kind
):
    files = {
        "two files": {
            "client_certificate": str(certificates.alice.chain),
            "client_key": str(certificates.alice.key),
        },
        "one file": {"client_certificate": in_one_file},
        "encrypted key": {
            "client_certificate": str(certificates.alice.chain),
            "client_key": encrypted(certificates.alice.key, tmp_path / "key.pem", "open sesame"),
            "client_key_password": "open sesame",
        },
    }[kind]
    note = Note()
    with connect(postfix.port("no_auth"), **files) as client:
        client.send(note)
    received = " ".join(postfix.wait_for_message(note.message_id)["Received"].split())
    assert 'Client CN "alice"' in received
    assert "(verified OK)" in received


def demand_certificate(certificates, version=ssl.TLSVersion.TLSv1_3) -> Step:
    def play(connection):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server.chain, certificates.server.key)
        context.load_verify_locations(certificates.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = version
        connection.socket = context.wrap_socket(connection.socket, server_side=True)

    return Step("demand_certificate", play)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_required_client_certificate_is_presented(connect, certificates, in_one_file, version):
    script = [demand_certificate(certificates, version), say("220 hi"), expect("EHLO"), say("250 hi"), *GOODBYE]
    with (
        scripted_peer(script) as peer,
        connect(peer.port, TlsMode.IMPLICIT, client_certificate=in_one_file) as client,
    ):
        assert client.tls.version == version.name.replace("_", ".")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_missing_client_certificate_is_an_error_if_it_is_required(connect, certificates, version):
    """Under TLS 1.3, the client is notified only after the handshake."""
    script = [demand_certificate(certificates, version)]
    with scripted_peer(script, to_the_end=False) as peer, pytest.raises(TlsError) as raised:
        connect(peer.port, TlsMode.IMPLICIT)
    assert not raised.value.transient
    assert "requires a client certificate" in str(raised.value)
    assert "TLS mode" not in str(raised.value)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_of_an_authority_that_the_server_does_not_trust_is_explained(
    connect, certificates, version
):
    script, own = [demand_certificate(certificates, version)], certificates.untrusted

    with (
        scripted_peer(script, to_the_end=False) as peer,
        pytest.raises(TlsError, match=r"does not accept this client's certificate: .* that the server trusts\.$"),
    ):
        connect(peer.port, TlsMode.IMPLICIT, client_certificate=str(own.chain), client_key=str(own.key))


def test_a_name_that_the_server_does_not_know_is_explained(connect, certificates):
    def start(connection):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server.chain, certificates.server.key)
        context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.socket = context.wrap_socket(connection.socket, server_side=True)

    with (
        scripted_peer([Step("start", start)], to_the_end=False) as peer,
        pytest.raises(TlsError, match=r"UNRECOGNIZED_NAME\. .* set the server name to one that it has\.$"),
    ):
        connect(peer.port, TlsMode.IMPLICIT)


@pytest.mark.parametrize("password", ["wrong", "", None, "x" * 2000, "half an emoji: \ud83d"])
def test_a_key_with_another_password_is_an_error_without_a_prompt(certificates, tmp_path, password, monkeypatch):
    given = []
    load = ssl.SSLContext.load_cert_chain
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", lambda *args, **kw: (given.append(kw), load(*args, **kw)))
    key = encrypted(certificates.alice.key, tmp_path / "key.pem", "open sesame")
    tls = Tls(client_certificate=str(certificates.alice.chain), client_key=key, client_key_password=password)
    with pytest.raises(SettingsError, match="cannot be used") as raised:
        context_for(tls)
    assert str(tmp_path / "key.pem") in str(raised.value)
    for shown in (str(raised.value), repr(raised.value.__cause__)):
        assert not password or repr(password)[1:-1] not in shown
    # Without a password function, OpenSSL asks on the terminal.
    assert callable(given[0]["password"])


# --- files


@pytest.mark.parametrize("content", ["missing", "a folder", "empty", "garbage", "another key"])
@pytest.mark.parametrize("setting", ["ca_bundle", "client_certificate", "client_key"])
def test_a_missing_or_invalid_file_is_an_error(certificates, tmp_path, setting, content):
    files = {"client_certificate": str(certificates.alice.chain), "client_key": str(certificates.alice.key)}
    file = tmp_path / "file.pem"
    if content == "a folder":
        file.mkdir()
    elif content != "missing":
        contents = {"empty": b"", "garbage": b"garbage", "another key": certificates.server.key.read_bytes()}
        file.write_bytes(contents[content])
    with pytest.raises(SettingsError, match=r"The TLS files \(.*file\.pem.*\) cannot be used") as raised:
        context_for(Tls(**{**files, setting: str(file)}))
    assert not raised.value.transient


def test_invalid_files_are_an_error_before_the_handshake_and_no_socket_stays_open(connect, tmp_path):
    script = [say("220 hi"), expect("EHLO"), say("250-hi", "250 STARTTLS"), expect("STARTTLS"), say("220 go")]
    with scripted_peer([*script, wait_for_close()]) as peer, pytest.raises(SettingsError):
        connect(peer.port, ca_bundle=str(tmp_path / "missing.pem"))


def test_equal_settings_share_one_context(certificates):
    """Creating one takes as long as fifty handshakes."""
    tls = Tls(ca_bundle=str(certificates.authority))
    assert context_for(tls) is context_for(Tls(ca_bundle=str(certificates.authority)))
    assert context_for(tls) is not context_for(Tls(ca_bundle=str(certificates.authority), verify=False))
    assert context_for(tls) is not context_for(Tls())


def test_a_renewed_file_leads_to_a_new_context(certificates, tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(certificates.authority.read_bytes())
    before = context_for(Tls(ca_bundle=str(bundle)))
    status = bundle.stat()
    os.utime(bundle, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert context_for(Tls(ca_bundle=str(bundle))) is not before


# --- channel bindings


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


def test_tls_unique_is_the_same_on_both_sides(connect, certificates):
    servers = []

    def start_tls_1_2(connection):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server.chain, certificates.server.key)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        connection.socket = context.wrap_socket(connection.socket, server_side=True)
        servers.append(connection.socket.get_channel_binding("tls-unique"))

    script = [Step("start_tls_1_2", start_tls_1_2), say("220 hi"), expect("EHLO"), say("250 hi"), *GOODBYE]
    with scripted_peer(script) as peer, connect(peer.port, TlsMode.IMPLICIT) as client:
        binding = channel_binding(client.tls, ChannelBinding.TLS_UNIQUE)
    assert len(servers[0]) >= 12
    assert binding == b"tls-unique:" + servers[0]


def test_tls_unique_does_not_exist_in_tls_1_3(postfix, connect):
    with connect(postfix.port()) as client, pytest.raises(SettingsError, match=r"does not exist in TLSv1\.3"):
        channel_binding(client.tls, ChannelBinding.TLS_UNIQUE)
