"""This project's blocking client."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.mail import MailMessage
from airflow_smtp_cm.mail.plain_text import text_of_html
from airflow_smtp_cm.smtp.settings import MechanismChoice
from benchmarks.clients import Client
from benchmarks.job import SENDER, TEXT
from tests.servers.people import ALICE, MAIL_HOST
from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.job import Mail, Server


@cache  # as a hook keeps one for all its clients
def connection_manager(server: Server) -> SmtpConnectionManager:
    by_password = server.login == "ntlm"
    return SmtpConnectionManager(
        smtp_server=LOOPBACK,
        port=server.port,
        server_name=MAIL_HOST,
        chunking=server.chunking,
        enable_ssl=server.starttls,
        use_windows_authentication=server.login is not None,
        mechanism=MechanismChoice(server.login or "auto"),
        username=ALICE.down_level if by_password else None,
        password=ALICE.password if by_password else None,
    )


def message(mail: Mail) -> MailMessage:
    if mail.pictures:  # with the text that the operator makes of HTML
        return MailMessage(
            from_email=SENDER,
            to=mail.recipients,
            subject=mail.subject,
            text=text_of_html(mail.html),
            html=mail.html,
            attachments=mail.pictures,
        )
    return MailMessage(
        from_email=SENDER, to=mail.recipients, subject=mail.subject, text=TEXT, attachments=mail.attachment
    )


class AirflowSmtpCm(Client):
    def open(self, server: Server) -> None:
        self.client = connection_manager(server).acquire()

    def send(self, mails: Iterable[Mail]) -> None:
        for mail in mails:
            self.client.send(message(mail))

    def send_bulk(self, mails: Iterable[Mail], connections: int) -> None:
        for outcome in self.client.send_all(map(message, mails), connections=connections):
            if isinstance(outcome, Exception):
                raise outcome

    def close(self) -> None:
        self.client.close()


client = AirflowSmtpCm
