r"""Logging in with the accounts of an Active Directory domain, by every name that Windows users have."""

from __future__ import annotations

import asyncio

import pytest

from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import AuthenticationRefused, CredentialError
from airflow_smtp_cm.smtp.settings import (
    ChannelBinding,
    Identity,
    MechanismChoice,
    Settings,
    Tls,
    TlsMode,
    WindowsAuthentication,
)
from tests.servers.domain import FRED, GRETA, OSCAR, UPN
from tests.servers.people import ALICE, MAIL_HOST, MALLORY, PEGGY, TRUDY, User
from tests.servers.processes import LOOPBACK
from tests.smtp.outgoing import Note

NAMES = {
    r"DOMAIN\user": ALICE.down_level,
    r"domain\USER": ALICE.down_level.upper().replace("CORP", "corp"),
    "realm and user": rf"corp.test\{ALICE.name}",
    "UPN": UPN,
    "UPN in capitals": UPN.upper(),
    "user@REALM": ALICE.principal,
    "user@realm": ALICE.address,
    "user": ALICE.name,
}


def blocking(settings: Settings) -> str:
    with SmtpClient.open(settings) as client:
        client.send(Note())
        return str(client.login)


def in_asyncio(settings: Settings) -> str:
    async def main() -> str:
        async with await AsyncSmtpClient.open(settings) as client:
            await client.send(Note())
            return str(client.login)

    return asyncio.run(main())


@pytest.fixture(params=[blocking, in_asyncio], ids=["blocking", "asyncio"])
def log_in(request, domain, certificates, monkeypatch):
    """Return a function that logs in to a port under TLS, sends a note, and returns the login."""
    monkeypatch.setenv("KRB5_CONFIG", str(domain.krb5_conf))
    monkeypatch.delenv("KRB5CCNAME", raising=False)

    def log_in(port: int, username: str, password: str, mechanism: str = "auto", **windows) -> str:
        identity = Identity(username=username, password=password)
        settings = Settings(
            host=LOOPBACK,
            port=port,
            server_name=MAIL_HOST,
            tls=Tls(mode=TlsMode.STARTTLS, ca_bundle=str(certificates.authority)),
            authentication=WindowsAuthentication(identity=identity, mechanism=MechanismChoice(mechanism), **windows),
        )
        return request.param(settings)

    with domain.namespaces.inside():
        yield log_in


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_form_of_a_name_logs_in_by_kerberos(domain_dovecot, log_in, name):
    assert log_in(domain_dovecot.port, name, ALICE.password) == "GSSAPI with Kerberos"


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_channel_bindings_are_sent_with_every_form(domain_acceptor, log_in, name):
    assert log_in(domain_acceptor.port, name, ALICE.password) == "GSSAPI with Kerberos"
    login = domain_acceptor.logins()[-1]
    assert (login.user, login.bound) == (ALICE.principal, True)


@pytest.mark.parametrize("name", [FRED.down_level, FRED.down_level.upper(), FRED.principal, FRED.name])
def test_names_with_blanks_and_passwords_beyond_ascii_log_in(domain_acceptor, log_in, name):
    assert log_in(domain_acceptor.port, name, FRED.password) == "GSSAPI with Kerberos"
    assert domain_acceptor.logins()[-1].user == FRED.principal


def test_a_name_with_blanks_and_a_password_beyond_ascii_work_with_ntlm_too(domain_acceptor, log_in):
    assert log_in(domain_acceptor.port, FRED.down_level, FRED.password, "ntlm") == "NTLM"


def test_a_protected_user_logs_in_by_kerberos_and_not_by_ntlm(domain_dovecot, log_in):
    assert log_in(domain_dovecot.port, GRETA.down_level, GRETA.password) == "GSSAPI with Kerberos"
    with pytest.raises(AuthenticationRefused, match="refused the login by NTLM"):
        log_in(domain_dovecot.port, GRETA.down_level, GRETA.password, "ntlm")


def test_a_user_in_900_groups_logs_in_if_the_server_accepts_so_long_a_token(domain_acceptor, domain_dovecot, log_in):
    assert log_in(domain_acceptor.port, OSCAR.down_level, OSCAR.password) == "GSSAPI with Kerberos"
    with pytest.raises(AuthenticationRefused, match="in hundreds of groups"):
        log_in(domain_dovecot.port, OSCAR.down_level, OSCAR.password)


@pytest.mark.parametrize("mechanism", ["kerberos", "ntlm"])
def test_a_login_without_the_channel_bindings_is_refused(domain_acceptor, log_in, mechanism):
    with pytest.raises(AuthenticationRefused, match=r"535 5\.7\.3"):
        log_in(
            domain_acceptor.port,
            ALICE.down_level,
            ALICE.password,
            mechanism,
            channel_binding=ChannelBinding.NONE,
        )


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (MALLORY, r"The account CORP\\mallory is disabled, locked or expired"),
        (PEGGY, r"The account CORP\\peggy is disabled, locked or expired"),
        (TRUDY, r"The password of CORP\\trudy has expired or must be changed"),
        (User("alice", "wrong"), r"The KDC refused the password or key of CORP\\alice"),
    ],
    ids=["disabled", "expired", "must change the password", "wrong password"],
)
def test_an_account_that_may_not_log_in_is_told_from_a_wrong_password(domain_dovecot, log_in, user, reason):
    with pytest.raises(CredentialError, match=reason) as raised:
        log_in(domain_dovecot.port, user.down_level, user.password)
    assert raised.value.account_refused


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_wrong_password_reaches_the_domain_once(domain, domain_dovecot, log_in, name):
    log_in(domain_dovecot.port, ALICE.principal, ALICE.password)  # resets the count
    with pytest.raises(CredentialError, match="refused the password"):
        log_in(domain_dovecot.port, name, f"{ALICE.password} ")
    assert domain.failed_logins(ALICE) == 1


def test_a_wrong_password_reaches_the_domain_once_if_kerberos_cannot_start(
    domain, domain_dovecot, log_in, monkeypatch, tmp_path
):
    log_in(domain_dovecot.port, ALICE.principal, ALICE.password)
    without_kdc = tmp_path / "krb5.conf"
    without_kdc.write_text(domain.krb5_conf.read_text().replace(f"kdc = {LOOPBACK}", f"kdc = {LOOPBACK}:1"))
    monkeypatch.setenv("KRB5_CONFIG", str(without_kdc))
    with pytest.raises(AuthenticationRefused, match="refused the login by NTLM"):
        log_in(domain_dovecot.port, ALICE.down_level, "wrong")
    assert domain.failed_logins(ALICE) == 1


@pytest.mark.parametrize("name", [r"ELSEWHERE\alice", "alice@elsewhere.test", r"CORP\nobody", "nobody"])
def test_a_name_that_the_domain_does_not_know_is_an_error(domain_dovecot, log_in, name):
    with pytest.raises(CredentialError, match="The KDC does not know") as raised:
        log_in(domain_dovecot.port, name, ALICE.password, "kerberos")
    assert name in str(raised.value)
