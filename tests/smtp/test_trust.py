"""Which servers are trusted: the same with both clients, on every Python."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import CertificateError
from airflow_smtp_cm.smtp.host_names import peer_name
from airflow_smtp_cm.smtp.settings import Settings, Tls, TlsMode
from airflow_smtp_cm.smtp.tls import _context
from tests.servers.people import MAIL_HOST
from tests.servers.processes import LOOPBACK
from tests.servers.scripted import expect, say, scripted_peer, start_tls
from tests.smtp.addresses import infos

SESSION = [say("220 hi"), expect("EHLO"), say("250 hi"), expect("QUIT"), say("221 bye")]


@pytest.fixture(params=["blocking", "asyncio"])
def visit(request):
    """Return a function that opens a session, and ends it."""

    def visit(settings) -> None:
        with SmtpClient.open(settings):
            pass

    async def visit_on_asyncio(settings) -> None:
        async with await AsyncSmtpClient.open(settings):
            pass

    return visit if request.param == "blocking" else lambda settings: asyncio.run(visit_on_asyncio(settings))


def settings_for(peer, ca_bundle, server_name=MAIL_HOST) -> Settings:
    tls = Tls(mode=TlsMode.IMPLICIT, ca_bundle=ca_bundle and str(ca_bundle))
    return Settings(host=LOOPBACK, port=peer.port, server_name=server_name, tls=tls, ehlo_name="me.test")


@pytest.mark.parametrize(
    ("server", "bundle"),
    [
        ("below_old_authority", "old_authority"),
        ("below_intermediate", "intermediate"),
        ("untrusted", "untrusted"),
        ("self_signed", "self_signed"),
    ],
)
def test_certificates_in_the_bundle_are_trusted(certificates, visit, server, bundle):
    """A root authority's certificate in any form, an intermediate authority's, or the server's own."""
    with scripted_peer([start_tls(getattr(certificates, server)), *SESSION]) as peer:
        visit(settings_for(peer, getattr(certificates, bundle).chain))
    assert peer.commands == ["EHLO me.test", "QUIT"]


@pytest.mark.parametrize(
    ("server", "bundle", "name", "problem"),
    [
        ("below_old_authority", "old_authority", "other.corp.test", "Hostname mismatch"),
        ("below_intermediate", "intermediate", "other.corp.test", "Hostname mismatch"),
        ("untrusted", "untrusted", "other.corp.test", "Hostname mismatch"),
        ("self_signed", "self_signed", "other.corp.test", "Hostname mismatch"),
        ("self_signed", "self_signed", "127.0.0.2", "IP address mismatch"),
        ("expired", "expired", MAIL_HOST, "certificate has expired"),
        ("self_signed_expired", "self_signed_expired", MAIL_HOST, "certificate has expired"),
        ("below_expired_authority", "expired_authority", MAIL_HOST, "certificate has expired"),
        # To trust one server is not to trust its authority, nor certificates that its key signed.
        ("rsa_sha384", "server", MAIL_HOST, "unable to get local issuer certificate"),
        ("below_self_signed", "self_signed", MAIL_HOST, "invalid CA certificate"),
    ],
)
def test_the_bundle_does_not_override_names_dates_and_chain(certificates, visit, server, bundle, name, problem):
    with scripted_peer([start_tls(getattr(certificates, server)), *SESSION], to_the_end=False) as peer:
        settings = settings_for(peer, getattr(certificates, bundle).chain, name)
        with pytest.raises(
            CertificateError, match=rf"not accepted for {name}: .*{problem}.* It is for .* issued by "
        ):
            visit(settings)
    assert not peer.commands


@pytest.mark.parametrize(
    ("server", "host", "asked"),
    [
        ("server", f"{MAIL_HOST}.", f"{MAIL_HOST}."),
        ("server", MAIL_HOST.upper(), MAIL_HOST.upper()),
        # By IDNA 2003, it would be strasse.test, another name.
        ("non_ascii_name", "straße.test", "xn--strae-oqa.test"),
        ("non_ascii_name", "Straße.test.", "xn--strae-oqa.test."),
        ("non_ascii_name", "xn--strae-oqa.test", "xn--strae-oqa.test"),
    ],
)
def test_the_dns_and_the_certificate_have_the_same_name(certificates, monkeypatch, visit, server, host, asked):
    """Only the DNS is asked for the final dot, which excludes its search domains."""
    names = []

    def resolve(name, port, *_, **__):
        names.append(name)
        return infos(LOOPBACK, port=port)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with scripted_peer([start_tls(getattr(certificates, server)), *SESSION]) as peer:
        visit(replace(settings_for(peer, certificates.authority, None), host=host))
    assert names == [asked]


@pytest.mark.parametrize(("host", "server_name"), [("fe80::1%eth0", None), ("mail.test", "fe80::1%eth0")])
def test_the_zone_of_an_address_is_not_in_the_name_of_certificate_and_spn(host, server_name):
    """It has a meaning on this machine only."""
    assert peer_name(Settings(host=host, server_name=server_name)) == "fe80::1"


@pytest.fixture
def new_contexts():
    """Clear the cached contexts before and after the test."""
    _context.cache_clear()
    yield
    _context.cache_clear()


@pytest.mark.usefixtures("new_contexts")
@pytest.mark.parametrize(
    ("server", "trusted"), [("below_old_authority", "old_authority"), ("untrusted", "untrusted")]
)
def test_certificates_in_the_systems_store_are_trusted_likewise(certificates, monkeypatch, visit, server, trusted):
    monkeypatch.setenv("SSL_CERT_FILE", str(getattr(certificates, trusted).chain))
    with scripted_peer([start_tls(getattr(certificates, server)), *SESSION]) as peer:
        visit(settings_for(peer, None))
    assert peer.commands == ["EHLO me.test", "QUIT"]
