from itertools import count

import pytest

from airflow_smtp_cm.task.delivery.progress import Progress
from tests.task.delivery.stores import Store


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def interrupt_after(monkeypatch):
    """Return a function: after so many outcomes of messages, the task is interrupted by an error."""

    def interrupt_after(outcomes, error):
        one_more, counted = Progress.one_more, count(1)

        def interrupted(self):
            one_more(self)
            if next(counted) == outcomes:
                raise error

        monkeypatch.setattr(Progress, "one_more", interrupted)

    return interrupt_after
