"""Expects that a task fails permanently, or for the time being."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_smtp_cm.operators.send_mail import SendMailOperator

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def fails_permanently(match: str | None = None) -> Iterator[pytest.ExceptionInfo[Exception]]:
    """Expect an error after which Airflow does not retry the task, because of its type or of the retry policy."""
    with pytest.raises(Exception, match=match) as caught:
        yield caught
    if not isinstance(caught.value, AirflowFailException):
        policy = SendMailOperator(task_id="send").retry_policy
        assert policy.evaluate(caught.value, try_number=1, max_tries=3).action.value == "fail"


@contextmanager
def fails_for_now(match: str | None = None) -> Iterator[pytest.ExceptionInfo[Exception]]:
    """Expect an error after which Airflow retries the task, if it has retries left."""
    with pytest.raises(Exception, match=match) as caught:
        yield caught
    assert not isinstance(caught.value, AirflowFailException)
    policy = getattr(SendMailOperator(task_id="send"), "retry_policy", None)
    assert policy is None or policy.evaluate(caught.value, try_number=1, max_tries=3).action.value == "retry"
