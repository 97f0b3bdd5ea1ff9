"""Python's ``smtplib`` and ``email``."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.clients import Client
from benchmarks.job import SENDER, TEXT
from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.job import Mail, Server


def message(mail: Mail) -> EmailMessage:
    made = EmailMessage()
    made["From"] = SENDER
    made["To"] = ", ".join(mail.recipients)
    made["Subject"] = mail.subject
    made["Date"] = formatdate(localtime=True)
    made["Message-ID"] = make_msgid(domain="bench.test")
    made.set_content(TEXT)
    if mail.attachment:
        file = Path(mail.attachment)
        made.add_attachment(file.read_bytes(), maintype="application", subtype="octet-stream", filename=file.name)
    return made


class Smtplib(Client):
    def open(self, server: Server) -> None:
        self.smtp = smtplib.SMTP(LOOPBACK, server.port)
        if server.starttls:
            self.smtp.starttls(context=ssl.create_default_context())

    def send(self, mails: Iterable[Mail]) -> None:
        for mail in mails:
            self.smtp.send_message(message(mail))

    def close(self) -> None:
        self.smtp.quit()


client = Smtplib
