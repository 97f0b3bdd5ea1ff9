"""A running Airflow and a mail server: they start when the first test uses them, and run until the last test ends."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from airflow_smtp_cm.testing import SmtpTestServer
from tests.live.standalone import running_airflow
from tests.servers.people import ALICE
from tests.servers.processes import wait_until
from tests.servers.requirements import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_smtp_cm.testing import ReceivedMessage
    from tests.live.standalone import Standalone


@pytest.fixture(scope="package")
def mail_server() -> Iterator[SmtpTestServer]:
    """The mail server, which accepts alice with NTLM."""
    with SmtpTestServer(users={ALICE.down_level: ALICE.password}) as server:
        yield server


@pytest.fixture
def outbox(mail_server: SmtpTestServer) -> list[ReceivedMessage]:
    """The messages that the mail server has received since the test began."""
    mail_server.outbox.clear()
    return mail_server.outbox


class Mails(Protocol):
    """The function that ``mails`` returns."""

    def __call__(self, subject: str, number: int = 1) -> list[ReceivedMessage]: ...


@pytest.fixture
def mails(outbox: list[ReceivedMessage]) -> Mails:
    """Return a function that waits for a number of mails whose subjects begin with a text, and returns them."""

    def mails(subject: str, number: int = 1) -> list[ReceivedMessage]:
        def found() -> list[ReceivedMessage]:
            return [received for received in outbox if received.message["Subject"].startswith(subject)]

        assert wait_until(lambda: len(found()) >= number), [got.message["Subject"] for got in outbox]
        return found()

    return mails


@pytest.fixture(scope="package")
def airflow(tmp_path_factory: pytest.TempPathFactory, mail_server: SmtpTestServer) -> Iterator[Standalone]:
    """A running Airflow, with the connection ``of_workers`` to the mail server in its environment."""
    require("postgresql")
    environment = {
        "AIRFLOW_CONN_OF_WORKERS": mail_server.airflow_connection(),
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    }
    with running_airflow(tmp_path_factory.mktemp("airflow"), environment) as airflow:
        yield airflow


class Connect(Protocol):
    """The function that ``connect`` returns."""

    def __call__(self, conn_id: str, **changes: Any) -> dict[str, Any]: ...


@pytest.fixture
def connect(airflow: Standalone, mail_server: SmtpTestServer) -> Iterator[Connect]:
    """A function that adds a connection to the mail server with the REST API, until the test ends."""
    with ExitStack() as connections:

        def connect(conn_id: str, **changes: Any) -> dict[str, Any]:
            return connections.enter_context(airflow.connected(conn_id, mail_server.airflow_connection(**changes)))

        yield connect
