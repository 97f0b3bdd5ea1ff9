"""aiosmtplib, with messages of Python's ``email``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiosmtplib

from benchmarks.clients import Client
from benchmarks.clients.standard_library import message
from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.job import Mail, Server


class Aiosmtplib(Client):
    def __init__(self) -> None:
        self.runner = asyncio.Runner()

    def open(self, server: Server) -> None:
        async def open_session() -> None:
            self.smtp = aiosmtplib.SMTP(hostname=LOOPBACK, port=server.port, start_tls=server.starttls)
            await self.smtp.connect()

        self.runner.run(open_session())

    def send(self, mails: Iterable[Mail]) -> None:
        async def send() -> None:
            for mail in mails:
                await self.smtp.send_message(message(mail))

        self.runner.run(send())

    def close(self) -> None:
        self.runner.run(self.smtp.quit())


client = Aiosmtplib
