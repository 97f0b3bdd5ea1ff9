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

        if self.is_disabled():
            return None
        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        returned = self.python_callable(*self.op_args, **kwargs)
        # The return value is not rendered: it may contain data, which must not be evaluated as a template.
        if isinstance(returned, MailMessage):
            self.to, self.cc = list(map(str, returned.to)), list(map(str, returned.cc))
            self.subject, self.message_source = returned.subject, returned.text or ""
            return self.deliver(context, lambda hook: hook.safety.permitted(returned))
        if isinstance(returned, str | list):
            fields: Any = {"message_source" if isinstance(returned, str) else "messages": returned}
        else:
            fields = returned
        known = {*SendMailOperator.template_fields, "all_or_nothing"}
        if not isinstance(fields, Mapping) or not fields.keys() <= known:
            raise AirflowFailException(
                f"A function under @task.send_mail must return the text, a MailMessage, a dict of some of "
                f"{', '.join(sorted(known))}, or a list of such dicts; {self.python_callable.__name__} returned "
                f"{_kind(returned, known)}."
            )
        self.message_source = ""
        for name, value in fields.items():
            setattr(self, name, value)
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


def _kind(returned: Any, known: set[str]) -> str:
    if isinstance(returned, Mapping):
        return f"a dict with {', '.join(sorted(str(name) for name in returned.keys() - known))}"
    return f"an object of type {type(returned).__name__}"
