"""This project's asyncio client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from benchmarks.clients import Client
from benchmarks.clients.airflow_smtp_cm import connection_manager, message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.job import Mail, Server


class AirflowSmtpCmAsync(Client):
    def __init__(self) -> None:
        self.runner = asyncio.Runner()

    def open(self, server: Server) -> None:
        self.client = self.runner.run(AsyncSmtpClient.open(connection_manager(server).settings()))

    def send(self, mails: Iterable[Mail]) -> None:
        async def send() -> None:
            for mail in mails:
                await self.client.send(message(mail))

        self.runner.run(send())

    def close(self) -> None:
        self.runner.run(self.client.close())


client = AirflowSmtpCmAsync
