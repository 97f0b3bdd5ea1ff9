"""One SMTP session: open, send, check, quit. Every method is a generator of effects."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import Phase, SmtpError
from airflow_smtp_cm.smtp.session_setup import open_session
from airflow_smtp_cm.smtp.submission import submit
from airflow_smtp_cm.smtp.transaction import Transaction
from airflow_smtp_cm.smtp.wire import Command, Wire

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.bulk import Bulk
    from airflow_smtp_cm.smtp.delivery_notification import DeliveryNotification
    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.sasl import Attempt
    from airflow_smtp_cm.smtp.settings import Settings
    from airflow_smtp_cm.smtp.trace import Trace


class Session:
    """One SMTP session.

    Attributes:
        wire: the state of the connection.
        login: how the client logged in; None if anonymous.
    """

    def __init__(self, settings: Settings, trace: Trace) -> None:
        self.wire = Wire(settings, trace)
        self.login: Attempt | None = None

    def open(self, ehlo_name: str) -> Steps[None]:
        """Read the greeting, start TLS and log in, as the settings require."""
        yield from open_session(self.wire, ehlo_name)
        windows = self.wire.settings.authentication
        if windows is not None:
            # Its import takes as long as all other imports of a task that sends anonymously.
            from airflow_smtp_cm.smtp.authentication import authenticate  # noqa: PLC0415

            self.login = yield from authenticate(self.wire, windows)

    def send(
        self, message: Outgoing, *, all_or_nothing: bool, notification: DeliveryNotification | None
    ) -> Steps[SendResult]:
        """Send one message; see ``submission.submit``."""
        transaction = Transaction(self.wire, message, all_or_nothing=all_or_nothing, notification=notification)
        transaction.prepare()
        return (yield from submit(transaction))

    def send_all(self, bulk: Bulk) -> Steps[None]:
        """Send messages until the session ends or is full; a full session is ended with QUIT."""
        yield from bulk.run(self.wire)
        if bulk.session_is_full and not self.wire.closed:
            with suppress(SmtpError):
                yield from self.quit()

    def noop(self) -> Steps[None]:
        """Send NOOP to check that the session is still open."""
        yield from self.wire.expect(Command(Phase.NOOP, "NOOP"), f"{self.wire.peer} refused NOOP")

    def check(self) -> Steps[None]:
        """Check, without sending a command, that the server has not ended the session."""
        return self.wire.check_for_unsolicited_data(Phase.NOOP)

    def quit(self) -> Steps[None]:
        """Send QUIT; the reply is ignored."""
        self.wire.closed = True
        yield from self.wire.command(Command(Phase.QUIT, "QUIT"))
