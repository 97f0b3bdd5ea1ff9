"""The devices between client and server."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import DeliveryUncertain, StartTlsNotOffered
from airflow_smtp_cm.smtp.settings import Timeouts
from airflow_smtp_cm.testing import (
    esmtp_inspection,
    hang_up_at_bdat,
    one_bdat_per_session,
    stall_at_bdat,
)
from tests.testing.managers import ALICE, manager
from tests.testing.test_exchange import WITHOUT_TLS, exchange, mail
from tests.testing.threads import threads

DEVICES = [esmtp_inspection, hang_up_at_bdat, stall_at_bdat, one_bdat_per_session]


@pytest.mark.parametrize("tls", [{}, WITHOUT_TLS], ids=["TLS", "no TLS"])
@pytest.mark.parametrize("device", [hang_up_at_bdat, stall_at_bdat, one_bdat_per_session])
def test_gateway_relays_login_and_mail_with_data(device, tls):
    text = "x\n.\n" * 10_000
    with (
        exchange(extended_protection_policy="Require" if not tls else "None") as server,
        device(server) as port,
        manager(server, port=port, **tls).acquire() as client,
    ):
        assert "CHUNKING" in client.extensions
        client.send(mail())
        client.send(mail(text=text))

    assert [message.identity for message in server.outbox] == [ALICE, ALICE]
    assert server.outbox[1].message.get_content() == text


@pytest.mark.parametrize("tls", [{}, WITHOUT_TLS], ids=["TLS", "no TLS"])
def test_gateway_that_hangs_up_at_bdat(tls):
    with (
        exchange() as server,
        hang_up_at_bdat(server) as port,
        manager(server, port=port, chunking=True, **tls).acquire() as client,
        pytest.raises(DeliveryUncertain, match="chunking"),
    ):
        client.send(mail())

    assert server.outbox == []


@pytest.mark.parametrize("tls", [{}, WITHOUT_TLS], ids=["TLS", "no TLS"])
def test_gateway_that_stalls_at_bdat(tls):
    with exchange() as server, stall_at_bdat(server) as port:
        settings = manager(server, port=port, chunking=True, **tls).settings()
        with (
            SmtpClient.open(replace(settings, timeouts=Timeouts(final=0.3))) as client,
            pytest.raises(
                DeliveryUncertain, match=r"chunking is on.* turn it off\. If the server is slow, increase the timeout"
            ),
        ):
            client.send(mail())

    assert server.outbox == []


def test_gateway_that_relays_one_bdat_in_a_session():
    with (
        exchange() as server,
        one_bdat_per_session(server) as port,
        manager(server, port=port, chunking=True).acquire() as client,
    ):
        client.send(mail())
        with pytest.raises(DeliveryUncertain, match="chunking"):
            client.send(mail())
        client.send(mail())

    assert len(server.outbox) == 2


def test_inspection_masks_the_keywords_that_it_does_not_know():
    with (
        exchange() as server,
        esmtp_inspection(server) as port,
        manager(server, port=port, **WITHOUT_TLS).acquire() as client,
    ):
        assert client.extensions.mechanisms == ("NTLM",)
        assert {"XXXXXXXA", "PIPELINING", "SIZE"} <= client.extensions.keywords.keys()
        assert client.extensions.keywords.keys().isdisjoint({"STARTTLS", "CHUNKING", "XRDST"})
        client.send(mail())

    assert len(server.outbox) == 1


def test_inspection_makes_starttls_impossible():
    with exchange() as server, esmtp_inspection(server) as port, pytest.raises(StartTlsNotOffered):
        manager(server, port=port).acquire()


@pytest.mark.parametrize("device", DEVICES)
def test_device_ends_with_its_block_although_clients_are_connected(device):
    before = threads()
    with exchange() as server, device(server) as port:
        client = manager(server, port=port, **WITHOUT_TLS).acquire()

    assert threads() <= before
    with socket.socket() as probe:
        assert probe.connect_ex((server.host, port)) != 0
    client.close()
