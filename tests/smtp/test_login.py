"""Windows authentication with real servers: every mechanism and identity, and the text of every refusal."""

from __future__ import annotations

import logging

import pytest

from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import (
    AuthenticationError,
    AuthenticationNotOffered,
    AuthenticationRefused,
    CredentialError,
    SettingsError,
)
from airflow_smtp_cm.smtp.sasl import Exchange
from airflow_smtp_cm.smtp.settings import (
    ChannelBinding,
    Identity,
    MechanismChoice,
    Settings,
    Tls,
    TlsMode,
    WindowsAuthentication,
)
from tests.servers.kdc import KEYLESS_SERVICE
from tests.servers.people import ALICE, MAIL_HOST, MALLORY, PEGGY, TRUDY
from tests.smtp.outgoing import Note


@pytest.fixture
def log_in(certificates):
    """Return a function that logs in to a port under TLS, sends a note, and returns the login."""

    def log_in(port: int, identity: Identity, mechanism: str = "auto", *, tls=TlsMode.STARTTLS, **windows) -> str:
        settings = Settings(
            host="127.0.0.1",
            port=port,
            server_name=MAIL_HOST,
            tls=Tls(mode=tls, ca_bundle=str(certificates.authority) if tls is not TlsMode.NONE else None),
            authentication=WindowsAuthentication(identity=identity, mechanism=MechanismChoice(mechanism), **windows),
        )
        with SmtpClient.open(settings) as client:
            client.send(Note())
            return str(client.login)

    return log_in


@pytest.fixture
def identities(kdc, monkeypatch):
    """Return a function that returns alice's identity of the given kind."""

    def identity(kind: str) -> Identity:
        match kind:
            case "own ticket":
                monkeypatch.setenv("KRB5CCNAME", kdc.ticket())
                return Identity()
            case "named ticket cache":
                return Identity(ccache=kdc.ticket())
            case "keytab":
                return Identity(username=ALICE.principal, keytab=str(kdc.alice_keytab))
            case "UPN and password":
                return Identity(username=ALICE.principal.lower(), password=ALICE.password)
            case "DOMAIN\\user and password":
                return Identity(username=ALICE.down_level, password=ALICE.password)
        raise AssertionError(kind)

    return identity


KERBEROS_IDENTITIES = ["own ticket", "named ticket cache", "keytab", "UPN and password"]


@pytest.mark.parametrize("kind", KERBEROS_IDENTITIES)
@pytest.mark.parametrize("mechanism", ["auto", "kerberos"])
def test_kerberos_identities_log_in_to_postfix(postfix, log_in, identities, kind, mechanism):
    assert log_in(postfix.port(), identities(kind), mechanism) == "GSSAPI with Kerberos"


@pytest.mark.parametrize("kind", KERBEROS_IDENTITIES)
@pytest.mark.parametrize("mechanism", ["auto", "kerberos"])
def test_kerberos_identities_log_in_to_dovecot(dovecot, log_in, identities, kind, mechanism):
    assert log_in(dovecot.port, identities(kind), mechanism) == "GSSAPI with Kerberos"


@pytest.mark.parametrize("kind", KERBEROS_IDENTITIES)
@pytest.mark.parametrize("mechanism", ["auto", "kerberos"])
def test_kerberos_identities_log_in_to_an_acceptor_that_requires_channel_bindings(
    acceptor, log_in, identities, kind, mechanism
):
    assert log_in(acceptor.port, identities(kind), mechanism) == "GSSAPI with Kerberos"
    assert acceptor.logins()[-1].bound


@pytest.mark.parametrize("kind", KERBEROS_IDENTITIES)
def test_kerberos_works_with_gss_spnego_of_cyrus(postfix, log_in, identities, kind):
    assert log_in(postfix.port("gss_spnego_only"), identities(kind)) == "GSS-SPNEGO with Kerberos"


@pytest.mark.parametrize("kind", KERBEROS_IDENTITIES)
def test_kerberos_works_with_gss_spnego_of_dovecot(dovecot, log_in, identities, kind, only_gss_spnego):
    with only_gss_spnego:
        assert log_in(dovecot.port, identities(kind)) == "GSS-SPNEGO with Kerberos"


@pytest.mark.parametrize("mechanism", ["auto", "ntlm"])
def test_ntlm_logs_in_to_postfix(postfix, log_in, identities, mechanism):
    assert log_in(postfix.port(), identities("DOMAIN\\user and password"), mechanism) == "NTLM"


def test_ntlm_is_sent_inside_gss_spnego_if_that_is_the_only_mechanism(postfix, log_in, identities):
    identity = identities("DOMAIN\\user and password")
    assert log_in(postfix.port("gss_spnego_only"), identity) == "GSS-SPNEGO with NTLM"


@pytest.mark.parametrize("certificate", ["server", "rsa_sha384"])
@pytest.mark.parametrize(
    ("kind", "login"),
    [("own ticket", "GSSAPI with Kerberos"), ("DOMAIN\\user and password", "NTLM")],
)
def test_channel_bindings_follow_the_certificates_own_hash(
    start_acceptor, certificates, log_in, identities, certificate, kind, login
):
    acceptor = start_acceptor("require", getattr(certificates, certificate))
    assert log_in(acceptor.port, identities(kind)) == login
    assert acceptor.logins()[-1].bound


@pytest.mark.parametrize("kind", ["own ticket", "DOMAIN\\user and password"])
def test_missing_channel_bindings_are_refused_if_they_are_required(acceptor, log_in, identities, kind):
    with pytest.raises(AuthenticationRefused, match=r"535 5\.7\.3"):
        log_in(acceptor.port, identities(kind), channel_binding=ChannelBinding.NONE)


@pytest.mark.parametrize("kind", ["own ticket", "DOMAIN\\user and password"])
def test_wrong_channel_bindings_are_refused(acceptor, log_in, identities, kind, monkeypatch):
    """As with an attacker between client and server, who has another certificate."""
    monkeypatch.setattr(
        "airflow_smtp_cm.smtp.authentication.channel_binding", lambda *_: b"tls-server-end-point:" + bytes(32)
    )
    with pytest.raises(AuthenticationRefused, match=r"535 5\.7\.3"):
        log_in(acceptor.port, identities(kind))


def test_tls_unique_is_an_error_under_tls_1_3(acceptor, log_in, identities):
    with pytest.raises(SettingsError, match=r"tls-unique does not exist in TLSv1\.3"):
        log_in(acceptor.port, identities("own ticket"), channel_binding=ChannelBinding.TLS_UNIQUE)


def test_the_spn_can_name_another_service(postfix, log_in, identities):
    login = log_in(postfix.port("smtp_service"), identities("own ticket"), spn=f"smtp/{MAIL_HOST}")
    assert login == "GSSAPI with Kerberos"


def test_windows_authentication_works_without_tls_if_the_server_allows_it(postfix, log_in, identities):
    login = log_in(postfix.port("no_starttls"), identities("DOMAIN\\user and password"), tls=TlsMode.NONE)
    assert login == "NTLM"


def test_ntlm_is_used_and_logged_if_kerberos_cannot_start(postfix, log_in, identities, caplog):
    with caplog.at_level(logging.INFO):
        assert log_in(postfix.port(), identities("DOMAIN\\user and password")) == "NTLM"
    assert "The KDC does not know CORP\\alice" in caplog.text


def test_ntlm_is_used_if_the_service_has_no_principal(postfix, log_in):
    identity = Identity(username=ALICE.name, password=ALICE.password)
    assert log_in(postfix.port(), identity, spn="SMTPSVC/nowhere.corp.test") == "NTLM"


# --- what the server refuses


@pytest.mark.parametrize("username", [ALICE.down_level, "CORP\\nobody"])
def test_a_wrong_password_or_user_is_tried_once_with_ntlm(postfix, log_in, username, caplog):
    with pytest.raises(AuthenticationRefused, match=r"Check the user, the password") as raised:
        log_in(postfix.port("gss_spnego_only"), Identity(username=username, password="wrong"), "ntlm")
    assert raised.value.code == 535
    assert not raised.value.transient
    assert "wrong" not in f"{raised.value}{raised.value!r}{caplog.text}"


def test_a_wrong_password_is_not_tried_with_the_next_mechanism(acceptor, log_in):
    before = len(acceptor.logins())
    with pytest.raises(AuthenticationRefused):
        log_in(acceptor.port, Identity(username=ALICE.down_level, password="wrong"), "ntlm")
    assert len(acceptor.logins()) == before + 1


def test_a_service_without_a_key_on_the_server_is_an_error_with_its_name(dovecot, log_in, identities):
    with pytest.raises(AuthenticationRefused, match=f"SPN {KEYLESS_SERVICE}"):
        log_in(dovecot.port, identities("own ticket"), spn=KEYLESS_SERVICE)


def test_a_service_name_that_the_server_does_not_use_is_refused(postfix, log_in, identities):
    with pytest.raises(AuthenticationRefused, match=f"SPN smtp/{MAIL_HOST}"):
        log_in(postfix.port(), identities("own ticket"), spn=f"smtp/{MAIL_HOST}")


def test_a_token_longer_than_the_server_accepts_is_explained(postfix, log_in, identities, monkeypatch):
    """Postfix accepts 12,288 bytes; a ticket with hundreds of groups is longer."""
    start = Exchange.start
    monkeypatch.setattr(Exchange, "start", lambda exchange: start(exchange) + bytes(12_288))
    with pytest.raises(AuthenticationRefused, match="in hundreds of groups") as raised:
        log_in(postfix.port(), identities("own ticket"))
    assert (raised.value.code, raised.value.enhanced_code) == (500, "5.5.6")


# --- errors before the server is asked


def test_a_missing_ticket_is_explained(postfix, log_in):
    with pytest.raises(CredentialError, match="There is no Kerberos ticket"):
        log_in(postfix.port(), Identity())


@pytest.mark.parametrize("mechanism", ["auto", "kerberos"])
def test_an_expired_ticket_is_explained(postfix, kdc, log_in, mechanism):
    with pytest.raises(CredentialError, match="ticket has expired"):
        log_in(postfix.port(), Identity(ccache=kdc.expired_ticket()), mechanism)


def test_an_unknown_service_is_named(postfix, log_in, identities):
    with pytest.raises(CredentialError, match=r"does not know the service SMTPSVC/nowhere\.corp\.test"):
        log_in(postfix.port(), identities("own ticket"), spn="SMTPSVC/nowhere.corp.test")


@pytest.mark.parametrize("mechanism", ["auto", "kerberos"])
def test_a_password_that_the_kdc_refuses_is_not_tried_with_ntlm(acceptor, log_in, mechanism):
    before = len(acceptor.logins())
    with pytest.raises(CredentialError, match=r"refused the password or key of alice@CORP\.TEST") as raised:
        log_in(acceptor.port, Identity(username=ALICE.principal, password=f"{ALICE.password} "), mechanism)
    assert raised.value.account_refused
    assert "Possible typing error: the password begins or ends with a space." in str(raised.value)
    assert len(acceptor.logins()) == before


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (MALLORY, "disabled, locked or expired"),
        (PEGGY, "disabled, locked or expired"),
        (TRUDY, "password of trudy@CORP.TEST has expired"),
    ],
)
def test_an_account_that_is_not_valid_and_an_expired_password_are_explained(postfix, log_in, user, reason):
    with pytest.raises(CredentialError, match=reason) as raised:
        log_in(postfix.port(), Identity(username=user.principal, password=user.password))
    assert raised.value.account_refused


def test_an_unknown_user_is_explained(postfix, log_in):
    with pytest.raises(CredentialError, match=r"does not know nobody@CORP\.TEST"):
        log_in(postfix.port(), Identity(username="nobody@CORP.TEST", password="x"), "kerberos")


def test_a_keytab_without_the_users_key_is_explained(postfix, kdc, log_in):
    with pytest.raises(CredentialError, match=r"no key for bob@CORP\.TEST"):
        log_in(postfix.port(), Identity(username="bob@CORP.TEST", keytab=str(kdc.alice_keytab)))


def test_an_unreachable_kdc_is_transient(postfix, log_in, tmp_path, monkeypatch):
    config = tmp_path / "krb5.conf"
    config.write_text("[libdefaults]\n udp_preference_limit = 1\n[realms]\n CORP.TEST = {\n kdc = 127.0.0.1:1\n }\n")
    monkeypatch.setenv("KRB5_CONFIG", str(config))
    with pytest.raises(CredentialError, match=r"No KDC of the realm [A-Z.]+ can be reached") as raised:
        log_in(postfix.port(), Identity(username=ALICE.principal, password=ALICE.password), "kerberos")
    assert raised.value.transient


# --- mechanisms that the server does not offer


@pytest.mark.parametrize("port", ["no_auth", "basic_only"])
def test_a_server_without_windows_authentication_is_an_error(postfix, log_in, identities, port):
    with pytest.raises(AuthenticationNotOffered, match="needs GSSAPI, GSS-SPNEGO or NTLM"):
        log_in(postfix.port(port), identities("own ticket"))


def test_anonymous_mail_is_sent_only_if_the_settings_allow_it(postfix, log_in, identities, caplog):
    login = log_in(postfix.port("no_auth"), identities("own ticket"), anonymous_if_not_offered=True)
    assert login == "None"
    assert "the session is anonymous" in caplog.text


@pytest.mark.parametrize(
    ("port", "kind", "mechanism"),
    [
        ("ntlm_only", "own ticket", "auto"),
        ("ntlm_only", "UPN and password", "kerberos"),
        ("gssapi_only", "own ticket", "kerberos"),
    ],
)
def test_anonymous_mail_is_never_sent_if_windows_authentication_is_offered(
    postfix, log_in, identities, port, kind, mechanism
):
    """If it is not allowed by the settings, or refused by the server, that is an error."""
    with pytest.raises(AuthenticationError):
        log_in(
            postfix.port(port),
            identities(kind),
            mechanism,
            anonymous_if_not_offered=True,
            spn=KEYLESS_SERVICE,
        )


def test_an_offer_that_the_settings_do_not_allow_is_explained(postfix, log_in, identities):
    with pytest.raises(AuthenticationNotOffered, match="offers NTLM; the connection allows only Kerberos"):
        log_in(postfix.port("ntlm_only"), identities("own ticket"))
