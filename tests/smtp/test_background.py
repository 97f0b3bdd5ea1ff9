"""Calls of libraries that wait without a limit: they are abandoned at the timeout, and hold up nothing."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys

import pytest

from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.background import start_call
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import CredentialError, Phase
from airflow_smtp_cm.smtp.settings import Identity, MechanismChoice, Settings, Tls, TlsMode, WindowsAuthentication
from tests.patience import ImpatientIn
from tests.servers.people import ALICE, MAIL_HOST
from tests.servers.processes import LOOPBACK, PATIENCE_SECONDS


@pytest.fixture
def silent_kdc(kdc, tmp_path, monkeypatch):
    """A KDC of the realm that accepts connections, and does not answer."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        config = tmp_path / "krb5.conf"
        silent = f"kdc = {LOOPBACK}:{listener.getsockname()[1]}"
        config.write_text(re.sub(r"kdc = \S+", silent, kdc.krb5_conf.read_text()))
        monkeypatch.setenv("KRB5_CONFIG", str(config))
        yield listener


def blocking(settings: Settings) -> None:
    SmtpClient.open(settings).close()


def in_asyncio(settings: Settings) -> None:
    async def main() -> None:
        await (await AsyncSmtpClient.open(settings)).close()

    asyncio.run(main())


@pytest.mark.usefixtures("silent_kdc")
@pytest.mark.parametrize("open_client", [blocking, in_asyncio])
@pytest.mark.parametrize("username", [ALICE.down_level, ALICE.principal])
def test_a_silent_kdc_costs_no_more_than_the_timeout(postfix, certificates, open_client, username):
    """It would hold up the login for half a minute."""
    settings = Settings(
        host=LOOPBACK,
        port=postfix.port(),
        server_name=MAIL_HOST,
        tls=Tls(mode=TlsMode.STARTTLS, ca_bundle=str(certificates.authority)),
        authentication=WindowsAuthentication(
            identity=Identity(username=username, password=ALICE.password), mechanism=MechanismChoice.KERBEROS
        ),
        timeouts=ImpatientIn(Phase.AUTH),
    )
    with pytest.raises(CredentialError, match="No KDC answered in time") as raised:
        open_client(settings)
    assert raised.value.transient
    assert not raised.value.account_refused


def test_the_result_or_the_exception_of_a_call_arrives():
    assert start_call(lambda: 7).result() == 7
    with pytest.raises(ZeroDivisionError):
        start_call(lambda: 1 // 0).result()


@pytest.mark.parametrize("abandon", ["wait([call], 0)", "asyncio.run(wait_in_asyncio())"])
def test_an_abandoned_call_does_not_hold_up_the_end_of_the_process(abandon):
    program = f"""
import asyncio
from concurrent.futures import wait
from threading import Event
from airflow_smtp_cm.smtp.background import start_call
call = start_call(Event().wait)
async def wait_in_asyncio():
    await asyncio.wait([asyncio.wrap_future(call)], timeout=0)
{abandon}
print("ended")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
    )
    assert (done.stdout, done.stderr) == ("ended\n", "")
