"""SendMailOperator: SSIS's Send Mail task in a DAG.

A DAG file that imports this module is parsed quickly: in addition to what Airflow itself has imported (the provider's
metadata and the connection manager), only this module and, of ``task``, ``template_files`` and ``retry_policy`` are
imported. The code that sends is imported when the task runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, BaseOperator

from airflow_smtp_cm.task.template_files import html_template, missing_file_as, text_template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta
    from typing import TypeAlias

    import jinja2
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
    from airflow_smtp_cm.mail.message import MailMessage
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.task.delivery.result import MergeResult
    from airflow_smtp_cm.task.delivery.task_try import TaskTry
    from airflow_smtp_cm.task.question import Answer
    from airflow_smtp_cm.task.state_store import OnUncertain

    _Result: TypeAlias = SendResult | MergeResult

__all__ = ["SendMailOperator"]

_ON_UNCERTAIN: tuple[OnUncertain, ...] = ("fail", "resend", "assume_sent", "ask")


class SendMailOperator(BaseOperator):
    """Sends one message, or many, through an SMTP connection manager (SSIS Send Mail task).

    Line fields accept SSIS's syntax, ``a@x; b@y``, and also display names, commas and lists. If the message or the
    connection is invalid, the task fails without a retry. Transient errors are left to Airflow's retries. If the
    server refuses some of the recipients, the message is sent to the others, and then the task fails.

    From Airflow 3.3 on, earlier tries are recorded for a retry (``durable``), and the task has a ``MailRetryPolicy``
    unless a ``retry_policy`` is given.

    The UI shows recipients and subject of mapped tasks instead of their index, unless they have a
    ``map_index_template``.

    None means the default of an argument, as if it were not given.

    Args:
        smtp_conn_id: id of the Airflow connection, of type ``smtp_cm`` (SmtpConnection).
        from_email: the sender; by default the connection's (FromLine).
        to: recipients (ToLine).
        cc: recipients of a copy (CCLine).
        bcc: recipients who are hidden from all others (BCCLine).
        subject: the subject; an empty one is a warning (Subject).
        priority: High, Normal or Low, or SSIS's numbers 1, 3 and 5 (Priority).
        message_source_type: DirectInput, FileConnection or Variable (MessageSourceType).
        message_source: the text, or the name of a template file, such as ``mail.txt.jinja``; or a path, a URL of
            object storage or the id of a file connection; or the name of an Airflow Variable (MessageSource).
        html_content: an HTML body, which SSIS does not have, or the name of a template file, such as ``mail.html``;
            with a text, both are sent, and the mail program chooses. An attachment that it names, as in
            ``<img src="cid:a.png">``, is shown in its place.
        text_part: without a text, send one that is made from the HTML, for mail programs that do not show HTML.
        embed_images: attach the images that the HTML names by their paths, as in ``<img src="charts/sales.png">``,
            and show them in their places. URLs are unchanged.
        attachments: ``a|b`` or a list; each a path, a pattern such as ``out/*.csv``, or a URL of object storage
            (FileAttachments).
        reply_to: addresses for replies, if they are not for the sender.
        headers: additional headers.
        house_style: whether the site's ``subject_prefix`` and ``html_template`` ([smtp_cm]) are applied, if it has
            them.
        messages: many messages in one task: a list of mappings, or the output of a task that returns such a list.
            Each has the fields above that differ from message to message: ``to``, ``subject``, ``attachments``, ...
        messages_per_minute: the highest rate of these messages, which are evenly spaced.
        max_messages_per_connection: how many of these messages are sent before a new connection is opened.
        connections: how many connections send these messages at the same time, for a server that delays its replies.
            If the server accepts fewer, these are used.
        disable: send nothing, and succeed without a result; may be a template that renders to True or False
            (Disable).
        all_or_nothing: send to no recipient if the server refuses any of them.
        durable: keep a record of what was sent in Airflow's task state store, so that an automatic retry sends to
            no recipient twice. If the task is cleared, everything is sent again. No effect below Airflow 3.3.
        on_uncertain: what to do if the whole message was transmitted, or may have been, and there was no final reply:
            ``fail``, without a retry, so that a person can decide; ``resend`` it in the next try, with the same
            Message-ID; ``assume_sent``; or ``ask`` a person, under *Required Actions* (Airflow 3.3 and newer).
        ask_timeout: how long the question waits for an answer; by default forever.
        ask_default: what happens after that time: ``fail`` or ``assume_sent``.
        ask_notifier: a notifier, such as ``SendMailNotifier``, which sends the question with its link.

    Raises:
        ValueError: ``on_uncertain`` is none of these; a limit, or the number of connections, is not positive, or is
            set without ``messages``; or an argument for the question is invalid, has no effect, or needs a newer
            Airflow.
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
    _gets_messages_when_it_runs = False
    _answer: Answer | None = None
    _delivery: TaskTry

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
        text_part: bool = True,
        embed_images: bool = False,
        attachments: str | Sequence[Any] | None = None,
        reply_to: str | Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        house_style: bool = True,
        messages: Sequence[Mapping[str, Any]] | XComArg | None = None,
        messages_per_minute: float | None = None,
        max_messages_per_connection: int | None = None,
        connections: int = 1,
        disable: bool | str = False,
        all_or_nothing: bool = False,
        durable: bool = True,
        on_uncertain: OnUncertain = "fail",
        ask_timeout: timedelta | None = None,
        ask_default: OnUncertain = "fail",
        ask_notifier: Callable[[Any], None] | None = None,
        **kwargs: Any,
    ) -> None:
        # None, as from an empty column of a row (expand_kwargs), means the default; for the other fields, see
        # ``task.composition``. A template of ``disable`` that results in None is an error: its meaning is not clear.
        disable = False if disable is None else disable
        house_style = True if house_style is None else house_style
        durable = True if durable is None else durable
        on_uncertain = "fail" if on_uncertain is None else on_uncertain
        connections = 1 if connections is None else connections
        if on_uncertain not in _ON_UNCERTAIN:
            raise ValueError(f"on_uncertain must be one of {', '.join(_ON_UNCERTAIN)}, not {on_uncertain!r}.")
        if type(connections) is not int or connections < 1:
            raise ValueError(f"connections must be a positive integer, not {connections!r}.")
        ask_default = "fail" if ask_default is None else ask_default
        if on_uncertain == "ask" or (ask_timeout, ask_default, ask_notifier) != (None, "fail", None):
            from airflow_smtp_cm.task.asking import check_arguments  # noqa: PLC0415 - only for tasks that ask

            check_arguments(
                on_uncertain,
                durable=durable,
                ask_timeout=ask_timeout,
                ask_default=ask_default,
                ask_notifier=ask_notifier,
            )
        self._check_limits(
            has_messages=messages is not None,
            messages_per_minute=messages_per_minute,
            max_messages_per_connection=max_messages_per_connection,
            connections=connections if connections > 1 else None,
        )
        if kwargs.get("retry_policy") is None:
            kwargs |= _default_retry_policy()
        try:
            super().__init__(**kwargs)
        except (TypeError, AirflowException) as error:  # for unknown arguments, Airflow 2.11 has the second
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
        self.house_style = house_style
        self.messages = messages
        # The output of another task may be None; that must not send a message made of the other fields.
        self._has_messages = messages is not None
        self.messages_per_minute = messages_per_minute
        self.max_messages_per_connection = max_messages_per_connection
        self.connections = connections
        self.disable = disable
        self.all_or_nothing = all_or_nothing
        self.durable = durable
        self.on_uncertain = on_uncertain
        self.ask_timeout = ask_timeout
        self.ask_default = ask_default
        self.ask_notifier = ask_notifier

    def _check_limits(self, *, has_messages: bool, **limits: float | None) -> None:
        for name, most in limits.items():
            if most is not None and not (isinstance(most, (int, float)) and most > 0):
                raise ValueError(f"{name} must be a positive number, not {most!r}.")
            if most is not None and not (has_messages or self._gets_messages_when_it_runs):
                raise ValueError(
                    f"{name} has an effect only on messages, which is not set. To limit how many tasks send at the "
                    f"same time, use an Airflow pool."
                )

    def pre_execute(self, context: Context) -> None:
        """Set what the UI shows of a mapped task."""
        super().pre_execute(context)
        # Not as default of the argument: mapped functions, and all mapped tasks before Airflow 3.3, do not get it.
        if self.map_index_template is None and context["ti"].map_index not in {None, -1}:
            context["map_index_template"] = "To {{ task.map_index_label }}"

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render a template.

        Raises:
            AirflowFailException: it needs a file that is missing.
        """
        from airflow.providers.common.compat.sdk import AirflowFailException  # noqa: PLC0415 - when it renders

        jinja_env = jinja_env or self.get_template_env()
        with missing_file_as(AirflowFailException, jinja_env):
            return super().render_template(content, context, jinja_env, seen_oids)

    @property
    def map_index_label(self) -> str:
        """Recipients and subject: short, on one line, with secrets masked."""
        from airflow_smtp_cm.task.map_index import label_of  # noqa: PLC0415 - imported when it runs

        return label_of(self)

    @property
    def has_many(self) -> bool:
        """Whether it sends many messages (``messages``), even if another task returned None instead of them."""
        return self._has_messages or self.messages is not None

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Send the message, or the messages.

        Returns:
            The result for XCom. For one message: its Message-ID, accepted and refused addresses, the server's final
            reply, size in bytes, seconds. For many: how many were sent, and which were not. None if the task is
            disabled; or if Airflow can store neither the record nor the result, which are then in the log.

        Raises:
            AirflowFailException: it must not be retried; or a permanent error where Airflow has no retry policies.
            InvalidMessage: all problems with it.
            AirflowNotFoundException: there is no such connection.
            SmtpError: it could not be sent.
        """
        from airflow_smtp_cm.task.composition import compose  # noqa: PLC0415 - imported when it runs

        if self.is_disabled():
            return None
        if self.has_many:
            return self._carry_out(context, lambda: self._send_messages(context))
        return self.deliver(context, lambda hook: compose(self, hook, context))

    def execute_answered(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """Go on after a person has answered, or the time for it is over; Airflow calls it in the same try.

        Its name is in Airflow's database while a question is open.

        Args:
            context: the task's context.
            event: the answer, as Airflow reports it.

        Returns:
            The result, see ``execute``; in addition ``answers``: what was answered, by whom and when.
        """
        from airflow_smtp_cm.task.question import Answer  # noqa: PLC0415 - imported when it runs

        self._answer = Answer.of(event, self.ask_default)
        return self.execute(context)

    def is_disabled(self) -> bool:
        """Return whether the task is disabled; if it is, log it.

        Raises:
            AirflowFailException: ``disable`` is neither true nor false.
        """
        from airflow.providers.common.compat.sdk import AirflowFailException  # noqa: PLC0415 - imported when it runs

        from airflow_smtp_cm.mail.errors import InvalidMessage  # noqa: PLC0415
        from airflow_smtp_cm.task.composition import truth_of  # noqa: PLC0415

        try:
            disabled = truth_of(self.disable)
        except InvalidMessage as error:
            raise AirflowFailException(f"disable: {error} Nothing was sent.") from error
        if disabled:
            self.log.info("SendMailTaskInfo: The task is disabled. Nothing is sent.")
        return disabled

    def deliver(self, context: Context, compose: Callable[[SmtpCmHook], MailMessage]) -> dict[str, Any] | None:
        """Send the message that ``compose`` returns, unless earlier tries have sent it."""
        from airflow_smtp_cm.task.delivery.one_message import Delivery  # noqa: PLC0415 - imported when it runs

        def send() -> SendResult:
            self._delivery = delivery = Delivery(self, context, self._answer)
            if (result := delivery.resume()) is not None:
                return result
            hook = self.hook()
            return delivery.send(hook, compose(hook))

        return self._carry_out(context, send)

    def _send_messages(self, context: Context) -> MergeResult:
        from airflow_smtp_cm.task.delivery.mail_merge import Merge  # noqa: PLC0415 - imported when it runs

        self._delivery = merge = Merge(self, context, self._answer, self.hook())
        return merge.send()

    def _carry_out(self, context: Context, send: Callable[[], _Result]) -> dict[str, Any] | None:
        """Send, log, and raise the error that makes Airflow retry or fail the task."""
        from airflow.providers.common.compat.sdk import (  # noqa: PLC0415 - imported when it runs
            AirflowFailException,
            AirflowNotFoundException,
        )

        from airflow_smtp_cm.mail.errors import InvalidMessage  # noqa: PLC0415
        from airflow_smtp_cm.smtp.errors import SmtpError  # noqa: PLC0415

        self.log.info("SendMailTaskBegin: The task began to send an e-mail message.")
        try:
            result = self._sent(context, send)
        except (InvalidMessage, AirflowNotFoundException, SmtpError) as error:
            result_so_far = getattr(error, "result", None)
            # Without anybody who has the message for certain, it is not a result.
            if result_so_far is not None and getattr(result_so_far, "accepted", True):
                self.log.info("SendMailTaskInfo: %s", result_so_far)
                self._push(result_so_far, context)
            if self._must_not_be_retried(error):
                raise AirflowFailException(str(error)) from error
            raise
        self.log.info("SendMailTaskInfo: %s", result)
        self.log.info("SendMailTaskEnd: The task finished sending an e-mail message.")
        if not self._delivery.is_recorded and not self._push(result, context):
            # If Airflow cannot store a returned result, it retries the task, and the retry would be uncertain.
            return None
        return self._as_json(result)

    def _sent(self, context: Context, send: Callable[[], _Result]) -> _Result:
        """Send; if a person must be asked, end this process until the answer is there."""
        if self.on_uncertain != "ask":
            return send()
        from airflow_smtp_cm.task.asking import asking  # noqa: PLC0415 - only for tasks that ask

        with asking(self, context):
            return send()

    def _as_json(self, result: _Result) -> dict[str, Any]:
        answers = self._delivery.answers
        return result.as_json() | ({"answers": answers} if answers else {})

    def _push(self, result: _Result, context: Context) -> bool:
        """Store a result in XCom, and return True; an error of Airflow's API must not replace that of the mail."""
        if not self.do_xcom_push or "ti" not in context:
            return True
        try:
            context["ti"].xcom_push(key="return_value", value=self._as_json(result))
        except Exception:
            self.log.exception("The result cannot be stored in XCom.")
            return False
        return True

    def hook(self) -> SmtpCmHook:
        """Return a hook for the connection."""
        from airflow_smtp_cm.task.composition import hook_for  # noqa: PLC0415 - imported when it runs

        return hook_for(self.smtp_conn_id)

    def _must_not_be_retried(self, error: Exception) -> bool:
        """Return whether the task must fail without a retry, whatever its retry policy decides."""
        from airflow_smtp_cm.smtp.errors import DeliveryUncertain  # noqa: PLC0415 - imported when it runs

        # Airflow's own error, of something that it does not find, has no such attribute: it may find it later.
        if getattr(error, "transient", True):
            return False
        may_be_delivered = isinstance(error, DeliveryUncertain) or getattr(error, "result", None) is not None
        return may_be_delivered or getattr(self, "retry_policy", None) is None


def _default_retry_policy() -> dict[str, Any]:
    """Return the argument ``retry_policy``, if this Airflow has retry policies."""
    try:
        from airflow_smtp_cm.task.retry_policy import MailRetryPolicy  # noqa: PLC0415 - only if a task needs it
    except ImportError:
        return {}
    return {"retry_policy": MailRetryPolicy()}
