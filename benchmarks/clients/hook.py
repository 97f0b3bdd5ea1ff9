"""The hook of Airflow's own provider: SmtpHook."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from airflow.providers.smtp.hooks.smtp import SmtpHook

from benchmarks.clients import Client
from benchmarks.job import SENDER, TEXT
from tests.servers.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.job import Mail, Server


def connection(server: Server) -> str:
    """Return the Airflow connection, as JSON."""
    extra = {"from_email": SENDER, "disable_ssl": True, "disable_tls": not server.starttls}
    return json.dumps({"conn_type": "smtp", "host": LOOPBACK, "port": server.port, "extra": extra})


class Hook(Client):
    def open(self, server: Server) -> None:
        os.environ["AIRFLOW_CONN_SMTP_DEFAULT"] = connection(server)
        self.hook = SmtpHook().get_conn()

    def send(self, mails: Iterable[Mail]) -> None:
        for mail in mails:
            self.hook.send_email_smtp(
                to=mail.recipients,
                subject=mail.subject,
                html_content=TEXT,
                files=[mail.attachment] if mail.attachment else None,
            )

    def close(self) -> None:
        self.hook.__exit__(None, None, None)  # type: ignore[no-untyped-call]


client = Hook
