"""The hook of Airflow's own provider: SmtpHook."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airflow.providers.smtp.hooks.smtp import SmtpHook

from benchmarks.clients import Client
from benchmarks.hook_connection import hook_connection
from benchmarks.job import TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.job import Mail, Server


class Hook(Client):
    def open(self, server: Server) -> None:
        os.environ["AIRFLOW_CONN_SMTP_DEFAULT"] = hook_connection(server)
        self.hook = SmtpHook().get_conn()

    def send(self, mails: Iterable[Mail]) -> None:
        for mail in mails:
            if mail.pictures:
                self.hook.send_email_smtp(
                    to=mail.recipients,
                    subject=mail.subject,
                    html_content=mail.html,
                    files=mail.pictures,
                    mime_subtype="related",
                )
                continue
            self.hook.send_email_smtp(
                to=mail.recipients,
                subject=mail.subject,
                html_content=TEXT,
                files=[mail.attachment] if mail.attachment else None,
            )

    def close(self) -> None:
        self.hook.__exit__(None, None, None)  # type: ignore[no-untyped-call]


client = Hook
