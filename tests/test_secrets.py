"""No secret leaks: successful and failed logins through every entry point, with all logs at the lowest level."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import sqlite3
import sys
from argparse import Namespace
from base64 import b64decode
from contextlib import closing, contextmanager, suppress
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import serialization
from spnego._ntlm_raw.crypto import ntowfv1, ntowfv2
from structlog.testing import capture_logs

from airflow_smtp_cm.cli import commands
from airflow_smtp_cm.decorators.send_mail import send_mail_task
from airflow_smtp_cm.email_backend import send_email
from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.smtp.async_client import AsyncTransport
from airflow_smtp_cm.smtp.effects import Poll, Read, Write
from airflow_smtp_cm.smtp.errors import Phase
from airflow_smtp_cm.smtp.transport import SocketTransport
from airflow_smtp_cm.testing import SmtpTestServer
from tests.connections import to_postfix
from tests.hidden import assert_hidden, texts_of
from tests.servers.people import ALICE, DOMAIN

WRONG = "Not-Her-Password-9"
# The repr of each object of these packages is checked.
PACKAGES = ("airflow_smtp_cm.", "spnego.")
KEY_PASSWORD = "Open-Sesame-77"

# --- data on the wire, and all output


class Tap:
    """Records the AUTH data of all clients in this process, and the repr of their objects.

    Attributes:
        login: bytes of AUTH exchanges, of both sides.
        shown: the repr of each effect, and during the login that of every object of ``PACKAGES``.
    """

    def __init__(self) -> None:
        self.login: list[bytes] = []
        self.shown: list[str] = []

    def note(self, effect, outcome) -> None:
        self.shown.append(repr(effect))
        if getattr(effect, "phase", None) is not Phase.AUTH:
            return
        raw = effect.data if isinstance(effect, Write) else outcome
        if raw:
            self.login.append(raw)
        if isinstance(effect, Write) and len(self.login) == 3:  # the third message: the response to the challenge
            ours = _classes()
            for item in [item for item in gc.get_objects() if type(item) in ours]:
                with suppress(AttributeError):  # a client that is being opened has no session yet
                    self.shown.append(repr(item))

    @property
    def tokens(self) -> list[bytes]:
        """Every token of the logins, decoded."""
        written = re.findall(rb"(?m)^(?:AUTH [A-Z-]+ |334 )?([A-Za-z0-9+/]{16,}={0,2})\r$", b"".join(self.login))
        return [b64decode(token) for token in written]


def _classes() -> set[type]:
    modules = [module for name, module in sys.modules.items() if name.startswith(PACKAGES)]
    named = [item for module in modules for item in vars(module).values() if isinstance(item, type)]
    return {item for item in named if item.__module__.startswith(PACKAGES)}


@pytest.fixture
def tap(monkeypatch):
    tap = Tap()
    perform, perform_async = SocketTransport._perform, AsyncTransport._perform

    def tapped(transport, effect):
        outcome = None
        try:
            outcome = perform(transport, effect)
        finally:
            tap.note(effect, outcome if isinstance(effect, Read | Poll) else None)
        return outcome

    async def tapped_async(transport, effect):
        outcome = None
        try:
            outcome = await perform_async(transport, effect)
        finally:
            tap.note(effect, outcome if isinstance(effect, Read | Poll) else None)
        return outcome

    monkeypatch.setattr(SocketTransport, "_perform", tapped)
    monkeypatch.setattr(AsyncTransport, "_perform", tapped_async)
    return tap


@contextmanager
def loud_logs():
    """Set every logger to level 1; yield their output, with tracebacks."""
    written: list[str] = []
    formatter = logging.Formatter("%(name)s %(levelname)s %(message)s")

    class Keeper(logging.Handler):
        def emit(self, record):
            if not record.name.startswith("mail.log"):  # of aiosmtpd, the server
                written.extend([formatter.format(record), repr(record.args)])

    # The log of the database is long, and the database itself is searched.
    names = [name for name in logging.root.manager.loggerDict if not name.startswith("sqlalchemy")]
    loggers = [logging.root, *map(logging.getLogger, names)]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]
    keeper = Keeper(1)
    for logger in loggers:
        logger.setLevel(1)
        logger.disabled = False
        if logger is logging.root or not logger.propagate:
            logger.addHandler(keeper)
    try:
        with capture_logs() as entries:
            yield written
        written.append(repr(entries))
    finally:
        for logger, level, disabled in before:
            logger.setLevel(level)
            logger.disabled = disabled
            logger.removeHandler(keeper)


# --- entry points of the provider; each returns its visible result


class TaskInstance(SimpleNamespace):
    """The attributes of Airflow's task instance that the operator uses."""

    def __init__(self) -> None:
        super().__init__(dag_id="d", run_id="r", task_id="send", map_index=-1, max_tries=0, pushed=[])

    def xcom_push(self, key, value):
        self.pushed.append((key, value))


def hook():
    used = SmtpCmHook()
    manager = used.connection_manager
    shown = [repr(each) for each in (used, manager, manager.settings(), manager.settings().authentication)]
    with used.get_conn() as client:
        result = client.send(MailMessage(from_email="alice@corp.test", to="bob@corp.test", subject="Hello"))
        session = client._session
        known = [client, client.login, client.tls, client.extensions, result, session, session.wire]
        return [*shown, *map(repr, known), repr(vars(used)), repr(vars(session.wire)), str(result.as_json())]


def test_button():
    return [str(SmtpCmHook().test_connection())]


def operator():
    return _executed(SendMailOperator(task_id="send", to="bob@corp.test", subject="Hello"))


def decorator():
    @send_mail_task(to="bob@corp.test", subject="Hello")
    def send():
        return "Text"

    return _executed(send().operator)


def _executed(task):
    ti = TaskInstance()
    try:
        return [repr(task.execute({"ti": ti}))]
    finally:
        task.log.info("%s", [repr(task), vars(task), ti, *(getattr(task, name) for name in task.template_fields)])


def notifier():
    sending = SendMailNotifier(to="bob@corp.test")
    sending({"ti": None, "reason": "x"})
    return [repr(sending), repr(vars(sending))]


def notifier_on_asyncio():
    async def main():
        await SendMailNotifier(to="bob@corp.test", context={"reason": "x"})

    asyncio.run(main(), debug=True)
    return []


def email_backend():
    send_email("bob@corp.test", "Hello", "<p>Text", conn_id="smtp_cm_default")
    return []


def command_line():
    commands.test(Namespace(conn_id="smtp_cm_default", to="bob@corp.test", trace=True))
    return []


WAYS = [hook, test_button, operator, decorator, notifier, notifier_on_asyncio, email_backend, command_line]
test_button.__test__ = False  # type: ignore[attr-defined]

# --- connections


@pytest.fixture
def encrypted_key(certificates, tmp_path):
    key = serialization.load_pem_private_key(certificates.alice.key.read_bytes(), password=None)
    encryption = serialization.BestAvailableEncryption(KEY_PASSWORD.encode())
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    return {"client_certificate": str(certificates.alice.chain), "client_key": str(file)}


# Changes of alice's connection, and whether the login succeeds.
CONNECTIONS = {
    "NTLM": ({}, True),
    "NTLM, wrong password": ({"password": WRONG}, False),
    "NTLM, unknown user": ({"login": f"{DOMAIN}\\nobody"}, False),
    "Kerberos password": ({"login": ALICE.principal, "mechanism": "kerberos"}, True),
    "Kerberos, wrong password": ({"login": ALICE.principal, "password": WRONG, "mechanism": "kerberos"}, False),
    "keytab": ({"login": ALICE.principal, "password": None, "mechanism": "kerberos", "keytab": "alice"}, True),
    "wrong keytab": ({"login": "bob@CORP.TEST", "password": None, "mechanism": "kerberos", "keytab": "alice"}, False),
    "client key": ({"client_key_password": KEY_PASSWORD}, True),
    "client key, wrong password": ({"client_key_password": WRONG}, False),
    "client key, password that is no text": ({"client_key_password": [KEY_PASSWORD]}, False),
    "password without a user": ({"login": None}, False),
    "password without Windows authentication": ({"use_windows_authentication": False, "mechanism": None}, False),
    "password in the connection string": ({"connection_string": f"SmtpServer=x;Pwd={WRONG};{KEY_PASSWORD}"}, False),
    "NTLM in SPNEGO": ({"port": "gss_spnego_only"}, True),
    "NTLM in SPNEGO, wrong password": ({"port": "gss_spnego_only", "password": WRONG}, False),
    "nothing offered": ({"port": "basic_only"}, False),
}


def secrets_of(*passwords: str) -> list[bytes]:
    """Return a password in its encodings, and the hashes that can be used instead of it."""
    found = []
    for password in passwords:
        nt_hash = ntowfv1(password)
        found += [password.encode(), password.encode("utf-16-le"), nt_hash, ntowfv2(ALICE.name, nt_hash, DOMAIN)]
    return found


def run(way) -> tuple[bool, list[str]]:
    """Call an entry point; return whether it succeeded, and its output."""
    try:
        shown = way()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - every exception is searched
        return False, texts_of(error)
    return not shown or not shown[0].startswith("(False"), shown


@pytest.mark.parametrize("kind", CONNECTIONS)
@pytest.mark.parametrize("way", [operator, command_line], ids=lambda way: way.__name__)
def test_no_secret_leaks(postfix, kdc, certificates, encrypted_key, monkeypatch, capfd, tap, way, kind):
    changes, succeeds = CONNECTIONS[kind]
    given = dict(changes)
    if "keytab" in given:
        given["keytab"] = str(kdc.alice_keytab)
    if "client_key_password" in given:
        given |= encrypted_key
    port = given.pop("port", "default")
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", to_postfix(postfix, certificates, port, **given))
    with loud_logs() as log:
        succeeded, shown = run(way)
    assert succeeded is succeeds
    out, err = capfd.readouterr()
    everything = [*shown, *log, *tap.shown, out, err]
    assert "\n".join(everything).strip()
    secrets = [*secrets_of(ALICE.password, WRONG), KEY_PASSWORD.encode(), kdc.alice_keytab.read_bytes(), *tap.tokens]
    assert_hidden(everything, *secrets)
    assert not re.search(r"C: AUTH \S+ (?!\*{8})", "\n".join(everything))
    assert bool(tap.tokens) or not succeeds


@pytest.mark.parametrize("password", [ALICE.password, WRONG], ids=["right", "wrong"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_secret_leaks_from_the_entry_points_of_dags(monkeypatch, capfd, tap, way, password):
    """With the server in this process."""
    with SmtpTestServer(users={ALICE.down_level: ALICE.password}) as server:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", server.airflow_connection(password=password))
        with loud_logs() as log:
            succeeded, shown = run(way)
    assert succeeded is (password == ALICE.password)
    everything = [*shown, *log, *tap.shown, *capfd.readouterr()]
    assert len(tap.tokens) >= 3
    assert_hidden(everything, *secrets_of(ALICE.password, WRONG), *tap.tokens)


def test_the_password_is_neither_in_airflows_database_nor_in_the_output_of_tasks(
    dags, airflow_db, monkeypatch, capfd, tap
):
    """Neither in rendered templates nor in XCom nor elsewhere, whether the login succeeds or not."""
    states = []
    with SmtpTestServer(users={ALICE.down_level: ALICE.password}) as server, loud_logs() as log:
        for password in (ALICE.password, WRONG):
            monkeypatch.setenv("AIRFLOW_CONN_MAIL", server.airflow_connection(password=password))
            states.append(dags["retried"].test().state)
    with closing(sqlite3.connect(airflow_db)) as database:
        dump = "\n".join(database.iterdump())
    assert states == ["success", "failed"]
    assert server.outbox[0].message["Message-ID"] in dump
    assert_hidden([dump, *log, *capfd.readouterr()], *secrets_of(ALICE.password, WRONG), *tap.tokens)
