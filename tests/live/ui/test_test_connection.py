"""Test connection: the same result in the UI, on a worker and on the command line, without the password."""

import psutil
import pytest

from tests.live.ui.pages import ConnectionList
from tests.servers.people import ALICE
from tests.servers.processes import wait_until

WRONG = "Looking-Glass-1!"
PASSED, FAILED = "Test Connection Successful", "Test Connection Failed"


def one_line(text):
    """Return the text in one line, as a notification shows it; the output of commands has line breaks."""
    return " ".join(text.split())


def sockets_to(port):
    """Return the sockets that a client of the port has not closed."""
    unclosed = {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT, psutil.CONN_SYN_SENT}
    return [
        socket
        for socket in psutil.net_connections("tcp")
        if socket.raddr and socket.raddr.port == port and socket.status in unclosed
    ]


def test_success_describes_the_session(page, airflow, connect, mail_server, picture):
    connection = connect("mail")
    notification = ConnectionList(page).test("mail")
    picture("test-connection", page)

    title, message = notification.inner_text().splitlines()
    assert title == PASSED
    assert f"{mail_server.host}:{mail_server.port}" in message
    assert "TLSv1.3" in message
    assert "NTLM" in message
    succeeded, on_worker = airflow.test_on_worker(connection)
    assert (succeeded, one_line(on_worker)) == (True, message)
    assert "Connection success!" in airflow.command("connections", "test", "mail").stdout
    assert wait_until(lambda: not sockets_to(mail_server.port))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"password": WRONG}, ["535", "password"], id="password"),
        pytest.param({"host": "mail.corp.invalid"}, ["mail.corp.invalid"], id="host"),
        pytest.param({"port": 1}, ["127.0.0.1", "refused", "port"], id="port"),
        pytest.param({"ca_bundle": None}, ["certificate", "localhost", "CA bundle"], id="certificate"),
        pytest.param({"EnableSsl": True}, ["EnableSsl", "enable_ssl"], id="key"),
    ],
)
def test_failure_has_the_reason_and_what_to_do(page, airflow, connect, mail_server, picture, request, changes, words):
    connection = connect("mail", **changes)
    notification = ConnectionList(page).test("mail")
    picture(f"test-connection-{request.node.callspec.id}", notification)

    title, message = notification.inner_text().splitlines()
    assert title == FAILED
    assert [word for word in words if word not in message] == []
    succeeded, on_worker = airflow.test_on_worker(connection)
    assert (succeeded, one_line(on_worker)) == (False, message)
    by_command = airflow.command("connections", "test", "mail").stdout
    assert one_line(by_command.partition("Connection failed!")[2]) == message
    assert [secret for secret in (ALICE.password, WRONG) if secret in message] == []
    assert wait_until(lambda: not sockets_to(mail_server.port))


def test_no_log_has_a_password(airflow, connect):
    """Neither the log of this test nor those of the tests before it."""
    assert airflow.test_on_worker(connect("mail", password=WRONG))[0] is False

    logs = airflow.logs()
    assert "connection" in logs
    assert [secret for secret in (ALICE.password, WRONG) if secret in logs] == []
