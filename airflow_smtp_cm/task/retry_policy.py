"""Decides whether a Send Mail task is retried (Airflow 3.3 and newer); ``retry_delays`` says when."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import RetryDecision, RetryPolicy, conf

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class MailRetryPolicy(RetryPolicy):
    """Fails the task on permanent errors, and retries after transient ones with a delay that depends on the cause.

    If the task has a ``retry_delay`` or a backoff, the delay is that of the task.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide (see ``RetryPolicy.evaluate``); errors that do not concern mail are left to Airflow."""
        from airflow.providers.common.compat.sdk import AirflowNotFoundException  # noqa: PLC0415 - see SendMailOperator

        from airflow_smtp_cm.mail.errors import InvalidMessage  # noqa: PLC0415
        from airflow_smtp_cm.smtp.errors import SmtpError  # noqa: PLC0415
        from airflow_smtp_cm.task.retry_delays import cause_of  # noqa: PLC0415

        del max_tries
        if not isinstance(exception, SmtpError | InvalidMessage | AirflowNotFoundException):
            return RetryDecision.default()
        if not getattr(exception, "transient", True):  # Airflow may find later what it does not find now
            return RetryDecision.fail(reason=str(exception))
        cause = cause_of(exception)
        delay = None if _has_own_delay(context) else cause.delay(try_number)
        return RetryDecision.retry(delay=delay, reason=f"{cause.description}: {exception}")


def _has_own_delay(context: Any) -> bool:
    task = context.get("task") if context else None
    if task is None:
        return False
    default = conf.getfloat("core", "default_task_retry_delay", fallback=300)
    return bool(task.retry_exponential_backoff) or task.retry_delay != timedelta(seconds=default)
