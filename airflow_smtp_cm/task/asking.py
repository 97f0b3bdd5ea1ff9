"""Puts a question into Airflow's *Required Actions*, and lets the task wait for the answer (Airflow 3.3 and newer).

The task waits in the state ``awaiting_input``, without a process. Airflow resumes it in the same try when the
question is answered, or when its time is over.

Airflow keeps the first question of a task instance: if there is another one, in this try, in a later one, or after
the task was cleared, it shows the text and the options of the first. So another question is asked only if the first
one names all messages that it is about. This is so if messages became uncertain once more after an answer, and if a
later try repeats the question. After the task was cleared, the messages have new Message-IDs.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
    from airflow_smtp_cm.task.question import AnswerNeeded, Question
    from airflow_smtp_cm.task.state_store import OnUncertain

logger = logging.getLogger(__name__)

DEFAULTS: tuple[OnUncertain, ...] = ("fail", "assume_sent")
"""What may happen if nobody answers in time."""


def check_arguments(
    on_uncertain: OnUncertain,
    *,
    durable: bool,
    ask_timeout: timedelta | None,
    ask_default: OnUncertain,
    ask_notifier: Any,
) -> None:
    """Check the operator's arguments for a question; this Airflow must be able to ask.

    Raises:
        ValueError: one of them is invalid, or has no effect with the others; or Airflow is older than 3.3.
    """
    if on_uncertain != "ask":
        raise ValueError(
            "ask_timeout, ask_default and ask_notifier have an effect only with on_uncertain='ask': set it, or "
            "remove them."
        )
    if not durable:
        raise ValueError("on_uncertain='ask' needs the record of what was sent: remove durable=False.")
    if ask_default not in DEFAULTS:
        raise ValueError(f"ask_default must be one of {', '.join(DEFAULTS)}, not {ask_default!r}.")
    if ask_timeout is not None and not (isinstance(ask_timeout, timedelta) and ask_timeout > timedelta(0)):
        raise ValueError(f"ask_timeout must be a timedelta above 0, such as timedelta(hours=4), not {ask_timeout!r}.")
    if ask_timeout is None and ask_default != "fail":
        raise ValueError(
            f"ask_default is what happens after ask_timeout, which is not set: set it, or remove "
            f"ask_default={ask_default!r}."
        )
    # A class is callable, too, and calling it would notify nobody.
    if ask_notifier is not None and (isinstance(ask_notifier, type) or not callable(ask_notifier)):
        raise ValueError(
            f'ask_notifier must be one notifier, such as SendMailNotifier(to="desk@corp.example"), '
            f"not {_named(ask_notifier)}."
        )
    try:
        from airflow.sdk.exceptions import TaskAwaitingInput  # noqa: F401, PLC0415 - Airflow 3.3 and newer
    except ImportError:
        from airflow import __version__  # noqa: PLC0415 - only for this error

        raise ValueError(
            f"on_uncertain='ask' needs Airflow 3.3 or newer, and this is Airflow {__version__}. Use 'fail', 'resend' "
            f"or 'assume_sent'."
        ) from None


def _named(value: Any) -> str:
    """Return what a wrong notifier is."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"a {type(value).__name__}" if isinstance(value, (list, tuple, set)) else repr(value)


class Asks(Protocol):
    """What is needed of an operator that asks."""

    subject: Any
    ask_timeout: timedelta | None
    ask_default: OnUncertain
    ask_notifier: Callable[[Any], None] | None

    def hook(self) -> SmtpCmHook:
        """Return a hook for the connection."""


@contextmanager
def asking(operator: Asks, context: Mapping[str, Any]) -> Iterator[None]:
    """If the block raises ``AnswerNeeded``, ask, notify, and end this process.

    Airflow calls the operator's method ``execute_answered`` with the answer, in the same try.

    Raises:
        TaskAwaitingInput: the question waits for an answer.
        RuntimeError: Airflow does not take the question; a retry asks it.
        AirflowFailException: Airflow would show an earlier question, about other messages.
    """
    from airflow_smtp_cm.task.question import AnswerNeeded  # noqa: PLC0415 - when it runs

    try:
        yield
    except AnswerNeeded as about:
        _ask(operator, context, about)


def _ask(operator: Asks, context: Mapping[str, Any], about: AnswerNeeded) -> NoReturn:
    from airflow.providers.common.compat.sdk import AirflowFailException  # noqa: PLC0415 - only for a question
    from airflow.sdk.exceptions import TaskAwaitingInput  # noqa: PLC0415

    for message in about.messages:
        logger.warning("Delivery is uncertain: %s: %s", message.name, message.reason)
    try:
        question = _question(operator, about)
        shown = _put(context["ti"].id, question)
    except Exception as error:
        raise RuntimeError(
            f"{about} The question about it could not be asked, because Airflow's API server did not take it: "
            f"{error}. Nothing is sent again. A retry, if there is one, asks again."
        ) from error
    new = [message for message in question.messages if (message.message_id or message.name) not in shown]
    if new:
        raise AirflowFailException(
            f"{about} Nothing is sent again. No question can be asked: Airflow keeps the text of this task's first "
            f"question, which was about other messages than {new[0].name}. Ask the recipients, or search the "
            f"server's log for the Message-ID; then clear the task to send everything again, or mark it as success."
        )
    logger.info("The question waits for an answer in Required Actions: %s", question.subject)
    if operator.ask_notifier is not None:
        _notify(operator.ask_notifier, {**context, "question": question})
    raise TaskAwaitingInput(method_name="execute_answered", timeout=operator.ask_timeout)


def _question(operator: Asks, about: AnswerNeeded) -> Question:
    from airflow_smtp_cm.task.question import Question  # noqa: PLC0415 - only for a question

    settings = operator.hook().connection_manager.settings()  # asks Airflow's API server for the connection
    subject = "" if operator.subject is None else str(operator.subject)
    messages = tuple(message._replace(subject=message.subject or subject) for message in about.messages)
    return Question(
        messages=messages,
        of=about.of,
        server=f"{settings.host}:{settings.port}",
        transmitted_at=about.transmitted_at,
        timeout=operator.ask_timeout,
        default=operator.ask_default,
        asked_at=datetime.now(UTC),
    )


def _put(ti_id: Any, question: Question) -> str:
    """Put the question into Required Actions; return the texts that Airflow shows."""
    # upsert_hitl_detail of airflow.sdk.execution_time.hitl does the same, and drops the response.
    from airflow.sdk.execution_time import task_runner  # noqa: PLC0415 - Airflow 3.3 and newer
    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload  # noqa: PLC0415

    shown: Any = task_runner.SUPERVISOR_COMMS.send(
        CreateHITLDetailPayload(
            ti_id=ti_id,
            options=question.options,
            subject=question.subject,
            body=question.body,
            defaults=question.defaults,
            multiple=False,
            params=question.params,
            assigned_users=[],  # whoever may answer; the API server does not accept None
        )
    )
    return f"{shown.body} {json.dumps(shown.params)}"


def _notify(notifier: Callable[[Any], None], context: dict[str, Any]) -> None:
    try:
        notifier(context)
    except Exception:
        logger.exception("The notifier failed. The question waits in Airflow nevertheless.")
