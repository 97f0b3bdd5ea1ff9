"""SmtpCmHook: opens an SMTP session with the settings of an Airflow connection."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, conf

from airflow_smtp_cm.characters.control import visible
from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.connection_manager.fields import CONNECTION_TYPE
from airflow_smtp_cm.hooks.missing_connection import why_missing
from airflow_smtp_cm.safety import SafetySettings
from airflow_smtp_cm.smtp.errors import SmtpError

if TYPE_CHECKING:
    from typing import Self

    from airflow_smtp_cm.smtp.client import SmtpClient
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.trace import TraceSink

__all__ = ["SmtpCmHook"]

# Seconds: a user waits for the result of "Test", and the process serves other users, too.
_TEST_TIMEOUT = 10.0
_TEST_TOTAL_TIMEOUT = 20.0


class SmtpCmHook(BaseHook):
    """Sends mail through an SMTP connection manager.

    Args:
        smtp_conn_id: id of the Airflow connection, of type ``smtp_cm``.
    """

    conn_name_attr = "smtp_conn_id"
    default_conn_name = "smtp_cm_default"
    conn_type = CONNECTION_TYPE
    hook_name = "SMTP Connection Manager"

    def __init__(self, smtp_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.smtp_conn_id = smtp_conn_id

    @staticmethod
    def get_connection_form_widgets() -> dict[str, Any]:
        """Return the form's fields for Airflow below 3.2, which does not read the provider's metadata."""
        from airflow_smtp_cm.hooks.connection_form import connection_form_widgets  # noqa: PLC0415 - old Airflow only

        return connection_form_widgets()

    @staticmethod
    def get_ui_field_behaviour() -> dict[str, Any]:
        """Return how the form shows the standard fields, for Airflow below 3.2."""
        from airflow_smtp_cm.hooks.connection_form import ui_field_behaviour  # noqa: PLC0415 - old Airflow only

        return ui_field_behaviour()

    @classmethod
    def from_connection(cls, conn: Any) -> Self:
        """Return a hook for a Connection object, for callers that cannot look it up by its id.

        Raises:
            SettingsError: all problems with the connection.
        """
        hook = cls(conn.conn_id)
        hook.connection_manager = hook._manager(conn)
        return hook

    @cached_property
    def connection_manager(self) -> SmtpConnectionManager:
        """The connection's properties.

        Raises:
            AirflowNotFoundException: there is no such connection.
            SettingsError: all problems with it.
        """
        try:
            conn = self.get_connection(self.smtp_conn_id)
        except AirflowNotFoundException as error:
            raise AirflowNotFoundException(why_missing(self.smtp_conn_id)) from error
        return self._manager(conn)

    @cached_property
    def safety(self) -> SafetySettings:
        """The safety settings of this Airflow.

        Raises:
            SettingsError: its configuration is invalid.
        """
        return SafetySettings.from_config()

    def get_conn(self) -> SmtpClient:
        """Connect, start TLS and log in (SSIS AcquireConnection).

        Use the client in a ``with`` block, which ends with QUIT.

        Raises:
            SmtpError: the session could not be opened.
        """
        return self.connection_manager.acquire()

    def send(self, message: Outgoing, *, all_or_nothing: bool = False) -> SendResult:
        """Send one message on a separate connection.

        Args:
            message: the message.
            all_or_nothing: send to no recipient if the server refuses any of them.

        Raises:
            InvalidMessage: the safety settings do not permit it; no server was connected to.
            SmtpError: see ``SmtpClient.send``.
        """
        message = self.safety.permitted(message)
        with self.get_conn() as client:
            return client.send(message, all_or_nothing=all_or_nothing)

    def test_connection(self, *, trace: TraceSink | None = None) -> tuple[bool, str]:
        """Connect, log in, and send NOOP and QUIT, but no mail.

        Args:
            trace: called with each line of the dialogue.

        Returns:
            Whether it succeeded, and a description of the session or the error.
        """
        try:
            manager = self.connection_manager
            limited = replace(
                manager,
                timeout=min(manager.longest_wait or _TEST_TIMEOUT, _TEST_TIMEOUT),
                total_timeout=min(manager.total_timeout or _TEST_TOTAL_TIMEOUT, _TEST_TOTAL_TIMEOUT),
            )
            with limited.acquire(trace=trace) as client:
                client.noop()
                return True, _success(client)
        except (SmtpError, AirflowNotFoundException) as error:
            return False, str(error)
        except Exception as error:  # the user always gets a result
            self.log.exception("The test of the connection %s failed unexpectedly.", visible(self.smtp_conn_id))
            return False, f"The test failed unexpectedly: {type(error).__name__}: {error}"

    def _manager(self, conn: Any) -> SmtpConnectionManager:
        manager = SmtpConnectionManager.from_airflow(conn)
        return replace(
            manager,
            ccache=_airflow_ticket_cache(),
            message_policy=self.safety.permitted,
            from_email=manager.from_email or self.safety.default_from,
        )


def _airflow_ticket_cache() -> str | None:
    """Return the ticket cache that ``airflow kerberos`` renews, if the environment does not name one.

    Airflow's own commands put it into the environment if ``[core] security`` is ``kerberos``; a script that runs a
    DAG does not. A task that runs as another user (``run_as_user``) must not get Airflow's tickets.
    """
    if (
        "KRB5CCNAME" in os.environ
        or os.environ.get("_AIRFLOW__REEXECUTED_PROCESS") == "1"
        or conf.get("core", "security", fallback="") != "kerberos"
    ):
        return None
    cache: str | None = conf.get("kerberos", "ccache", fallback=None)
    return cache


def _success(client: SmtpClient) -> str:
    tls = client.tls
    limit = client.extensions.size_limit
    return "\n".join(
        [
            f"Connected to {client.settings.host}:{client.settings.port}"
            + (f" with {tls.version}." if tls else " without TLS."),
            f"Logged in by {client.login}." if client.login else "Not logged in: mail is sent anonymously.",
            f"Maximum message size: {limit:,} bytes." if limit else "The server announces no maximum message size.",
        ]
    )
