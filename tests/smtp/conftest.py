from __future__ import annotations

from contextlib import contextmanager

import pytest

from airflow_smtp_cm.smtp.settings import Identity, MechanismChoice, Settings, Tls, TlsMode, WindowsAuthentication
from tests.servers.people import ALICE, MAIL_HOST
from tests.smtp.driver import Driver


@pytest.fixture
def only_gss_spnego(monkeypatch):
    """A block in which the client knows GSS-SPNEGO only, for servers that do not offer it alone."""

    @contextmanager
    def block():
        monkeypatch.setattr("airflow_smtp_cm.smtp.authentication._KERBEROS_CARRIERS", ("GSS-SPNEGO",))
        yield

    return block()


@pytest.fixture(params=[1 << 20, 1], ids=["in one piece", "octet by octet"])
def driver(request) -> Driver:
    """A server without sockets; however the network cuts what it says, the outcome is the same."""
    return Driver(piece=request.param)


@pytest.fixture
def submission(certificates):
    """Return a function that makes settings to log in as alice: by NTLM, or by Kerberos with a ticket cache."""

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
