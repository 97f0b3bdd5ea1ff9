"""Whether another try of a Send Mail task is of use, and how soon (retry policies, Airflow 3.3 and newer)."""

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
_LOCAL_ERROR = 451  # with 4.7.x, a matter of policy: how Exchange and others throttle
_LONGEST_DELAY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of passing trouble: its name, and the delay before the second try, which each later one doubles."""

    name: str
    delay: timedelta


_NETWORK = _Kind("The network or the server was not there", timedelta(minutes=1))
# Servers that greylist let a message pass some five minutes after they have first seen it.
_GREYLISTED = _Kind("The server puts off recipients, perhaps by greylisting", timedelta(minutes=6))
# Exchange counts messages and connections by the minute, and others by longer spells.
_BUSY = _Kind("The server wants fewer messages or connections", timedelta(minutes=10))
_OTHER = _Kind("The server cannot take the message now", timedelta(minutes=5))


class MailRetryPolicy(RetryPolicy):
    """Fails at once what will not pass by itself, and retries the rest after a delay that fits.

    The delay is the task's own, if the task has a ``retry_delay`` or a backoff of its own.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide (see ``RetryPolicy.evaluate``); what is no trouble with mail is left to Airflow."""
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
        kind = _kind_of(exception)
        delay = None if _has_delay_of_its_own(context) else min(kind.delay * 2 ** (try_number - 1), _LONGEST_DELAY)
        return RetryDecision.retry(delay=delay, reason=f"{kind.name}: {exception}")


def _kind_of(error: SmtpError) -> _Kind:
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


def _has_delay_of_its_own(context: Any) -> bool:
    task = context.get("task") if context else None
    if task is None:
        return False
    default = conf.getfloat("core", "default_task_retry_delay", fallback=300)
    return bool(task.retry_exponential_backoff) or task.retry_delay != timedelta(seconds=default)
