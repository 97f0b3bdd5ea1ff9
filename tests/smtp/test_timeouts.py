"""The timeouts of the client's waits."""

from __future__ import annotations

import pytest

from airflow_smtp_cm.smtp.errors import Phase, TimedOut
from airflow_smtp_cm.smtp.settings import Settings, Timeouts
from airflow_smtp_cm.smtp.timeouts import Deadlines
from tests.smtp.clock import Clock


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    monkeypatch.setattr("airflow_smtp_cm.smtp.timeouts.time", Clock())


def seconds(phase: Phase, timeouts: Timeouts) -> float:
    return Deadlines(Settings(host="mail.corp.test", timeouts=timeouts)).new_wait(phase)


@pytest.mark.parametrize(
    ("phase", "default"),
    [
        (Phase.CONNECT, 30),
        (Phase.TLS, 30),
        (Phase.GREETING, 100),
        (Phase.RCPT, 100),
        (Phase.CONTENT, 100),
        (Phase.FINAL, 600),
        (Phase.QUIT, 5),
    ],
)
def test_each_phase_has_its_own_timeout_and_ssis_timeout_limits_them_all(phase, default):
    assert seconds(phase, Timeouts()) == default
    assert seconds(phase, Timeouts.capped(20)) == min(default, 20)


def test_the_total_time_limits_the_remaining_time():
    assert seconds(Phase.FINAL, Timeouts(total=3)) <= 3


def test_no_wait_starts_after_the_total_time():
    with pytest.raises(TimedOut):
        seconds(Phase.FINAL, Timeouts(total=0))
