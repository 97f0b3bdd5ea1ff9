"""Attachments without encoding, to a server that offers BINARYMIME (RFC 3030)."""

from __future__ import annotations

import asyncio
import os

import pytest

from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import MessageError, Refused
from airflow_smtp_cm.smtp.settings import Settings, Tls, TlsMode
from tests.servers.people import MAIL_HOST
from tests.servers.processes import LOOPBACK
from tests.servers.scripted import (
    Step,
    expect,
    expect_bytes,
    say,
    scripted_peer,
    start_tls,
    stop_reading,
    wait_for_close,
)
from tests.smtp.scripts import GOODBYE, hello

BYTES = bytes(range(256)) * 4096  # contains every kind of line end

OFFER = ("PIPELINING", "CHUNKING", "BINARYMIME", "8BITMIME")
ENVELOPE = [expect("MAIL FROM:<a@b.test> BODY=BINARYMIME"), say("250 m"), expect("RCPT"), say("250 r")]


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "table.bin"
    file.write_bytes(BYTES)
    return file


def message(*attachments) -> MailMessage:
    return MailMessage(from_email="a@b.test", to="c@d.test", text="See there.", attachments=attachments)


def settings(peer, tls=None) -> Settings:
    return Settings(
        host=LOOPBACK, port=peer.port, server_name=MAIL_HOST, tls=tls or Tls(), ehlo_name="me.test", chunking=True
    )


def content(size: int) -> list[Step]:
    return [expect(f"BDAT {size} LAST"), expect_bytes(size), say("250 2.0.0 taken")]


def send_blocking(settings, message):
    with SmtpClient.open(settings) as client:
        return client.send(message)


def send_asyncio(settings, message):
    async def send():
        async with await AsyncSmtpClient.open(settings) as client:
            return await client.send(message)

    return asyncio.run(send())


@pytest.mark.parametrize("send", [send_blocking, send_asyncio])
@pytest.mark.parametrize("count", [1, 3])
def test_files_arrive_without_encoding(file, send, count):
    sent = message(*[file] * count)
    size = sent.content(eight_bit=True, binary=True, utf8=False).size

    with scripted_peer([*hello(*OFFER), *ENVELOPE, *content(size), *GOODBYE]) as peer:
        assert send(settings(peer), sent).size == size

    assert peer.received.count(b"Content-Transfer-Encoding: binary\r\n\r\n" + BYTES + b"\r\n--=_") == count


def test_a_file_arrives_without_encoding_under_tls(file, certificates):
    sent = message(file)
    size = sent.content(eight_bit=True, binary=True, utf8=False).size
    tls = Tls(mode=TlsMode.IMPLICIT, ca_bundle=str(certificates.authority))

    with scripted_peer([start_tls(certificates.server), *hello(*OFFER), *ENVELOPE, *content(size), *GOODBYE]) as peer:
        send_blocking(settings(peer, tls), sent)

    assert BYTES in peer.received


@pytest.mark.parametrize("send", [send_blocking, send_asyncio])
def test_a_file_that_becomes_shorter_is_not_sent_completely(file, send):
    sent = message(file)
    size = sent.content(eight_bit=True, binary=True, utf8=False).size
    shorten = Step("shorten the file", lambda _: os.truncate(file, 300_000))
    script = [*hello(*OFFER), *ENVELOPE[:-1], shorten, say("250 r"), expect(f"BDAT {size} LAST"), wait_for_close()]

    with scripted_peer(script) as peer, pytest.raises(MessageError, match="has 300000 now"):
        send(settings(peer), sent)

    assert len(peer.received.partition(b" LAST\r\n")[2]) < size


def test_a_refusal_during_the_content_is_read(tmp_path):
    file = tmp_path / "large.bin"
    file.write_bytes(BYTES * 64)
    script = [
        *hello(*OFFER),
        *ENVELOPE,
        expect("BDAT"),
        expect_bytes(50_000),
        say("552 5.3.4 too big"),
        stop_reading(),
    ]

    with scripted_peer(script, to_the_end=False) as peer, pytest.raises(Refused, match=r"552 5\.3\.4 too big"):
        send_blocking(settings(peer), message(file))
