"""The hook: an open client, a sent message or the result of "Test" for a connection id."""

import gc
import json
from urllib.parse import urlencode

import pytest
from airflow.models.connection import Connection as DatabaseConnection
from airflow.providers.common.compat.sdk import AirflowNotFoundException, Connection
from airflow.secrets.local_filesystem import LocalFilesystemBackend

from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import AuthenticationRefused, Phase, RecipientsRefused, SettingsError
from airflow_smtp_cm.testing import SmtpTestServer
from tests.connections import anonymous, connection, to_postfix
from tests.patience import impatient_in
from tests.servers.people import ALICE
from tests.servers.processes import free_ports
from tests.servers.scripted import expect, say, scripted_peer, wait_for_close


def mail(to="bob@corp.test"):
    return MailMessage(from_email="alice@corp.test", to=to, subject="Hello")


MAIL = mail()
WRONG = "Not-Her-Password-9"
TWICE = r'In JSON, a backslash is written twice: "CORP\\reports".'
INTRODUCTION = [say("220 hi"), expect("EHLO"), say("250 hi")]


@pytest.fixture
def hook_for(define):
    """Return a function that defines the default connection and returns a hook for it."""

    def hook_for(text: str) -> SmtpCmHook:
        define(text)
        return SmtpCmHook()

    return hook_for


def sdk_connection(text, kind=Connection):
    given = json.loads(text)
    return kind(conn_id="mail", **given | {"extra": json.dumps(given["extra"])})


# --- Airflow's interface of a hook


def test_airflow_finds_the_hook():
    assert SmtpCmHook.conn_name_attr == "smtp_conn_id"
    assert SmtpCmHook.default_conn_name == "smtp_cm_default"
    assert SmtpCmHook.conn_type == "smtp_cm"
    assert SmtpCmHook.hook_name == "SMTP Connection Manager"
    assert SmtpCmHook().smtp_conn_id == "smtp_cm_default"
    assert SmtpCmHook("x").smtp_conn_id == SmtpCmHook(smtp_conn_id="x").smtp_conn_id == "x"


def test_constructor_does_not_look_up_the_connection():
    """It is also called while DAGs are parsed."""
    SmtpCmHook("no such connection")


def test_airflow_makes_a_hook_from_a_connection(server):
    hook = sdk_connection(server.airflow_connection()).get_hook()

    assert isinstance(hook, SmtpCmHook)
    assert hook.smtp_conn_id == "mail"


# --- get_conn


def test_client_is_open_and_logged_in(server, hook_for):
    with hook_for(server.airflow_connection()).get_conn() as client:
        assert str(client.login) == "NTLM"
        assert client.tls.version == "TLSv1.3"
        client.send(MAIL)
        client.send(MAIL)

    assert len(server.outbox) == 2


def test_client_ends_with_quit(hook_for):
    with (
        scripted_peer([*INTRODUCTION, expect("QUIT"), say("221 bye")]) as peer,
        hook_for(anonymous(peer.port)).get_conn(),
    ):
        pass

    assert peer.commands[-1] == "QUIT"


def test_each_client_has_its_own_connection(server, hook_for):
    hook = hook_for(server.airflow_connection())
    with hook.get_conn() as one, hook.get_conn() as other:
        one.send(MAIL)
        other.send(MAIL)

    assert len(server.outbox) == 2


def test_missing_connection_is_an_error_with_the_text_of_ssis():
    with pytest.raises(AirflowNotFoundException, match=r'^The specified connection "nowhere" does not exist\.'):
        SmtpCmHook("nowhere").get_conn()


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (
            r'{"conn_type": "smtp_cm", "login": "CORP\svc-airflow", "password": "Pa55word"}',
            rf"it is not valid JSON (Invalid \escape, line 1, column 40). {TWICE}",
        ),
        (
            r'{"conn_type": "smtp_cm", "login": "CORP\users", "password": "Pa55word"}',
            rf"it is not valid JSON (Invalid \uXXXX escape, line 1, column 41). {TWICE}",
        ),
        (
            '{"conn_type": "smtp_cm",\n"password": "Pa55word" "host": "mail"}',
            "it is not valid JSON (Expecting ',' delimiter, line 2, column 24).",
        ),
        (
            '{"conn_type": "smtp_cm", "password": "Pa55word", "port": "Pa55word"}',
            "Airflow cannot make a connection of this JSON. Check its keys and the port.",
        ),
        ("smtp-cm://mail:Pa55word", "Airflow cannot read it. Write it as JSON or as a URI."),
    ],
)
def test_environment_variable_that_airflow_cannot_read_is_the_reason(define, written, reason):
    define(written, "mail")

    with pytest.raises(AirflowNotFoundException) as caught:
        SmtpCmHook("mail").get_conn()

    assert str(caught.value) == (
        'The specified connection "mail" does not exist. '
        f"The environment variable AIRFLOW_CONN_MAIL is set, but {reason}"
    )


def test_line_ends_of_an_id_do_not_reach_the_log():
    with pytest.raises(AirflowNotFoundException, match=r'"a<U\+000A>b"'):
        SmtpCmHook("a\nb").get_conn()


def test_all_problems_with_the_connection_are_reported_before_connecting(hook_for):
    with pytest.raises(SettingsError) as caught:
        hook_for(connection(enable_ssl="perhaps", timeout=-1)).get_conn()

    assert len(caught.value.problems) == 3  # no server, either


def test_wrong_password_is_an_error(server, hook_for):
    with pytest.raises(AuthenticationRefused):
        hook_for(server.airflow_connection(password=WRONG)).get_conn()


# --- a setting that is nearly right


NEARLY_RIGHT = {"UseWindowsAuthentication": True, "EnableSsl": True}


def from_the_environment(given, define, _folder):
    define(json.dumps(given), "mail")


def from_the_environment_as_a_uri(given, define, _folder):
    extra = given.pop("extra")
    query = urlencode({name: json.dumps(value) for name, value in extra.items()})
    define(f"smtp-cm://{given['host']}:{given['port']}/?{query}", "mail")


def from_the_form(given, define, _folder):
    """It saves a connection in the database; its button "Test" passes that on as a URI."""
    saved = DatabaseConnection(conn_id="mail", **given | {"extra": json.dumps(given["extra"])})
    define(saved.get_uri(), "mail")


def from_a_secrets_back_end(given, define, folder):
    file = folder / "connections.json"
    file.write_text(json.dumps({"mail": given}))
    found = LocalFilesystemBackend(connections_file_path=str(file)).get_connection("mail")
    define(found.as_json(), "mail")


@pytest.mark.parametrize(
    "source",
    [from_the_environment, from_the_environment_as_a_uri, from_the_form, from_a_secrets_back_end],
)
@pytest.mark.parametrize("prefix", ["", "extra__smtp_cm__"])
def test_nothing_is_sent_if_a_setting_is_nearly_right(define, tmp_path, source, prefix):
    extra = {f"{prefix}{name}": value for name, value in NEARLY_RIGHT.items()}
    (port,) = free_ports(1)  # to connect would be another error
    source({"conn_type": "smtp_cm", "host": "127.0.0.1", "port": port, "extra": extra}, define, tmp_path)
    with pytest.raises(SettingsError) as caught:
        SmtpCmHook("mail").send(MAIL)

    assert SmtpCmHook("mail").test_connection() == (False, str(caught.value))
    assert caught.value.problems == (
        f'The extra has no key "{prefix}UseWindowsAuthentication": the key is use_windows_authentication.',
        f'The extra has no key "{prefix}EnableSsl": the key is enable_ssl.',
    )


# --- typing errors in user and password


def test_typing_errors_that_cannot_be_meant_are_reported_before_connecting(define):
    (port,) = free_ports(1)  # to connect would be another error
    define(
        connection(
            host="127.0.0.1",
            port=port,
            login=r"CORP\\airflow ",
            password=f"{WRONG}\n",
            use_windows_authentication=True,
        )
    )
    worked, message = SmtpCmHook().test_connection()

    assert not worked
    assert [line.split(" ")[1] for line in message.splitlines()] == ["user", "user", "password"]
    assert WRONG not in message


def test_password_that_ends_in_a_blank_is_kept(hook_for):
    with SmtpTestServer(users={r"CORP\airflow": "ends in a blank "}) as server:
        hook_for(server.airflow_connection()).send(MAIL)

    assert len(server.outbox) == 1


def test_blank_at_the_end_of_a_refused_password_is_named(server, hook_for):
    with pytest.raises(
        AuthenticationRefused, match="Possible typing error: the password begins or ends with a space"
    ) as bad:
        hook_for(server.airflow_connection(password=f"{ALICE.password} ")).get_conn()

    assert ALICE.password not in str(bad.value)


# --- send


def test_message_is_sent(server, hook_for):
    result = hook_for(server.airflow_connection()).send(MAIL)

    assert result.accepted == ("bob@corp.test",)
    assert result.message_id == MAIL.message_id
    assert [received.message["Message-ID"] for received in server.outbox] == [MAIL.message_id]


def test_message_is_sent_to_the_others_if_one_recipient_is_refused(postfix, certificates, hook_for):
    message = mail("bob@corp.test; refused@corp.test")
    with pytest.raises(RecipientsRefused) as caught:
        hook_for(to_postfix(postfix, certificates)).send(message)

    assert caught.value.result.accepted == ("bob@corp.test",)
    assert [refusal.address for refusal in caught.value.refused] == ["refused@corp.test"]
    postfix.wait_for_message(message.message_id)


def test_all_or_nothing_sends_to_no_recipient_if_one_is_refused(postfix, certificates, hook_for):
    hook = hook_for(to_postfix(postfix, certificates))
    message = mail("bob@corp.test; refused@corp.test")
    with pytest.raises(RecipientsRefused) as caught:
        hook.send(message, all_or_nothing=True)

    assert caught.value.result is None
    later = mail("bob@corp.test")
    hook.send(later)
    postfix.wait_for_message(later.message_id)
    assert postfix.copies()[message.message_id] == 0


@pytest.mark.parametrize(("own", "sender"), [("desk@corp.test", "desk@corp.test"), ("", "airflow@corp.test")])
def test_message_without_a_sender_is_from_the_connections_or_the_sites(server, hook_for, monkeypatch, own, sender):
    monkeypatch.setenv("AIRFLOW__SMTP_CM__DEFAULT_FROM", "airflow@corp.test")
    hook = hook_for(server.airflow_connection(from_email=own))
    message = MailMessage(to="bob@corp.test", subject="Hello")
    result = hook.send(message)
    with hook.get_conn() as client:
        client.send(message)
        list(client.send_all([message]))
    hook.send(MAIL)

    assert [received.sender for received in server.outbox] == [sender, sender, sender, "alice@corp.test"]
    assert {received.message["Message-ID"] for received in server.outbox[:3]} == {result.message_id}


def test_message_without_any_sender_is_an_error_before_anything_connects(define):
    define(connection(host="127.0.0.1", port=free_ports(1)[0]))

    with pytest.raises(InvalidMessage, match=r"^from_email: Neither the message nor the connection has a sender"):
        SmtpCmHook().send(MailMessage(to="bob@corp.test"))


# --- from_connection


@pytest.mark.parametrize("kind", [Connection, DatabaseConnection])
def test_connection_object_is_not_looked_up(server, kind):
    hook = SmtpCmHook.from_connection(sdk_connection(server.airflow_connection(), kind))
    hook.send(MAIL)

    assert hook.smtp_conn_id == "mail"
    assert len(server.outbox) == 1


def test_connection_object_is_validated_at_once():
    with pytest.raises(SettingsError, match="server is not specified"):
        SmtpCmHook.from_connection(sdk_connection(connection()))


# --- test_connection


def test_success_describes_the_session(server, hook_for):
    worked, message = hook_for(server.airflow_connection()).test_connection()

    assert worked
    assert message.splitlines() == [
        f"Connected to 127.0.0.1:{server.port} with TLSv1.3.",
        "Logged in by NTLM.",
        "Maximum message size: 33,554,432 bytes.",
    ]
    assert server.outbox == []


def test_success_without_tls_and_login_is_described(hook_for):
    dialogue = [expect("NOOP"), say("250 ok"), expect("QUIT"), say("221 bye")]
    with scripted_peer([*INTRODUCTION, *dialogue]) as peer:
        worked, message = hook_for(anonymous(peer.port)).test_connection()

    assert worked
    assert message.splitlines() == [
        f"Connected to 127.0.0.1:{peer.port} without TLS.",
        "Not logged in: mail is sent anonymously.",
        "The server announces no maximum message size.",
    ]


def test_success_with_kerberos_is_described(postfix, kdc, certificates, hook_for, monkeypatch):
    monkeypatch.setenv("KRB5CCNAME", kdc.ticket())
    hook = hook_for(to_postfix(postfix, certificates, login=None, password=None, mechanism="auto"))

    assert "Logged in by GSSAPI with Kerberos." in hook.test_connection()[1]


def test_wrong_password_is_reported_without_it(server, hook_for):
    worked, message = hook_for(server.airflow_connection(password=WRONG)).test_connection()

    assert not worked
    assert "refused the login by NTLM" in message
    assert "Check the user, the password" in message
    assert WRONG not in message


def test_unknown_host_is_reported(hook_for):
    worked, message = hook_for(connection(host="nowhere.invalid")).test_connection()

    assert not worked
    assert message.startswith("Cannot connect to nowhere.invalid:25")
    assert "Check the server's name." in message


def test_closed_port_is_reported(hook_for):
    (port,) = free_ports(1)
    worked, message = hook_for(anonymous(port)).test_connection()

    assert not worked
    assert message.startswith(f"Cannot connect to 127.0.0.1:{port}")


def test_untrusted_certificate_is_reported(server, hook_for):
    worked, message = hook_for(server.airflow_connection(ca_bundle=None)).test_connection()

    assert not worked
    assert "is not accepted for localhost" in message
    assert "set the CA bundle" in message


def test_server_without_windows_authentication_is_reported(postfix, certificates, hook_for):
    worked, message = hook_for(to_postfix(postfix, certificates, "basic_only")).test_connection()

    assert not worked
    assert "it offers PLAIN, LOGIN" in message


def test_missing_connection_is_reported():
    worked, message = SmtpCmHook("nowhere").test_connection()

    assert not worked
    assert message.startswith('The specified connection "nowhere" does not exist.')


def test_invalid_settings_are_reported_one_per_line(hook_for):
    worked, message = hook_for(connection(timeout=-1, password=WRONG)).test_connection()

    assert not worked
    assert [line.split()[0] for line in message.splitlines()] == ["timeout", "The", "password"]
    assert WRONG not in message


def test_other_type_is_reported(hook_for):
    worked, message = hook_for(connection(conn_type="smtp", host="mail")).test_connection()

    assert not worked
    assert message.startswith('Connection "smtp_cm_default" is not of type SMTP Connection Manager (smtp_cm)')


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), KeyError("x"), RuntimeError()])
def test_unexpected_errors_are_reported(hook_for, monkeypatch, error):
    """Else Airflow's server would reply with an internal error."""

    def broken(*_, **__):
        raise error

    monkeypatch.setattr(SmtpClient, "open", broken)
    worked, message = hook_for(connection(host="mail")).test_connection()

    assert not worked
    assert message == f"The test failed unexpectedly: {type(error).__name__}: {error}"


@pytest.mark.parametrize(
    "script",
    [
        [say("554 no"), wait_for_close()],
        [say("220 hi"), expect("EHLO"), say("554 no"), wait_for_close()],
        [*INTRODUCTION, expect("NOOP"), say("554 no"), expect("QUIT"), say("221 bye"), wait_for_close()],
    ],
    ids=["greeting", "EHLO", "NOOP"],
)
def test_connection_is_closed_after_every_failure(hook_for, script):
    with scripted_peer(script) as peer:
        worked, message = hook_for(anonymous(peer.port)).test_connection()
        gc.collect()  # an open socket makes a ResourceWarning, which is an error here

    assert not worked
    assert "554 no" in message


@pytest.mark.parametrize(
    ("given", "wait", "total"),
    [
        ({}, 10, 20),
        ({"timeout": 0.022}, 10, 20),
        ({"timeout": 60, "total_timeout": 90}, 10, 20),
        ({"timeout": 3, "total_timeout": 5}, 3, 5),
    ],
)
def test_timeouts_are_short(hook_for, monkeypatch, given, wait, total):
    """A user waits for the result, and the process serves other users, too."""
    asked = []

    def record(settings, **_):
        asked.append(settings.timeouts)
        raise OSError

    monkeypatch.setattr(SmtpClient, "open", record)
    hook_for(connection(host="mail", **given)).test_connection()

    (timeouts,) = asked
    assert timeouts.total == total
    assert {timeouts.connect, timeouts.tls, timeouts.command, timeouts.data_block, timeouts.final} == {wait}


def test_silent_server_is_reported(hook_for, monkeypatch):
    impatient_in(Phase.GREETING, monkeypatch)
    with scripted_peer([wait_for_close()]) as peer:
        worked, message = hook_for(anonymous(peer.port)).test_connection()

    assert not worked
    assert f"127.0.0.1:{peer.port} did not answer in time (greeting)" in message


def test_dialogue_can_be_traced(server, hook_for):
    events = []
    hook_for(server.airflow_connection()).test_connection(trace=events.append)

    sent = [event.text for event in events if event.direction == "C"]
    assert sent[1:] == ["STARTTLS", sent[0], "AUTH NTLM ********", "********", "NOOP", "QUIT"]


def test_airflows_own_test_uses_it(server, monkeypatch):
    """The API and the command line call it."""
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", server.airflow_connection())
    worked, message = sdk_connection(server.airflow_connection(), DatabaseConnection).test_connection()

    assert worked, message


# --- Airflow's own Kerberos tickets


@pytest.fixture
def kerberized(monkeypatch):
    """Configure Airflow for Kerberos, in a process whose environment has no ticket cache."""
    monkeypatch.delenv("KRB5CCNAME", raising=False)
    monkeypatch.delenv("_AIRFLOW__REEXECUTED_PROCESS", raising=False)
    monkeypatch.setenv("AIRFLOW__CORE__SECURITY", "kerberos")
    monkeypatch.setenv("AIRFLOW__KERBEROS__CCACHE", "/tmp/airflow_krb5_ccache")


@pytest.mark.usefixtures("kerberized")
class TestAirflowsTicketCache:
    """``airflow kerberos`` renews it; Airflow's own commands name it in KRB5CCNAME, a script does not."""

    def test_it_is_used(self, hook_for):
        assert hook_for(connection(host="mail")).connection_manager.ccache == "/tmp/airflow_krb5_ccache"

    def test_it_is_used_for_a_connection_object(self):
        hook = SmtpCmHook.from_connection(sdk_connection(connection(host="mail")))

        assert hook.connection_manager.ccache == "/tmp/airflow_krb5_ccache"

    def test_the_environment_has_precedence(self, hook_for, monkeypatch):
        monkeypatch.setenv("KRB5CCNAME", "FILE:/tmp/other")

        assert hook_for(connection(host="mail")).connection_manager.ccache is None

    def test_it_is_not_used_by_tasks_that_run_as_another_user(self, hook_for, monkeypatch):
        """They must not get Airflow's tickets."""
        monkeypatch.setenv("_AIRFLOW__REEXECUTED_PROCESS", "1")

        assert hook_for(connection(host="mail")).connection_manager.ccache is None

    @pytest.mark.parametrize("security", ["", "other"])
    def test_it_is_used_only_if_airflow_uses_kerberos(self, hook_for, monkeypatch, security):
        monkeypatch.setenv("AIRFLOW__CORE__SECURITY", security)

        assert hook_for(connection(host="mail")).connection_manager.ccache is None

    def test_the_login_with_it_succeeds(self, postfix, kdc, certificates, hook_for, monkeypatch):
        monkeypatch.setenv("AIRFLOW__KERBEROS__CCACHE", kdc.ticket().removeprefix("FILE:"))
        message = mail("bob@corp.test")
        hook_for(to_postfix(postfix, certificates, login=None, password=None, mechanism="kerberos")).send(message)

        assert "Authenticated sender: alice" in postfix.wait_for_message(message.message_id)["Received"]
