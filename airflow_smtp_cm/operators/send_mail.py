"""SendMailOperator: SSIS's Send Mail task in a DAG.

What sends is imported when the task runs: a DAG file that imports this module pays for the operator's class only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.smtp.result import SendResult


class SendMailOperator(BaseOperator):
    """Sends one message through an SMTP connection manager (SSIS Send Mail task).

    Line fields take what SSIS's take, ``a@x; b@y``, and display names, commas and lists besides. Whatever is wrong
    with the message or the connection fails the task at once; what may pass by itself is left to Airflow's retries.
    If the server refuses some of the recipients, the message goes to the others, and then the task fails.

    Args:
        smtp_conn_id: id of the Airflow connection, of type ``smtp_cm`` (SmtpConnection).
        from_email: the sender; by default the connection's (FromLine).
        to: recipients (ToLine).
        cc: recipients of a copy (CCLine).
        bcc: recipients whom nobody else sees (BCCLine).
        subject: the subject; an empty one is a warning (Subject).
        priority: High, Normal or Low, or SSIS's numbers 1, 3 and 5 (Priority).
        message_source_type: DirectInput, FileConnection or Variable (MessageSourceType).
        message_source: the text; or a path, a URL of object storage or the id of a file connection; or the name of an
            Airflow Variable (MessageSource).
        html_content: the same as HTML, which SSIS lacks; sent beside the text if there is one.
        attachments: ``a|b`` or a list; each a path, a pattern such as ``out/*.csv``, or a URL of object storage
            (FileAttachments).
        reply_to: where answers go, if not to the sender.
        headers: headers of your own.
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
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"html_content": "html", "headers": "json"}
    ui_color = "#e6f2ff"

    def __init__(
        self,
        *,
        smtp_conn_id: str = "smtp_cm_default",
        from_email: str | None = None,
        to: str | Sequence[str] | None = None,
        cc: str | Sequence[str] | None = None,
        bcc: str | Sequence[str] | None = None,
        subject: str = "",
        priority: str | int = "Normal",
        message_source_type: str = "DirectInput",
        message_source: str = "",
        html_content: str | None = None,
        attachments: str | Sequence[Any] | None = None,
        reply_to: str | Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
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
        self.all_or_nothing = all_or_nothing

    def execute(self, context: Context) -> dict[str, Any]:
        """Send the message and return what became of it.

        Returns:
            Message id, accepted and refused addresses, the server's final reply, size in octets, seconds; for XCom.

        Raises:
            AirflowFailException: it cannot be sent, now or later, or part of its recipients have it already.
            SmtpError: it could not be sent now; trying again may help.
        """
        from airflow.providers.common.compat.sdk import AirflowFailException  # noqa: PLC0415 - as the module says

        from airflow_smtp_cm.mail.errors import InvalidMessage  # noqa: PLC0415
        from airflow_smtp_cm.task_fields import compose  # noqa: PLC0415

        hook = self.hook()
        try:
            message = compose(self, hook, context)
        except InvalidMessage as error:
            raise AirflowFailException(str(error)) from error
        return self.send(hook, message, context)

    def send(self, hook: SmtpCmHook, message: MailMessage, context: Context) -> dict[str, Any]:
        """Send a message that is ready, as ``execute`` does with the one that it makes of the fields."""
        from airflow.providers.common.compat.sdk import (  # noqa: PLC0415 - as the module says
            AirflowFailException,
            AirflowNotFoundException,
        )

        from airflow_smtp_cm.smtp.errors import RecipientsRefused, SmtpError  # noqa: PLC0415

        self.log.info("SendMailTaskBegin: The task began to send an e-mail message.")
        try:
            result = hook.send(message, all_or_nothing=self.all_or_nothing)
        except AirflowNotFoundException as error:
            raise AirflowFailException(str(error)) from error
        except SmtpError as error:
            if isinstance(error, RecipientsRefused) and error.result is not None:
                self._report(error.result)
                if self.do_xcom_push and "ti" in context:
                    context["ti"].xcom_push(key="return_value", value=error.result.as_json())
            if error.transient:
                raise
            raise AirflowFailException(str(error)) from error
        self._report(result)
        self.log.info("SendMailTaskEnd: The task finished sending an e-mail message.")
        return result.as_json()

    def hook(self) -> SmtpCmHook:
        """Return a hook for the connection."""
        from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook  # noqa: PLC0415 - as the module says
        from airflow_smtp_cm.task_fields import text_of  # noqa: PLC0415

        return SmtpCmHook(text_of(self.smtp_conn_id))

    def _report(self, result: SendResult) -> None:
        refused = "; ".join(map(str, result.refused)) or "nobody"
        self.log.info(
            "SendMailTaskInfo: %s, %d octets, accepted for %s, refused for %s, in %.3f s. The server said: %s",
            result.message_id,
            result.size,
            ", ".join(result.accepted),
            refused,
            result.seconds,
            result.reply,
        )
