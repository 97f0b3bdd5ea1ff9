"""A client's session as one object: open, send, probe, leave. Every method is a generator of effects."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.errors import Phase, SmtpError
from airflow_smtp_cm.smtp.session_setup import open_session
from airflow_smtp_cm.smtp.transaction import Transaction
from airflow_smtp_cm.smtp.wire import Command, Wire

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.bulk import Bulk
    from airflow_smtp_cm.smtp.commands import DeliveryNotification
    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.sasl import Attempt
    from airflow_smtp_cm.smtp.settings import Settings
    from airflow_smtp_cm.smtp.trace import Trace


class Session:
    """One SMTP session.

    Attributes:
        wire: the connection's state.
        login: how the client logged in; None if anonymous.
    """

    def __init__(self, settings: Settings, trace: Trace) -> None:
        self.wire = Wire(settings, trace)
        self.login: Attempt | None = None

    def open(self, ehlo_name: str) -> Steps[None]:
        """Greet, start TLS, log in: all that the settings ask for, or an error."""
        yield from open_session(self.wire, ehlo_name)
        windows = self.wire.settings.authentication
        if windows is not None:
            # Takes as long to import as all the rest of a task that sends anonymously.
            from airflow_smtp_cm.smtp.authentication import authenticate  # noqa: PLC0415

            self.login = yield from authenticate(self.wire, windows)

    def send(
        self, message: Outgoing, *, all_or_nothing: bool, notification: DeliveryNotification | None
    ) -> Steps[SendResult]:
        """Send one message."""
        return Transaction(self.wire, message, all_or_nothing=all_or_nothing, notification=notification).run()

    def send_all(self, bulk: Bulk) -> Steps[None]:
        """Send as many of the messages as this session takes, and end it once it may take no more."""
        yield from bulk.run(self.wire)
        if bulk.session_is_full and not self.wire.closed:
            with suppress(SmtpError):
                yield from self.quit()

    def noop(self) -> Steps[None]:
        """Ask the server whether it is still there."""
        yield from self.wire.expect(Command(Phase.NOOP, "NOOP"), f"{self.wire.peer} does not answer to NOOP")

    def check(self) -> Steps[None]:
        """Make sure, without a word, that the server has not ended the session."""
        return self.wire.nothing_unasked(Phase.NOOP)

    def quit(self) -> Steps[None]:
        """Say goodbye; what the server answers changes nothing."""
        self.wire.closed = True
        yield from self.wire.command(Command(Phase.QUIT, "QUIT"))
