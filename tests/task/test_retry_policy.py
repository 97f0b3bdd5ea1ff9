"""The operator's own retry policy: which errors are retried, and when."""

from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_smtp_cm.mail.errors import InvalidMessage, NotFound
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import (
    AuthenticationRefused,
    CertificateError,
    ConnectError,
    DeliveryUncertain,
    Disconnected,
    Phase,
    RecipientsRefused,
    Refused,
    SettingsError,
    TimedOut,
)
from airflow_smtp_cm.smtp.reply import Reply
from airflow_smtp_cm.smtp.result import Refusal

policies = pytest.importorskip(
    "airflow.sdk.definitions.retry_policy", reason="Airflow below 3.3 has no retry policies"
)
from airflow_smtp_cm.task.retry_policy import MailRetryPolicy  # noqa: E402 - which is one

MINUTE = timedelta(minutes=1)


def refused(code, text, phase=Phase.MAIL):
    return Refused(f"refused: {code} {text}", phase=phase, reply=Reply(code, (text,)))


def recipients_refused(*replies):
    refusals = tuple(Refusal(f"user{code}@corp.test", Reply(code, (text,))) for code, text in replies)
    error = RecipientsRefused("mail.corp.test:25", refused=refusals)
    error.transient = any(refusal.reply.transient for refusal in refusals)
    return error


def decide(error, try_number=1, task=None):
    return MailRetryPolicy().evaluate(error, try_number, 5, {"task": task} if task else None)


@pytest.mark.parametrize(
    "error",
    [
        refused(550, "5.7.1 no"),
        AuthenticationRefused("wrong password"),
        CertificateError("not trusted"),
        SettingsError("no server"),
        InvalidMessage("to: nobody"),
        recipients_refused((550, "5.1.1 unknown")),
        DeliveryUncertain("who knows"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_permanent_error_fails_the_task_without_a_retry_and_with_the_reason(error):
    decision = decide(error)

    assert decision.action is policies.RetryAction.FAIL
    assert decision.reason == str(error)


@pytest.mark.parametrize(
    ("error", "kind", "minutes"),
    [
        (ConnectError("no route"), "Network or server unavailable", 1),
        (Disconnected("lost"), "Network or server unavailable", 1),
        (TimedOut("silence"), "Network or server unavailable", 1),
        (recipients_refused((451, "4.7.1 greylisted")), "The server deferred recipients", 6),
        (recipients_refused((550, "5.1.1 unknown"), (450, "4.2.0 later")), "The server deferred recipients", 6),
        (NotFound("no connection"), "Airflow does not find what the task needs", 1),
        (AirflowNotFoundException("no connection"), "Airflow does not find what the task needs", 1),
        (refused(421, "4.3.2 too many connections"), "The server limits messages", 10),
        (refused(421, "closing", Phase.RCPT), "The server limits messages", 10),
        (refused(451, "4.7.0 slow down"), "The server limits messages", 10),
        (refused(452, "4.3.1 disk full"), "The server cannot accept the message now", 5),
        (refused(454, "4.7.0 no domain controller", Phase.AUTH), "The server cannot accept the message now", 5),
    ],
    ids=lambda value: None if isinstance(value, int) else str(value),
)
def test_transient_error_is_retried_after_the_delay_of_its_cause(error, kind, minutes):
    decision = decide(error)

    assert decision.action is policies.RetryAction.RETRY
    assert decision.retry_delay == minutes * MINUTE
    assert decision.reason.startswith(kind)
    assert decision.reason.endswith(str(error))


def test_delay_doubles_with_each_try_up_to_an_hour():
    delays = [decide(ConnectError("no route"), number).retry_delay for number in (1, 2, 3, 4, 5, 6, 7, 100)]

    assert delays == [minutes * MINUTE for minutes in (1, 2, 4, 8, 16, 32, 60, 60)]


@pytest.mark.parametrize("own", [{"retry_delay": timedelta(0)}, {"retry_exponential_backoff": 2.0}], ids=str)
def test_own_delay_of_the_task_is_used(own):
    decision = decide(ConnectError("no route"), task=SendMailOperator(task_id="send", **own))

    assert (decision.action, decision.retry_delay) == (policies.RetryAction.RETRY, None)


def test_task_without_own_delay_gets_that_of_the_policy():
    assert decide(ConnectError("no route"), task=SendMailOperator(task_id="send")).retry_delay == MINUTE


def test_error_that_does_not_concern_mail_is_left_to_airflow():
    assert decide(RuntimeError("a bug")).action is policies.RetryAction.DEFAULT


def test_operator_has_the_policy_unless_another_is_given():
    own = policies.ExceptionRetryPolicy(rules=[policies.RetryRule(ConnectError, policies.RetryAction.FAIL)])

    assert isinstance(SendMailOperator(task_id="send").retry_policy, MailRetryPolicy)
    assert SendMailOperator(task_id="send", retry_policy=own).retry_policy is own
