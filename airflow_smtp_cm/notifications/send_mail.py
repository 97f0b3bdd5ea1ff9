"""SendMailNotifier: a message about a task, a run or a missed deadline, through an SMTP connection manager.

What sends is imported when it notifies: a DAG file that imports this module pays for the notifier's class only.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.notifier import BaseNotifier

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import jinja2
    from airflow.providers.common.compat.sdk import DAG, Context

    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.smtp.settings import Settings

__all__ = ["SendMailNotifier"]

# Seconds for opening the session, and again for sending: callbacks run in processes that others wait for.
_PATIENCE = 60.0


class SendMailNotifier(BaseNotifier):
    """Sends one message about what has happened.

    For callbacks of tasks and DAGs, deadline alerts (with ``AsyncCallback`` and ``SyncCallback``), operators that
    ask people (``ApprovalOperator`` and its like) and whatever else takes a notifier. One instance can serve any
    number of them. Without subject and text of your own, it says what happened to which task or run, when, why, and
    where to look; or what is asked, and where to answer.

    Airflow 3.3 refuses a ``SyncCallback`` the connections of its own database: there the connection must be in the
    workers' environment (``AIRFLOW_CONN_...``) or in a secrets backend of theirs.

    Args:
        smtp_conn_id: id of the Airflow connection, of type ``smtp_cm``.
        from_email: the sender; by default the connection's.
        to: recipients.
        cc: recipients of a copy.
        bcc: recipients whom nobody else sees.
        subject: the subject; by default what happened to which task or run.
        priority: High, Normal or Low, or SSIS's numbers 1, 3 and 5.
        message_source_type: DirectInput, FileConnection or Variable.
        message_source: the text, or where it comes from, see SendMailOperator; by default what is known, with links
            to log and run.
        html_content: the same as HTML; there is one by default if the text is the default.
        attachments: ``a|b`` or a list; see SendMailOperator.
        reply_to: where answers go, if not to the sender.
        headers: headers of your own.
        disable: send nothing; a template that yields True or False, too.
        all_or_nothing: send to nobody if the server refuses anybody.
    """

    template_fields: Sequence[str] = (
        "smtp_conn_id",
        "from_email",
        "to",
        "cc",
        "bcc",
        "subject",
        "priority",
        "message_source_type",
        "message_source",
        "html_content",
        "attachments",
        "reply_to",
        "headers",
        "disable",
    )

    def __init__(
        self,
        *,
        smtp_conn_id: str = "smtp_cm_default",
        from_email: str | None = None,
        to: str | Sequence[str] | None = None,
        cc: str | Sequence[str] | None = None,
        bcc: str | Sequence[str] | None = None,
        subject: str | None = None,
        priority: str | int = "Normal",
        message_source_type: str = "DirectInput",
        message_source: str | None = None,
        html_content: str | None = None,
        attachments: str | Sequence[Any] | None = None,
        reply_to: str | Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        disable: bool | str = False,
        all_or_nothing: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.smtp_conn_id = smtp_conn_id
        self.from_email = from_email
        self.to = to
        self.cc = cc
        self.bcc = bcc
        self.subject = subject
        self.priority = priority
        self.message_source_type = message_source_type
        self.message_source = message_source
        self.html_content = html_content
        self.attachments = attachments
        self.reply_to = reply_to
        self.headers = headers
        self.disable = disable
        self.all_or_nothing = all_or_nothing

    def __call__(self, *args: Any) -> None:
        """Notify; rendering changes an instance, so it is a copy that is rendered for this context."""
        BaseNotifier.__call__(copy(self), *args)

    def __await__(self) -> Generator[Any, Any, None]:
        """Do the same, for what awaits a notifier."""
        return BaseNotifier.__await__(copy(self))

    def get_template_env(self, dag: DAG | None = None) -> jinja2.Environment:
        """Return the DAG's environment for templates, or a plain one where the DAG at hand has none.

        Airflow hands callbacks of DAGs a serialized DAG in ``airflow dags test``.
        """
        return super().get_template_env(dag=dag if hasattr(dag, "get_template_env") else None)

    def notify(self, context: Context) -> None:
        """Send the message, on a connection of its own.

        Raises:
            InvalidMessage: everything that is wrong with the message and the connection; or ``disable`` is neither
                true nor false.
            SmtpError: it could not be sent.
        """
        from airflow_smtp_cm.smtp.client import SmtpClient  # noqa: PLC0415 - as the module says

        if self._is_disabled():
            return
        message, settings = self._prepare(context)
        with SmtpClient.open(settings) as client:
            client.send(message, all_or_nothing=self.all_or_nothing)

    async def async_notify(self, context: Context) -> None:
        """Do the same on asyncio, for the triggerer; what blocks, such as a KDC, is kept off the event loop."""
        from asgiref.sync import sync_to_async  # noqa: PLC0415 - as the module says

        from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient  # noqa: PLC0415

        if self._is_disabled():
            return
        # Airflow's own bridge: what looks up a connection in a thread must find its way back to this loop.
        message, settings = await sync_to_async(self._prepare)(context)
        async with await AsyncSmtpClient.open(settings) as client:
            await client.send(message, all_or_nothing=self.all_or_nothing)

    def _is_disabled(self) -> bool:
        from airflow_smtp_cm.mail.errors import InvalidMessage  # noqa: PLC0415 - as the module says
        from airflow_smtp_cm.task.composition import truth_of  # noqa: PLC0415

        try:
            return truth_of(self.disable)
        except InvalidMessage as error:
            raise InvalidMessage(f"disable: {error}") from error

    def _prepare(self, context: Context) -> tuple[MailMessage, Settings]:
        from dataclasses import replace  # noqa: PLC0415 - as the module says

        from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook  # noqa: PLC0415
        from airflow_smtp_cm.notifications.summary import as_html, as_text, facts, headline  # noqa: PLC0415
        from airflow_smtp_cm.task.composition import compose, text_of  # noqa: PLC0415

        fields = copy(self)
        if fields.subject is None:
            fields.subject = headline(context)
        if fields.message_source is None and fields.html_content is None:
            known = facts(context)
            fields.message_source, fields.html_content = as_text(known), as_html(known)
        hook = SmtpCmHook(text_of(fields.smtp_conn_id))
        try:
            # Each notice is a message of its own: no Message-ID of the task's.
            message = compose(fields, hook, {})
        except PermissionError as error:  # Airflow's, when it denies a connection
            raise PermissionError(
                f"{error} If this is a SyncCallback, use an AsyncCallback, or define the connection in the workers' "
                f"environment, as AIRFLOW_CONN_{hook.smtp_conn_id.upper()}, or in a secrets backend of theirs."
            ) from error
        manager = hook.connection_manager
        total = min(manager.total_timeout or _PATIENCE, _PATIENCE)
        return message, replace(manager, total_timeout=total).settings()
