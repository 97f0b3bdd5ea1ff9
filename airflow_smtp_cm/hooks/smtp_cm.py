"""SmtpCmHook: opens an SMTP session with the settings of an Airflow connection."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, conf

from airflow_smtp_cm.characters.control import visible
from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.connection_manager.fields import CONNECTION_TYPE
from airflow_smtp_cm.hooks.missing_connection import why_missing
from airflow_smtp_cm.safety import SafetySettings
from airflow_smtp_cm.smtp.errors import SmtpError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
    from airflow_smtp_cm.smtp.client import ClientState, SmtpClient
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.trace import TraceSink

__all__ = ["SmtpCmHook"]

T = TypeVar("T")

# Seconds: a user waits for the result of "Test", and the process serves other users, too.
_TEST_TIMEOUT = 10.0
_TEST_TOTAL_TIMEOUT = 20.0


class SmtpCmHook(BaseHook):
    """Sends mail through an SMTP connection manager.

    ``aget_conn``, ``asend`` and ``atest_connection`` are for ``async def`` tasks (Airflow 3.2 and newer) and for
    triggers. What may block, such as the lookup of the connection, a KDC or a file, runs in threads.

    Args:
        smtp_conn_id: id of the Airflow connection, of type ``smtp_cm``.
    """

    conn_name_attr = "smtp_conn_id"
    default_conn_name = "smtp_cm_default"
    conn_type = CONNECTION_TYPE
    hook_name = "SMTP Connection Manager"

    def __init__(self, smtp_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        try:
            super().__init__(**kwargs)
        except TypeError as error:
            from airflow_smtp_cm.hooks.old_arguments import with_advice  # noqa: PLC0415 - only for an error

            raise with_advice(error, kwargs) from None
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
            message: the message. Without ``from_email``, it gets the connection's sender, or the site's
                (``default_from``).
            all_or_nothing: send to no recipient if the server refuses any of them.

        Raises:
            InvalidMessage: the safety settings do not permit it, or there is no sender; no server was connected to.
            SmtpError: see ``SmtpClient.send``.
        """
        message = self.connection_manager.prepared(message)
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
            with self._limited().acquire(trace=trace) as client:
                client.noop()
                return True, _success(client)
        except Exception as error:  # noqa: BLE001 - the user always gets a result
            return False, self._failure(error)

    async def aget_conn(self) -> AsyncSmtpClient:
        """Do the same as ``get_conn`` with asyncio; use the client in an ``async with`` block.

        Each call opens a connection; so several coroutines can send at the same time, each with its own client.

        Raises:
            SmtpError: the session could not be opened.
        """
        from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient  # noqa: PLC0415 - imported when it runs

        settings = await _in_thread(lambda: self.connection_manager.settings())  # noqa: PLW0108 - the property blocks
        return await AsyncSmtpClient.open(settings)

    async def asend(self, message: Outgoing, *, all_or_nothing: bool = False) -> SendResult:
        """Send one message on a separate connection with asyncio; see ``send``."""
        message = (await _in_thread(lambda: self.connection_manager)).prepared(message)
        async with await self.aget_conn() as client:
            return await client.send(message, all_or_nothing=all_or_nothing)

    async def atest_connection(self, *, trace: TraceSink | None = None) -> tuple[bool, str]:
        """Do the same as ``test_connection`` with asyncio."""
        from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient  # noqa: PLC0415 - imported when it runs

        try:
            settings = await _in_thread(lambda: self._limited().settings())
            async with await AsyncSmtpClient.open(settings, trace=trace) as client:
                await client.noop()
                return True, _success(client)
        except Exception as error:  # noqa: BLE001 - the user always gets a result
            return False, self._failure(error)

    def _limited(self) -> SmtpConnectionManager:
        """Return the connection manager with the timeouts of a test."""
        manager = self.connection_manager
        return replace(
            manager,
            timeout=min(manager.longest_wait or _TEST_TIMEOUT, _TEST_TIMEOUT),
            total_timeout=min(manager.total_timeout or _TEST_TOTAL_TIMEOUT, _TEST_TOTAL_TIMEOUT),
        )

    def _failure(self, error: Exception) -> str:
        """Return the description of a failed test; log an error that is not expected."""
        if isinstance(error, SmtpError | AirflowNotFoundException):
            return str(error)
        self.log.error(
            "The test of the connection %s failed unexpectedly.", visible(self.smtp_conn_id), exc_info=error
        )
        return f"The test failed unexpectedly: {type(error).__name__}: {error}"

    def _manager(self, conn: Any) -> SmtpConnectionManager:
        manager = SmtpConnectionManager.from_airflow(conn)
        return replace(
            manager,
            ccache=_airflow_ticket_cache(),
            message_policy=self.safety.permitted,
            from_email=manager.from_email or self.safety.default_from,
        )


async def _in_thread(call: Callable[[], T]) -> T:
    """Return what a call returns that may block."""
    from asgiref.sync import sync_to_async  # noqa: PLC0415 - imported when it runs

    # Airflow's own bridge: in a trigger, the lookup of a connection in a thread needs the event loop.
    return await sync_to_async(call)()


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


def _success(client: ClientState) -> str:
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
