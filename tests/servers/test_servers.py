"""The servers behave as other tests assume; checked with smtplib, pyspnego and kinit, not with this package."""

from __future__ import annotations

import base64
import hashlib
import smtplib
import ssl
import subprocess
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import make_msgid
from typing import TYPE_CHECKING

import pytest
import spnego
from spnego.channel_bindings import GssChannelBindings

from tests.servers.kdc import KEYLESS_SERVICE, SERVICES
from tests.servers.people import ALICE, BOB, MAIL_DOMAIN, MAIL_HOST, MALLORY, TRUDY, User
from tests.servers.postfix import MESSAGES_PER_SESSION, RECIPIENTS, SENDERS, SIZE_LIMIT
from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spnego import ContextProxy

    from tests.servers.acceptor_process import Acceptor, Bindings
    from tests.servers.certificates import Certificate, Certificates
    from tests.servers.dovecot import Dovecot
    from tests.servers.fixtures import StartAcceptor
    from tests.servers.kdc import Kdc
    from tests.servers.postfix import Postfix

KERBEROS = [("GSSAPI", "kerberos"), ("GSS-SPNEGO", "negotiate")]
DOVECOT_EXTENSIONS = {"8bitmime", "auth", "burl", "chunking", "enhancedstatuscodes", "size", "pipelining"}
POSTFIX_EXTENSIONS = {
    "pipelining", "size", "vrfy", "etrn", "auth", "enhancedstatuscodes", "8bitmime", "dsn", "smtputf8", "chunking",
}  # fmt: skip


def trusting(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates.authority))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # on by default from Python 3.13 on
    return context


@contextmanager
def starttls_session(port: int, certificates: Certificates) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(LOOPBACK, port) as smtp:
        smtp.starttls(context=trusting(certificates))
        smtp.ehlo()
        yield smtp


def extensions(smtp: smtplib.SMTP) -> set[str]:
    """Return the server's extensions, except REQUIRETLS (RFC 8689), which Postfix offers from 3.11 on."""
    return smtp.esmtp_features.keys() - {"requiretls"}


def log_in(smtp: smtplib.SMTP, mechanism: str, context: ContextProxy) -> int:
    """Log in, and return the reply code."""
    code, _ = smtp.docmd("AUTH", mechanism)
    token = context.step()
    while code == 334:
        code, challenge = smtp.docmd(base64.b64encode(token or b"").decode())
        if code != 334 or not challenge:
            token = None
        elif not context.complete:
            token = context.step(base64.b64decode(challenge))
        else:  # the offer of security layers (RFC 4752, section 3.1)
            context.unwrap(base64.b64decode(challenge))
            token = context.wrap(b"\x01\x00\x00\x00", encrypt=False).data
    return code


def ntlm(user: User = ALICE, bindings: bytes | None = None) -> ContextProxy:
    return spnego.client(
        user.down_level,
        user.password,
        protocol="ntlm",
        channel_bindings=GssChannelBindings(application_data=bindings) if bindings else None,
    )


def kerberos(
    kdc: Kdc, protocol: str = "kerberos", service: str = "SMTPSVC", bindings: bytes | None = None
) -> ContextProxy:
    return spnego.client(
        spnego.KerberosCCache(kdc.ticket()),
        hostname=MAIL_HOST,
        service=service,
        protocol=protocol,
        channel_bindings=GssChannelBindings(application_data=bindings) if bindings else None,
    )


def end_point_bindings(certificate: Certificate, algorithm: str) -> bytes:
    """Return the tls-server-end-point bindings (RFC 5929, section 4.1)."""
    der = ssl.PEM_cert_to_DER_cert(certificate.chain.read_text())
    return b"tls-server-end-point:" + hashlib.new(algorithm, der).digest()


def a_message(recipient: str = BOB.address) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Message-ID"] = ALICE.address, recipient, make_msgid(domain="client.test")
    message.set_content("Off with her head!\n")
    return message


class TestKdc:
    def kvno(self, cache: str, *services: str) -> subprocess.CompletedProcess[str]:
        """Ask for tickets."""
        return subprocess.run(["kvno", "-c", cache, *services], text=True, capture_output=True, check=False)

    @pytest.mark.parametrize("user", [ALICE, BOB], ids=lambda user: user.name)
    def test_issues_tickets_for_all_services_except_unknown_ones(self, kdc: Kdc, user: User) -> None:
        cache = kdc.ticket(user)
        assert self.kvno(cache, *SERVICES, KEYLESS_SERVICE).returncode == 0
        assert "not found in Kerberos database" in self.kvno(cache, "SMTPSVC/nowhere.corp.test").stderr

    def test_an_expired_ticket_gets_no_service_ticket(self, kdc: Kdc) -> None:
        assert "Ticket expired" in self.kvno(kdc.expired_ticket(), SERVICES[0]).stderr

    @pytest.mark.parametrize(
        ("user", "reason"),
        [
            (MALLORY, "credentials have been revoked"),
            (TRUDY, "Password expired"),
            (User("nobody", "x"), "not found in Kerberos database"),
            (User(ALICE.name, "wrong"), "Password incorrect"),
        ],
        ids=["disabled", "expired password", "unknown", "wrong password"],
    )
    def test_refuses(self, kdc: Kdc, user: User, reason: str) -> None:
        with pytest.raises(subprocess.CalledProcessError) as refusal:
            kdc.ticket(user)
        assert reason in refusal.value.stdout + refusal.value.stderr

    def test_the_keytabs_hold_the_right_keys(self, kdc: Kdc, tmp_path: Path) -> None:
        """The server's keytab lacks the keyless service, and alice's password stays valid beside her keytab."""
        kinit = ["kinit", "-c", f"FILE:{tmp_path}/ccache", "-k", "-t", str(kdc.alice_keytab), ALICE.name]
        assert subprocess.run(kinit, check=False).returncode == 0
        assert kdc.ticket(ALICE)
        keys = subprocess.run(["klist", "-k", kdc.server_keytab], text=True, capture_output=True, check=True).stdout
        assert all(service in keys for service in SERVICES)
        assert KEYLESS_SERVICE not in keys

    @pytest.mark.usefixtures("kdc")
    def test_without_krb5ccname_there_is_no_ticket(self) -> None:
        """Even if the user who runs the tests has a ticket."""
        assert subprocess.run(["klist", "-s"], check=False).returncode == 1


class TestPostfix:
    @pytest.mark.parametrize(
        ("port", "missing"),
        [
            ("default", set()),
            ("smtp_service", set()),
            ("no_auth", {"auth"}),
            ("no_pipelining", {"pipelining"}),
            ("no_chunking", {"chunking"}),
            ("no_8bitmime", {"8bitmime", "smtputf8"}),
            ("no_smtputf8", {"smtputf8"}),
            ("bare", POSTFIX_EXTENSIONS - {"auth"}),
            ("small", set()),
            ("small_unannounced", {"size"}),
            ("rsa_sha384", set()),
        ],
    )
    def test_offers_after_starttls(
        self, postfix: Postfix, certificates: Certificates, port: str, missing: set[str]
    ) -> None:
        with starttls_session(postfix.port(port), certificates) as smtp:
            assert extensions(smtp) == POSTFIX_EXTENSIONS - missing

    @pytest.mark.parametrize(
        ("port", "mechanisms"),
        [
            ("default", {"NTLM", "GSSAPI", "GSS-SPNEGO", "PLAIN", "LOGIN"}),
            ("ntlm_only", {"NTLM"}),
            ("gssapi_only", {"GSSAPI"}),
            ("gss_spnego_only", {"GSS-SPNEGO"}),
            ("basic_only", {"PLAIN", "LOGIN"}),
        ],
    )
    def test_mechanisms(self, postfix: Postfix, certificates: Certificates, port: str, mechanisms: set[str]) -> None:
        with starttls_session(postfix.port(port), certificates) as smtp:
            assert set(smtp.esmtp_features["auth"].split()) == mechanisms

    def test_smtps(self, postfix: Postfix, certificates: Certificates) -> None:
        with smtplib.SMTP_SSL(LOOPBACK, postfix.port("smtps"), context=trusting(certificates)) as smtp:
            smtp.ehlo()
            assert extensions(smtp) == POSTFIX_EXTENSIONS

    def test_login_is_not_offered_before_starttls(self, postfix: Postfix) -> None:
        with smtplib.SMTP(LOOPBACK, postfix.port()) as smtp:
            smtp.ehlo()
            assert extensions(smtp) == POSTFIX_EXTENSIONS - {"auth"} | {"starttls"}

    def test_no_starttls(self, postfix: Postfix) -> None:
        """The login is offered nevertheless."""
        with smtplib.SMTP(LOOPBACK, postfix.port("no_starttls")) as smtp:
            smtp.ehlo()
            assert extensions(smtp) == POSTFIX_EXTENSIONS

    @pytest.mark.parametrize(
        ("port", "reason"),
        [
            ("expired", "certificate has expired"),
            ("wrong_name", "IP address mismatch"),
            ("untrusted", "unable to get local issuer certificate"),
        ],
    )
    def test_bad_certificates(self, postfix: Postfix, certificates: Certificates, port: str, reason: str) -> None:
        with (
            smtplib.SMTP(LOOPBACK, postfix.port(port)) as smtp,
            pytest.raises(ssl.SSLCertVerificationError, match=reason),
        ):
            smtp.starttls(context=trusting(certificates))

    @pytest.mark.parametrize(("user", "address"), [("bob", "bob+tag@corp.test"), ("bøb", "bøb@corp.test")])
    def test_ntlm_login_and_delivery(
        self, postfix: Postfix, certificates: Certificates, user: str, address: str
    ) -> None:
        message = a_message(address)
        with starttls_session(postfix.port(), certificates) as smtp:
            assert log_in(smtp, "NTLM", ntlm()) == 235
            smtp.send_message(message)
        delivered = postfix.wait_for_message(message["Message-ID"], user)
        assert delivered.get_content() == message.get_content()
        assert postfix.wait_for_bytes(message["Message-ID"], user).endswith(b"\nOff with her head!\n")
        assert message["Message-ID"] in [each["Message-ID"] for each in postfix.messages(user)]

    def test_a_wrong_password_is_refused(self, postfix: Postfix, certificates: Certificates) -> None:
        with starttls_session(postfix.port(), certificates) as smtp:
            assert log_in(smtp, "NTLM", ntlm(User(ALICE.name, "wrong"))) == 535

    @pytest.mark.parametrize(("mechanism", "protocol"), KERBEROS)
    @pytest.mark.parametrize(
        ("port", "service", "code"),
        [
            ("default", "SMTPSVC", 235),
            ("default", "smtp", 535),
            ("smtp_service", "smtp", 235),
            ("smtp_service", "SMTPSVC", 535),
        ],
    )
    def test_kerberos_login(
        self,
        *,
        postfix: Postfix,
        certificates: Certificates,
        kdc: Kdc,
        mechanism: str,
        protocol: str,
        port: str,
        service: str,
        code: int,
    ) -> None:
        """It accepts tickets only for its own service name."""
        with starttls_session(postfix.port(port), certificates) as smtp:
            assert log_in(smtp, mechanism, kerberos(kdc, protocol, service)) == code

    def test_ntlm_inside_spnego(self, postfix: Postfix, certificates: Certificates) -> None:
        negotiate = spnego.client(ALICE.down_level, ALICE.password, options=spnego.NegotiateOptions.use_negotiate)
        with starttls_session(postfix.port(), certificates) as smtp:
            assert log_in(smtp, "GSS-SPNEGO", negotiate) == 235

    def test_anonymous_mail_is_refused_on_one_port_and_delivered_on_another(self, postfix: Postfix) -> None:
        message = a_message()
        with smtplib.SMTP(LOOPBACK, postfix.port()) as smtp, pytest.raises(smtplib.SMTPRecipientsRefused):
            smtp.send_message(message)
        with smtplib.SMTP(LOOPBACK, postfix.port("no_auth")) as smtp:
            smtp.send_message(message)
        postfix.wait_for_message(lambda delivered: delivered["Message-ID"] == message["Message-ID"])

    @pytest.mark.parametrize(("address", "answer"), RECIPIENTS.items())
    def test_refused_recipients(self, postfix: Postfix, address: str, answer: str) -> None:
        with smtplib.SMTP(LOOPBACK, postfix.port("no_auth")) as smtp:
            smtp.ehlo()
            smtp.mail(ALICE.address)
            code, text = smtp.rcpt(address)
        assert f"{code} {text.decode()}".startswith(answer[:9])
        assert answer[10:] in text.decode()

    @pytest.mark.parametrize(("address", "answer"), SENDERS.items())
    def test_refused_senders(self, postfix: Postfix, address: str, answer: str) -> None:
        with smtplib.SMTP(LOOPBACK, postfix.port("no_auth")) as smtp:
            smtp.ehlo()
            code, text = smtp.mail(address)
        assert f"{code} {text.decode()}".startswith(answer[:9])

    def test_an_unknown_recipient_is_refused(self, postfix: Postfix) -> None:
        with smtplib.SMTP(LOOPBACK, postfix.port("no_auth")) as smtp:
            smtp.ehlo()
            smtp.mail(ALICE.address)
            assert smtp.rcpt(f"cheshire@{MAIL_DOMAIN}")[0] == 550

    @pytest.mark.parametrize(
        ("sent", "error"),
        [
            (b"DATA\r\nSubject: ahead of the 354\r\n", b"synchronization"),
            (b"BDAT 19 LAST\r\nSubject: x\n\nbare LF", b"bare <LF> received"),
        ],
    )
    def test_protocol_violations_are_refused(self, postfix: Postfix, sent: bytes, error: bytes) -> None:
        with smtplib.SMTP(LOOPBACK, postfix.port("no_auth")) as smtp:
            smtp.ehlo()
            smtp.mail(ALICE.address)
            smtp.rcpt(BOB.address)
            smtp.send(sent)
            assert error in smtp.getreply()[1]

    @pytest.mark.parametrize("port", ["small", "small_unannounced"])
    def test_large_messages_are_refused(self, postfix: Postfix, certificates: Certificates, port: str) -> None:
        """At MAIL if the limit is announced and the client sends the size; otherwise after the content."""
        message = a_message()
        message.add_attachment(b"x" * SIZE_LIMIT, maintype="application", subtype="octet-stream")
        with starttls_session(postfix.port(port), certificates) as smtp:
            log_in(smtp, "NTLM", ntlm())
            with pytest.raises((smtplib.SMTPSenderRefused, smtplib.SMTPDataError)) as refusal:
                smtp.send_message(message)
        assert refusal.value.smtp_code == 552
        assert isinstance(refusal.value, smtplib.SMTPSenderRefused) == (port == "small")

    def test_a_throttled_session_ends_after_so_many_messages(
        self, postfix: Postfix, certificates: Certificates
    ) -> None:
        """Regardless of the messages in earlier sessions."""
        for _ in range(2):
            with starttls_session(postfix.port("throttled"), certificates) as smtp:
                log_in(smtp, "NTLM", ntlm())
                for _ in range(MESSAGES_PER_SESSION):
                    assert smtp.mail(ALICE.address)[0] == 250
                    smtp.rset()
                assert smtp.mail(ALICE.address)[0] == 421
                with pytest.raises(smtplib.SMTPServerDisconnected):
                    smtp.noop()


class TestDovecot:
    def test_offers_after_starttls(self, dovecot: Dovecot, certificates: Certificates) -> None:
        with starttls_session(dovecot.port, certificates) as smtp:
            assert smtp.esmtp_features.keys() == DOVECOT_EXTENSIONS
            mechanisms = smtp.esmtp_features["auth"].split()
        assert set(mechanisms) == {"PLAIN", "LOGIN", "GSSAPI", "GSS-SPNEGO", "EXTERNAL"}

    def test_implicit_tls(self, dovecot: Dovecot, certificates: Certificates) -> None:
        with smtplib.SMTP_SSL(LOOPBACK, dovecot.tls_port, context=trusting(certificates)) as smtp:
            smtp.ehlo()
            assert smtp.esmtp_features.keys() == DOVECOT_EXTENSIONS

    @pytest.mark.parametrize(("mechanism", "protocol"), KERBEROS)
    def test_kerberos_login_and_delivery(
        self, *, dovecot: Dovecot, certificates: Certificates, kdc: Kdc, mechanism: str, protocol: str
    ) -> None:
        message = a_message()
        with starttls_session(dovecot.port, certificates) as smtp:
            assert log_in(smtp, mechanism, kerberos(kdc, protocol)) == 235
            smtp.send_message(message)
        delivered = dovecot.wait_for_message(message["Message-ID"])
        assert delivered.get_content() == message.get_content()
        assert delivered["X-RcptTo"] == BOB.address
        assert message["Message-ID"] in [each["Message-ID"] for each in dovecot.messages()]

    def test_a_ticket_for_a_service_without_key_is_refused(
        self, dovecot: Dovecot, certificates: Certificates, kdc: Kdc
    ) -> None:
        context = spnego.client(
            spnego.KerberosCCache(kdc.ticket()), hostname="other.corp.test", service="SMTPSVC", protocol="kerberos"
        )
        with starttls_session(dovecot.port, certificates) as smtp:
            assert log_in(smtp, "GSSAPI", context) == 535

    def test_client_certificate(self, dovecot: Dovecot, certificates: Certificates) -> None:
        context = trusting(certificates)
        context.load_cert_chain(certificates.alice.chain, certificates.alice.key)
        with smtplib.SMTP_SSL(LOOPBACK, dovecot.tls_port, context=context) as smtp:
            smtp.ehlo()
            assert smtp.docmd("AUTH", "EXTERNAL =")[0] == 235


class TestAcceptor:
    def test_offers_after_starttls(self, acceptor: Acceptor, certificates: Certificates) -> None:
        with starttls_session(acceptor.port, certificates) as smtp:
            assert smtp.esmtp_features == {"auth": " NTLM GSSAPI GSS-SPNEGO", "8bitmime": ""}

    @pytest.mark.parametrize(
        ("bindings", "sent", "code"),
        [
            ("require", "right", 235),
            ("require", "wrong", 535),
            ("require", None, 535),
            ("allow", "right", 235),
            ("allow", "wrong", 535),
            ("allow", None, 235),
            ("off", "wrong", 235),
        ],
    )
    @pytest.mark.parametrize(("mechanism", "protocol"), [*KERBEROS, ("GSSAPI", "negotiate"), ("NTLM", "ntlm")])
    def test_channel_bindings(
        self,
        *,
        start_acceptor: StartAcceptor,
        certificates: Certificates,
        kdc: Kdc,
        bindings: Bindings,
        sent: str | None,
        code: int,
        mechanism: str,
        protocol: str,
    ) -> None:
        acceptor = start_acceptor(bindings)
        hashed = {"right": certificates.server, "wrong": certificates.untrusted, None: None}[sent]
        end_point = end_point_bindings(hashed, "sha256") if hashed else None
        context = ntlm(bindings=end_point) if protocol == "ntlm" else kerberos(kdc, protocol, bindings=end_point)
        with starttls_session(acceptor.port, certificates) as smtp:
            assert log_in(smtp, mechanism, context) == code
            login = acceptor.logins()[-1]
            assert smtp.mail(ALICE.address)[0] == (250 if code == 235 else 530)
        assert (login.mechanism, login.ok) == (mechanism, code == 235)
        assert login.bound == (sent == "right")
        assert (login.error is None) == login.ok

    def test_the_hash_algorithm_is_that_of_the_certificates_signature(
        self, start_acceptor: StartAcceptor, certificates: Certificates
    ) -> None:
        acceptor = start_acceptor("require", certificates.rsa_sha384)
        with starttls_session(acceptor.port, certificates) as smtp:
            end_point = end_point_bindings(certificates.rsa_sha384, "sha384")
            assert log_in(smtp, "NTLM", ntlm(bindings=end_point)) == 235
