"""SendMailOperator: SSIS's Send Mail task in a DAG.

What sends is imported when the task runs: a DAG file that imports this module pays for the operator's class only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.task.delivery.result import MergeResult
    from airflow_smtp_cm.task.state_store import OnUncertain

__all__ = ["SendMailOperator"]

_ON_UNCERTAIN: tuple[OnUncertain, ...] = ("fail", "resend", "assume_sent")


class SendMailOperator(BaseOperator):
    """Sends one message, or many, through an SMTP connection manager (SSIS Send Mail task).

    Line fields take what SSIS's take, ``a@x; b@y``, and display names, commas and lists besides. Whatever is wrong
    with the message or the connection fails the task at once; what may pass by itself is left to Airflow's retries.
    If the server refuses some of the recipients, the message goes to the others, and then the task fails.

    From Airflow 3.3 on, a retry knows what the tries before it did (``durable``), and the task has a
    ``MailRetryPolicy`` unless it is given a ``retry_policy`` of its own.

    Mapped tasks show recipients and subject instead of their index, unless ``map_index_template`` says otherwise.

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
        messages: many messages in one task: a list of mappings, or what a task returns that makes one. Each has the
            fields above that differ from message to message: ``to``, ``subject``, ``attachments``, ...
        messages_per_minute: send no more of them than so many, evenly spaced.
        max_messages_per_connection: open a new connection after so many of them.
        disable: send nothing, and succeed without a result; a template that yields True or False, too (Disable).
        all_or_nothing: send to nobody if the server refuses anybody.
        durable: keep a record of what was sent in Airflow's task state store, so that an automatic retry sends to
            nobody twice; to clear the task always means to send again. It has no effect below Airflow 3.3.
        on_uncertain: what to do if the whole message was transmitted, or may have been, and there was no final reply:
            ``fail``, without a retry, so that a person can find out; ``resend`` it in the next try, with the same
            Message-ID; or ``assume_sent``.

    Raises:
        ValueError: ``on_uncertain`` is none of these, or a limit is not positive.
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
        "messages",
        "disable",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "html_content": "html",
        "headers": "json",
        "messages": "json",
    }
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
        messages: Sequence[Mapping[str, Any]] | XComArg | None = None,
        messages_per_minute: float | None = None,
        max_messages_per_connection: int | None = None,
        disable: bool | str = False,
        all_or_nothing: bool = False,
        durable: bool = True,
        on_uncertain: OnUncertain = "fail",
        **kwargs: Any,
    ) -> None:
        if on_uncertain not in _ON_UNCERTAIN:
            raise ValueError(f"on_uncertain must be one of {', '.join(_ON_UNCERTAIN)}, not {on_uncertain!r}.")
        for name, most in (
            ("messages_per_minute", messages_per_minute),
            ("max_messages_per_connection", max_messages_per_connection),
        ):
            if most is not None and not most > 0:
                raise ValueError(f"{name} must be a positive number, not {most!r}.")
        if kwargs.get("retry_policy") is None:
            kwargs |= _default_retry_policy()
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
        self.messages = messages
        # What another task returns may turn out to be nothing, which must not become a message of the other fields.
        self._has_messages = messages is not None
        self.messages_per_minute = messages_per_minute
        self.max_messages_per_connection = max_messages_per_connection
        self.disable = disable
        self.all_or_nothing = all_or_nothing
        self.durable = durable
        self.on_uncertain = on_uncertain

    def pre_execute(self, context: Context) -> None:
        """Have a mapped task shown by what it sends."""
        super().pre_execute(context)
        # Not a default of the argument's: mapped functions, and all mapped tasks before Airflow 3.3, do not get that.
        if self.map_index_template is None and context["ti"].map_index not in {None, -1}:
            context["map_index_template"] = "To {{ task.map_index_label }}"

    @property
    def map_index_label(self) -> str:
        """To whom, and about what: short, on one line, with secrets masked."""
        from airflow_smtp_cm.task.map_index import label_of  # noqa: PLC0415 - as the module says

        return label_of(self)

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Send the message and return what became of it.

        Returns:
            Message id, accepted and refused addresses, the server's final reply, size in octets, seconds; for XCom.
            For many messages, how many were sent, and which were not. None if the task is disabled.

        Raises:
            AirflowFailException: it must not be tried again, or cannot be sent and Airflow has no retry policies.
            InvalidMessage: everything that is wrong with it.
            AirflowNotFoundException: there is no such connection.
            SmtpError: it could not be sent.
        """
        from airflow_smtp_cm.task.composition import compose  # noqa: PLC0415 - as the module says

        if self.is_disabled():
            return None
        if self._has_messages or self.messages is not None:
            return self._carry_out(context, lambda: self._send_messages(context))
        return self.deliver(context, lambda hook: compose(self, hook, context))

    def is_disabled(self) -> bool:
        """Return whether nothing is to be sent, and say so in the log.

        Raises:
            AirflowFailException: ``disable`` is neither true nor false.
        """
        from airflow.providers.common.compat.sdk import AirflowFailException  # noqa: PLC0415 - as the module says

        from airflow_smtp_cm.mail.errors import InvalidMessage  # noqa: PLC0415
        from airflow_smtp_cm.task.composition import truth_of  # noqa: PLC0415

        try:
            disabled = truth_of(self.disable)
        except InvalidMessage as error:
            raise AirflowFailException(f"disable: {error} Nothing was sent.") from error
        if disabled:
            self.log.info("SendMailTaskInfo: The task is disabled. Nothing is sent.")
        return disabled

    def deliver(self, context: Context, compose: Callable[[SmtpCmHook], MailMessage]) -> dict[str, Any]:
        """Send the message that ``compose`` returns, unless earlier tries have sent it."""
        from airflow_smtp_cm.task.delivery.one_message import Delivery  # noqa: PLC0415 - as the module says

        delivery = Delivery(
            context, durable=self.durable, on_uncertain=self.on_uncertain, all_or_nothing=self.all_or_nothing
        )

        def send() -> SendResult:
            if (result := delivery.earlier_result()) is not None:
                return result
            hook = self.hook()
            return delivery.send(hook, compose(hook))

        return self._carry_out(context, send)

    def _send_messages(self, context: Context) -> MergeResult:
        from airflow_smtp_cm.task.delivery.mail_merge import Merge  # noqa: PLC0415 - as the module says

        merge = Merge(
            self,
            self.messages,
            context,
            self.hook(),
            durable=self.durable,
            on_uncertain=self.on_uncertain,
            all_or_nothing=self.all_or_nothing,
        )
        return merge.send(
            messages_per_minute=self.messages_per_minute,
            max_messages_per_connection=self.max_messages_per_connection,
        )

    def _carry_out(self, context: Context, send: Callable[[], SendResult | MergeResult]) -> dict[str, Any]:
        """Send, report, and leave to Airflow's retries what may pass."""
        from airflow.providers.common.compat.sdk import (  # noqa: PLC0415 - as the module says
            AirflowFailException,
            AirflowNotFoundException,
        )

        from airflow_smtp_cm.mail.errors import InvalidMessage  # noqa: PLC0415
        from airflow_smtp_cm.smtp.errors import SmtpError  # noqa: PLC0415

        self.log.info("SendMailTaskBegin: The task began to send an e-mail message.")
        try:
            result = send()
        except (InvalidMessage, AirflowNotFoundException, SmtpError) as error:
            if (reached := getattr(error, "result", None)) is not None:
                self.log.info("SendMailTaskInfo: %s", reached)
                if self.do_xcom_push and "ti" in context:
                    context["ti"].xcom_push(key="return_value", value=reached.as_json())
            if self._must_not_be_retried(error):
                raise AirflowFailException(str(error)) from error
            raise
        self.log.info("SendMailTaskInfo: %s", result)
        self.log.info("SendMailTaskEnd: The task finished sending an e-mail message.")
        return result.as_json()

    def hook(self) -> SmtpCmHook:
        """Return a hook for the connection."""
        from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook  # noqa: PLC0415 - as the module says
        from airflow_smtp_cm.task.composition import text_of  # noqa: PLC0415

        return SmtpCmHook(text_of(self.smtp_conn_id))

    def _must_not_be_retried(self, error: Exception) -> bool:
        """Return whether it takes more than a retry policy's word to keep Airflow from another try."""
        from airflow_smtp_cm.smtp.errors import DeliveryUncertain  # noqa: PLC0415 - as the module says

        if getattr(error, "transient", False):
            return False
        somebody_may_have_it = isinstance(error, DeliveryUncertain) or getattr(error, "result", None) is not None
        return somebody_may_have_it or getattr(self, "retry_policy", None) is None


def _default_retry_policy() -> dict[str, Any]:
    """Return the argument that gives a task our retry policy, where Airflow has such policies."""
    try:
        from airflow_smtp_cm.task.retry_policy import MailRetryPolicy  # noqa: PLC0415 - only if a task needs it
    except ImportError:
        return {}
    return {"retry_policy": MailRetryPolicy()}
