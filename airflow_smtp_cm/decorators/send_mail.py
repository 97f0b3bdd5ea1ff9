"""``@task.send_mail``: a function whose return value is mailed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    SET_DURING_EXECUTION,
    DecoratedOperator,
    context_merge,
    determine_kwargs,
    task_decorator_factory,
)

from airflow_smtp_cm.operators.send_mail import SendMailOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from airflow.providers.common.compat.sdk import Context, TaskDecorator

__all__ = ["send_mail_task"]


class _SendMailDecoratedOperator(DecoratedOperator, SendMailOperator):
    """Calls a function, and sends its return value."""

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *SendMailOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **SendMailOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.send_mail"
    # The UI shows the fields with the values that the function returned.
    overwrite_rtif_after_execution = True
    _gets_messages_when_it_runs = True

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            message_source=SET_DURING_EXECUTION,
            **kwargs,
        )

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Call the function, send the message, and return the result; do nothing if disabled.

        Raises:
            AirflowFailException: the function did not return a message; or see SendMailOperator.
        """
        from airflow.providers.common.compat.sdk import AirflowFailException  # noqa: PLC0415 - when it runs

        from airflow_smtp_cm.mail.message import MailMessage  # noqa: PLC0415
        from airflow_smtp_cm.task.composition import returned  # noqa: PLC0415

        if self.is_disabled():
            return None
        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        value = self.python_callable(*self.op_args, **kwargs)
        # The return value is not rendered: it may contain data, which must not be evaluated as a template.
        if isinstance(value, MailMessage):
            self.to, self.cc = list(map(str, value.to)), list(map(str, value.cc))
            self.subject, self.message_source = value.subject, value.text or ""
            return self.deliver(context, lambda hook: hook.connection_manager.prepared(value))
        if isinstance(value, str | list):
            value = {"message_source" if isinstance(value, str) else "messages": value}
        known = {*SendMailOperator.template_fields, "all_or_nothing", "embed_images", "house_style", "text_part"}
        if not isinstance(value, Mapping) or not value.keys() <= known:
            raise AirflowFailException(
                f"A function under @task.send_mail must return the text, a MailMessage, a dict of some of "
                f"{', '.join(sorted(known))}, or a list of such dicts; {self.python_callable.__name__} returned "
                f"{_kind(value, known)}"
            )
        fields = returned(value)
        if isinstance(messages := fields.get("messages"), list | tuple):
            fields["messages"] = [returned(item) if isinstance(item, Mapping) else item for item in messages]
        self.message_source = ""
        self._has_messages = "messages" in fields
        for name, field in fields.items():
            if field is not None:  # None, as in a row of SQL, is the decorator's own value
                setattr(self, name, field)
        # Not super().execute: DecoratedOperator's, in Airflow 3.0, calls a missing method after the mail is sent.
        return SendMailOperator.execute(self, context)


def send_mail_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """Make a task from a function whose return value is mailed.

    It returns a text, a MailMessage, a dict of operator fields, or a list of such dicts: a message for each.

    Args:
        python_callable: the function.
        kwargs: the arguments of SendMailOperator (``smtp_conn_id``, ``to``, ``cc``, ``bcc``, ``subject``,
            ``html_content``, ``attachments``, ``disable``, ...) except ``message_source``, ``message_source_type``
            and ``messages``, which the return value replaces; and the arguments of every task.
    """
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=_SendMailDecoratedOperator, **kwargs
    )


def _kind(value: Any, known: set[str]) -> str:
    from airflow_smtp_cm.task.composition import kind_of  # noqa: PLC0415 - imported when it runs

    if isinstance(value, Mapping):
        from airflow_smtp_cm.hooks.old_arguments import advice_on  # noqa: PLC0415 - only for an error

        unknown = sorted(str(name) for name in value.keys() - known)
        return f"a dict with {', '.join(unknown)}. {advice_on(unknown)}".rstrip()
    return f"an object of type {kind_of(value)}."
