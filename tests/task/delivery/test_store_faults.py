"""Every fault of Airflow's API at every call that the record makes: no message is sent twice, or lost silently.

What is right stands in ``store_faults``; docs/store-faults.md shows it. All code between the task and the API is
Airflow's own.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller

from tests.airflow_versions import AIRFLOW
from tests.connections import anonymous
from tests.operators.test_send_mail import FakeTaskInstance
from tests.servers.processes import LOOPBACK, PATIENCE_SECONDS, free_ports
from tests.task.delivery.store_faults import cells
from tests.task.delivery.store_page import page
from tests.task.delivery.stores import Store

if AIRFLOW < (3, 3):
    pytest.skip("Airflow below 3.3 keeps no state of tasks", allow_module_level=True)

from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.errors import SmtpError
from airflow_smtp_cm.task.delivery import window
from tests.task.delivery.execution_api import Call, ExecutionApi, Fault, FaultyClient, Outage
from tests.task.delivery.worker import run_try

BOB, CAROL, DAVE = "bob@corp.test", "carol@corp.test", "dave@corp.test"
NOBODY = "nobody@corp.test"

# The fields of the tasks.
SCENARIOS = {
    "read": {"to": BOB},
    "one": {"to": BOB},
    "deferred": {"to": BOB},
    "refused": {"to": [BOB, CAROL, NOBODY]},
    "parts": {"to": [BOB, CAROL, DAVE]},
    "many": {"messages": [{"to": f"bob+{number}@corp.test"} for number in range(7)]},
}


class Mailboxes:
    """A mail server's handler.

    Attributes:
        most: how many recipients it accepts in one transaction.
        deferrals: how many messages it defers before it accepts one.
        delivered: the recipient and the Message-ID of each copy.
    """

    def __init__(self, *, most=100, deferrals=0):
        self.most = most
        self.deferrals = deferrals
        self.delivered = []

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802, ARG002 - aiosmtpd's
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802, ARG002 - as above
        if address == NOBODY:
            return "550 5.1.1 Nobody of that name"
        if len(envelope.rcpt_tos) >= self.most:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802, ARG002 - as above
        if self.deferrals:
            self.deferrals -= 1
            return "451 4.3.0 Later"
        message = message_from_bytes(envelope.content, policy=policy.SMTP)
        self.delivered += [(address, message["Message-ID"]) for address in envelope.rcpt_tos]
        return "250 2.0.0 OK"


@contextmanager
def serving(monkeypatch, mailboxes):
    (port,) = free_ports(1)
    controller = Controller(mailboxes, hostname=LOOPBACK, port=port, ready_timeout=PATIENCE_SECONDS)
    controller.start()
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", anonymous(port))
    try:
        yield
    finally:
        controller.stop()


@pytest.fixture
def api():
    with ExecutionApi() as api:
        yield api


@pytest.fixture
def attempt(api):
    """Return a function that runs a try of a scenario's task."""

    def attempt(scenario, try_number, outage=None):
        with DAG("store_faults", schedule=None):
            task = SendMailOperator(task_id="send", subject="Hello", retries=2, **SCENARIOS[scenario])
        with FaultyClient(api, outage) as client:
            return run_try(task, client, try_number=try_number)

    return attempt


@pytest.mark.parametrize("cell", cells(), ids=str)
def test_fault_of_the_store(cell, attempt, monkeypatch, caplog):
    # As on a fast machine, and on none as on a slow one: one write is for several messages.
    monkeypatch.setattr(window, "_SHORT_INTERVAL", float("inf"))
    row, right = cell.row, cell.outcome
    mailboxes = Mailboxes(most=2 if row.scenario == "parts" else 100, deferrals=int(row.scenario == "deferred"))
    with serving(monkeypatch, mailboxes):
        for number in range(1, row.try_number):
            assert attempt(row.scenario, number).state == "success"
        caplog.clear()
        tried = attempt(row.scenario, row.try_number, Outage(Fault(cell.column), Call(*row.call), row.number))
        copies, log = len(mailboxes.delivered), caplog.text
        following = attempt(row.scenario, row.try_number + 1)

    assert (tried.state, copies) == (right.state, right.copies)
    assert right.error in str(tried.error or "")
    assert right.log in log
    if cell.column in {"500, once", "slow"}:
        assert "The record cannot be written" not in log
    assert (following.state, len(mailboxes.delivered)) == (right.next_state, right.all_copies)
    assert len(set(mailboxes.delivered)) == len(mailboxes.delivered)
    if "uncertain" in right.words:
        assert "uncertain" in str(following.error) or "delivered or not" in str(following.error)


class Unreliable(Store):
    """A store of which one write fails; it may be stored later.

    Attributes:
        late: the value of the write that failed.
    """

    def __init__(self, failing):
        super().__init__()
        self._failing = failing
        self.late = {}

    def set(self, key, value):
        if self.writes + 1 == self._failing:
            self.calls.append("set")
            self.late = {key: json.dumps(value)}
            raise OSError("timed out")
        super().set(key, value)


@pytest.fixture(params=range(1, 9))
def tries(request, server, monkeypatch):
    """Return the store of which one write fails, and a function that runs a try; it returns its error."""
    monkeypatch.setattr(window, "_SHORT_INTERVAL", request.param % 2 and float("inf"))
    store = Unreliable((request.param + 1) // 2)

    def run(try_number, **fields):
        ti = FakeTaskInstance(try_number=try_number)
        try:
            SendMailOperator(task_id="send", **SCENARIOS["many"] | fields).execute(
                {"ti": ti, "task_state_store": store}
            )
        except (SmtpError, AirflowFailException) as error:
            return error
        return None

    return SimpleNamespace(store=store, run=run, outbox=server.outbox)


def test_if_one_write_fails_nothing_that_is_known_is_lost(tries):
    """The try ends, and its last write has all outcomes."""
    error = tries.run(1)
    assert error is None or error.transient

    assert tries.run(2) is None
    assert sorted(received.recipients for received in tries.outbox) == [
        (item["to"],) for item in SCENARIOS["many"]["messages"]
    ]


def test_if_a_failed_write_is_stored_after_the_others_of_its_try_nothing_is_sent_twice(tries):
    tries.run(1)
    tries.store.kept |= tries.store.late

    error = tries.run(2)
    recipients = [received.recipients for received in tries.outbox]
    assert len(recipients) == len(set(recipients))
    assert len(recipients) == 7 or "may have been delivered or not" in str(error)


def test_the_page_in_the_docs_shows_the_table():
    in_docs = Path(__file__).parents[3] / "docs" / "store-faults.md"
    assert in_docs.read_text() == page(), "python -m tests.task.delivery.store_page > docs/store-faults.md writes it"
