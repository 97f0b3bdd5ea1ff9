"""SendMailNotifier: a message about a task, a run or a missed deadline, through an SMTP connection manager.

The code that sends is imported when it notifies, so that a DAG file that imports this module is parsed quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.notifier import BaseNotifier

from airflow_smtp_cm.task.template_files import folders_of, html_template, missing_file_as, text_template

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import jinja2
    from airflow.providers.common.compat.sdk import DAG, Context

    from airflow_smtp_cm.mail.house_style import HouseStyle
    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.smtp.settings import Settings

__all__ = ["SendMailNotifier"]

# Seconds for opening the session, and again for sending: callbacks run in processes that have other work to do.
_TOTAL_TIMEOUT = 60.0


class SendMailNotifier(BaseNotifier):
    """Sends one message about a task, a run, a missed deadline or a question.

    It is for callbacks of tasks and DAGs, deadline alerts (with ``AsyncCallback`` and ``SyncCallback``), operators
    that ask people (such as ``ApprovalOperator``) and every other argument that accepts a notifier. One instance can
    be used for many of them. The default subject and text describe what happened to which task or run, when and why,
    with links; or the question, and where to answer it.

    Airflow 3.3 denies a ``SyncCallback`` the connections in its database: there the connection must be in the
    workers' environment (``AIRFLOW_CONN_...``) or in their secrets backend.

    Args:
        smtp_conn_id: id of the Airflow connection, of type ``smtp_cm``.
        from_email: the sender; by default the connection's.
        to: recipients.
        cc: recipients of a copy.
        bcc: recipients who are hidden from all others.
        subject: the subject; by default the task or run and its state.
        priority: High, Normal or Low, or SSIS's numbers 1, 3 and 5.
        message_source_type: DirectInput, FileConnection or Variable.
        message_source: the text or its source, see SendMailOperator; by default a summary with links to log and run.
        html_content: an HTML body, see SendMailOperator; by default, with the default text, the same summary.
        text_part: without a text, send one that is made from the HTML.
        embed_images: attach the images that the HTML names by their paths, and show them in their places.
        attachments: ``a|b`` or a list; see SendMailOperator.
        reply_to: addresses for replies, if they are not for the sender.
        headers: additional headers.
        house_style: whether the site's ``subject_prefix`` and ``html_template`` ([smtp_cm]) are applied, if it has
            them. A template that cannot be used is logged, and the message is sent without it.
        disable: send nothing; may be a template that renders to True or False.
        all_or_nothing: send to no recipient if the server refuses any of them.
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
        text_part: bool = True,
        embed_images: bool = False,
        attachments: str | Sequence[Any] | None = None,
        reply_to: str | Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        house_style: bool = True,
        disable: bool | str = False,
        all_or_nothing: bool = False,
        **kwargs: Any,
    ) -> None:
        try:
            super().__init__(**kwargs)
        except TypeError as error:
            from airflow_smtp_cm.hooks.old_arguments import with_advice  # noqa: PLC0415 - only for an error

            raise with_advice(error, kwargs) from None
        self.smtp_conn_id = smtp_conn_id
        self.from_email = from_email
        self.to = to
        self.cc = cc
        self.bcc = bcc
        self.subject = subject
        self.priority = priority
        self.message_source_type = message_source_type
        self.message_source = text_template(message_source, message_source_type)
        self.html_content = html_template(html_content)
        self.text_part = text_part
        self.embed_images = embed_images
        self.attachments = attachments
        self.reply_to = reply_to
        self.headers = headers
        self.house_style = True if house_style is None else house_style
        self.disable = False if disable is None else disable
        self.all_or_nothing = all_or_nothing

    def __call__(self, *args: Any) -> None:
        """Notify with a copy, because rendering changes the instance."""
        BaseNotifier.__call__(copy(self), *args)

    def __await__(self) -> Generator[Any, Any, None]:
        """Notify with a copy, as ``__call__`` does, for callers that await a notifier."""
        return BaseNotifier.__await__(copy(self))

    def get_template_env(self, dag: DAG | None = None) -> jinja2.Environment:
        """Return the DAG's environment for templates; or a default one, with the DAG's folder if it has one.

        In ``airflow dags test``, callbacks of DAGs get a serialized DAG, which has no environment. For a missed
        deadline, there is no DAG.
        """
        if dag is not None and hasattr(dag, "get_template_env"):
            return super().get_template_env(dag=dag)
        from jinja2 import FileSystemLoader  # noqa: PLC0415 - imported when it renders

        environment = super().get_template_env()
        environment.loader = FileSystemLoader(folders_of(dag))
        return environment

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render the fields; ``run_id`` is defined even where Airflow omits it, for a missed deadline."""
        from airflow_smtp_cm.notifications.summary import run_id_of  # noqa: PLC0415 - imported when it runs

        if "run_id" not in context and (run_id := run_id_of(context)):
            context = {**context, "run_id": run_id}
        super().render_template_fields(context, jinja_env)

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render a template.

        Raises:
            InvalidMessage: it needs a file that is missing.
        """
        from airflow_smtp_cm.mail.errors import InvalidMessage  # noqa: PLC0415 - imported when it renders

        jinja_env = jinja_env or self.get_template_env()
        with missing_file_as(InvalidMessage, jinja_env):
            return super().render_template(content, context, jinja_env, seen_oids)

    def notify(self, context: Context) -> None:
        """Send the message, on a separate connection.

        Raises:
            InvalidMessage: all problems with the message and the connection; or ``disable`` is neither true nor
                false.
            SmtpError: it could not be sent.
        """
        from airflow_smtp_cm.smtp.client import SmtpClient  # noqa: PLC0415 - imported when it runs

        if self._is_disabled():
            return
        message, settings = self._prepare(context)
        with SmtpClient.open(settings) as client:
            client.send(message, all_or_nothing=self.all_or_nothing)

    async def async_notify(self, context: Context) -> None:
        """Send the message with asyncio, for the triggerer; what blocks, such as Kerberos, runs in threads."""
        from asgiref.sync import sync_to_async  # noqa: PLC0415 - imported when it runs

        from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient  # noqa: PLC0415

        if self._is_disabled():
            return
        # Airflow's own bridge: the lookup of a connection in a thread needs this event loop.
        message, settings = await sync_to_async(self._prepare)(context)
        async with await AsyncSmtpClient.open(settings) as client:
            await client.send(message, all_or_nothing=self.all_or_nothing)

    def _is_disabled(self) -> bool:
        from airflow_smtp_cm.mail.errors import InvalidMessage  # noqa: PLC0415 - imported when it runs
        from airflow_smtp_cm.task.composition import truth_of  # noqa: PLC0415

        try:
            return truth_of(self.disable)
        except InvalidMessage as error:
            raise InvalidMessage(f"disable: {error}") from error

    def _prepare(self, context: Context) -> tuple[MailMessage, Settings]:
        from dataclasses import replace  # noqa: PLC0415 - imported when it runs

        from airflow_smtp_cm.mail.house_style import HouseStyle  # noqa: PLC0415
        from airflow_smtp_cm.task.alert_text import fit_text  # noqa: PLC0415
        from airflow_smtp_cm.task.composition import compose, hook_for, text_of  # noqa: PLC0415
        from airflow_smtp_cm.task.message_source import read_message  # noqa: PLC0415

        hook = hook_for(self.smtp_conn_id)
        try:
            # Each notification is a new message, so it does not get the task's Message-ID.
            message = compose(
                self._fields(context, hook.safety.house_style if self.house_style else HouseStyle()),
                hook,
                {},
                read=lambda kind, source: fit_text("message_source", read_message(kind, source)),
                read_html=text_of,  # also if an exception is the name of a file, and nothing else
            )
        except PermissionError as error:  # Airflow's, when it denies a connection
            raise PermissionError(
                f"{error} If this is a SyncCallback, use an AsyncCallback, or define the connection in the workers' "
                f"environment, as AIRFLOW_CONN_{hook.smtp_conn_id.upper()}, or in their secrets backend."
            ) from error
        manager = hook.connection_manager
        total = min(manager.total_timeout or _TOTAL_TIMEOUT, _TOTAL_TIMEOUT)
        return message, replace(manager, total_timeout=total).settings()

    def _fields(self, context: Context, style: HouseStyle) -> SendMailNotifier:
        """Return a copy in the house style, with the default subject and text where none is given.

        Its texts are made fit for mail; that of the body when it is read, because the field may be the name of its
        source.
        """
        from airflow_smtp_cm.notifications.summary import as_html, as_text, facts, headline  # noqa: PLC0415
        from airflow_smtp_cm.task.alert_text import fit_headers, fit_line, fit_text, styled, text_of  # noqa: PLC0415
        from airflow_smtp_cm.task.composition import rendered  # noqa: PLC0415

        fields = copy(self)
        if fields.subject is None:
            fields.subject = headline(context)
        if fields.message_source is None and fields.html_content is None:
            found = facts(context)
            fields.message_source, fields.html_content = as_text(found), as_html(found)
        fields.subject = fit_line("subject", style.subject(text_of(fields.subject)))
        fields.message_source = text_of(fields.message_source)
        fields.html_content = styled(style, fit_text("html_content", rendered(fields.html_content)), fields.subject)
        fields.house_style = False  # it is applied
        if isinstance(fields.headers, Mapping):
            fields.headers = fit_headers(fields.headers)
        return fields
