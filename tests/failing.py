"""What it means that a task fails for good."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_smtp_cm.operators.send_mail import SendMailOperator

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def fails_for_good(match: str | None = None) -> Iterator[pytest.ExceptionInfo[Exception]]:
    """Expect an error after which Airflow does not try the task again, by its own or by the operator's verdict."""
    with pytest.raises(Exception, match=match) as caught:
        yield caught
    if not isinstance(caught.value, AirflowFailException):
        policy = SendMailOperator(task_id="send").retry_policy
        assert policy.evaluate(caught.value, try_number=1, max_tries=3).action.value == "fail"
