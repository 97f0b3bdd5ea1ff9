"""Decides whether a Send Mail task is retried, and when (retry policies, Airflow 3.3 and newer)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import RetryDecision, RetryPolicy, conf

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_smtp_cm.smtp.errors import SmtpError
    from airflow_smtp_cm.smtp.reply import Reply

_CLOSING = 421
_LOCAL_ERROR = 451  # with 4.7.x (policy), Exchange and others throttle
_LONGEST_DELAY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Cause:
    """A cause of transient errors, and the delay before the second try, which doubles before each further try."""

    description: str
    delay: timedelta


_NETWORK = _Cause("Network or server unavailable", timedelta(minutes=1))
# Most servers that use greylisting accept a message five minutes after the first attempt.
_GREYLISTED = _Cause("The server deferred recipients (possibly greylisting)", timedelta(minutes=6))
# Exchange limits messages and connections per minute, and other servers per longer period.
_BUSY = _Cause("The server limits messages or connections", timedelta(minutes=10))
_OTHER = _Cause("The server cannot accept the message now", timedelta(minutes=5))


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

        del max_tries
        if isinstance(exception, InvalidMessage | AirflowNotFoundException):
            return RetryDecision.fail(reason=str(exception))
        if not isinstance(exception, SmtpError):
            return RetryDecision.default()
        if not exception.transient:
            return RetryDecision.fail(reason=str(exception))
        cause = _cause_of(exception)
        delay = None if _has_own_delay(context) else min(cause.delay * 2 ** (try_number - 1), _LONGEST_DELAY)
        return RetryDecision.retry(delay=delay, reason=f"{cause.description}: {exception}")


def _cause_of(error: SmtpError) -> _Cause:
    from airflow_smtp_cm.smtp.errors import Phase, RecipientsRefused  # noqa: PLC0415 - see SendMailOperator

    reply: Reply | None = error.reply
    if isinstance(error, RecipientsRefused):
        reply = next(refusal.reply for refusal in error.refused if refusal.reply.transient)
    if reply is None:
        return _NETWORK
    if reply.code == _CLOSING:
        return _BUSY
    if error.phase is Phase.RCPT:
        return _GREYLISTED
    throttled = reply.code == _LOCAL_ERROR and (reply.enhanced_code or "").startswith("4.7.")
    return _BUSY if throttled else _OTHER


def _has_own_delay(context: Any) -> bool:
    task = context.get("task") if context else None
    if task is None:
        return False
    default = conf.getfloat("core", "default_task_retry_delay", fallback=300)
    return bool(task.retry_exponential_backoff) or task.retry_delay != timedelta(seconds=default)
