from __future__ import annotations

from contextlib import contextmanager

import pytest

from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.settings import Identity, MechanismChoice, Settings, Tls, TlsMode, WindowsAuthentication
from tests.patience import PATIENT
from tests.servers.people import ALICE, MAIL_HOST
from tests.servers.processes import LOOPBACK
from tests.smtp.driver import Driver
from tests.smtp.outgoing import SHORT


@pytest.fixture
def only_gss_spnego(monkeypatch):
    """Restrict the client to GSS-SPNEGO, for servers that also offer other mechanisms."""

    @contextmanager
    def block():
        monkeypatch.setattr("airflow_smtp_cm.smtp.authentication._KERBEROS_MECHANISMS", ("GSS-SPNEGO",))
        yield

    return block()


@pytest.fixture(params=[1 << 20, 1], ids=["in one piece", "byte by byte"])
def driver(request) -> Driver:
    """A server without sockets; its data arrives in one piece, or byte by byte."""
    return Driver(piece=request.param)


@pytest.fixture(scope="session")
def submission(certificates):
    """Return a function that makes settings to log in as alice: with NTLM, or with Kerberos and a ticket cache."""

    def settings(port: int, *, kerberos: str | None = None, mode=TlsMode.STARTTLS, **others) -> Settings:
        windows = (
            WindowsAuthentication(identity=Identity(ccache=kerberos))
            if kerberos
            else WindowsAuthentication(
                identity=Identity(username=ALICE.down_level, password=ALICE.password), mechanism=MechanismChoice.NTLM
            )
        )
        tls = Tls(mode=mode, ca_bundle=str(certificates.authority))
        return Settings(host="127.0.0.1", port=port, server_name=MAIL_HOST, tls=tls, authentication=windows, **others)

    return settings


@pytest.fixture
def open_client(certificates):
    """Return a function that opens a client to a peer."""

    def open_client(peer, timeouts=PATIENT, *, tls=TlsMode.NONE, trace=None, **settings) -> SmtpClient:
        trust = Tls(mode=tls, ca_bundle=str(certificates.authority) if tls is not TlsMode.NONE else None)
        return SmtpClient.open(
            Settings(host=LOOPBACK, port=peer.port, ehlo_name="me.test", tls=trust, timeouts=timeouts, **settings),
            trace=trace,
        )

    return open_client


@pytest.fixture
def send(driver):
    """Return a function that sends a message through the driver to a server with these extensions.

    If they contain CHUNKING, it is used. The attribute ``session`` is the last session.
    """

    def send(offer, *answers, note=SHORT, all_or_nothing=False, session=None, **settings):
        session = session or driver.opened(*offer, **{"chunking": True} | settings)
        steps = session.send(note, all_or_nothing=all_or_nothing, notification=None)
        send.session = session
        return driver.run(steps, *answers)

    return send
