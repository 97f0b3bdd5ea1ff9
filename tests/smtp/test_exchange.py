"""What Exchange's replies mean: in the errors of a session with Exchange, and nowhere else."""

from __future__ import annotations

import re

import pytest

from airflow_smtp_cm.smtp.errors import (
    AuthenticationNotOffered,
    AuthenticationRefused,
    Phase,
    RecipientsRefused,
    Refused,
    StartTlsNotOffered,
)
from airflow_smtp_cm.smtp.exchange import MEANINGS, explain
from airflow_smtp_cm.smtp.reply import Reply
from airflow_smtp_cm.smtp.session import Session
from airflow_smtp_cm.smtp.settings import (
    Identity,
    MechanismChoice,
    Settings,
    Tls,
    TlsMode,
    WindowsAuthentication,
)
from airflow_smtp_cm.smtp.trace import Trace
from airflow_smtp_cm.testing import esmtp_inspection
from tests.smtp.driver import ehlo
from tests.smtp.outgoing import Note
from tests.testing.test_exchange import exchange, manager

GREETING = "220 EXCH01.corp.example Microsoft ESMTP MAIL Service ready at Sun, 1 Nov 2026 10:00:00 +0100"
NOT_THIS_SENDER = "550 5.7.60 SMTP; Client does not have permissions to send as this sender"
ADVICE = 'grant it "Send As" for the sender\'s mailbox'

PASSWORD = WindowsAuthentication(identity=Identity(username=r"CORP\alice", password="secret"))
TICKET = WindowsAuthentication()
KERBEROS = WindowsAuthentication(identity=PASSWORD.identity, mechanism=MechanismChoice.KERBEROS)


def reply(text: str) -> Reply:
    code, _, rest = text.partition(" ")
    return Reply(int(code), (rest,))


def opened(driver, *extensions, greeting=GREETING, **settings):
    session = driver.session(**settings)
    driver.feed(greeting)
    driver.run(session.open("me.test"), ehlo(*extensions))
    return session


def send(driver, session, *answers, note=Note()):  # noqa: B008 - it is frozen
    return driver.run(session.send(note, all_or_nothing=False, notification=None), *answers)


# --- the table


@pytest.mark.parametrize("meaning", MEANINGS, ids=lambda meaning: meaning.reply)
def test_reply_has_one_meaning(meaning):
    shown, logged_in = reply(meaning.reply), bool(meaning.logged_in)

    assert [other for other in MEANINGS if other.fits(shown, logged_in=logged_in)] == [meaning]
    assert explain([shown, shown], logged_in=logged_in) == f"{meaning.meaning} {meaning.advice}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "421 4.3.2 The maximum number of concurrent server connections has exceeded a per-source limit",
            "Airflow pool",
        ),
        ("421 4.3.2 Service not available", "maintenance"),
        ("421 4.3.2 System not accepting network messages", "transport agent"),
        ("451 4.3.2 System not accepting network messages", "transport agent"),
        ("550 5.7.1 Client does not have permissions to submit to this server", "Add ExchangeUsers"),
        ("550 5.7.1 Client does not have permissions to send on behalf of the from address", "header From"),
        ("530 5.7.1 Client was not authenticated", "requires a login"),
        ("550 5.1.1 RESOLVER.ADR.ExRecipNotFound; not found", "no such recipient"),
        ("550 5.7.1 Unable to relay", "may not relay"),
        ("550 5.7.1 Client does not have permissions to send as this sender", "may not use this sender"),
    ],
)
def test_other_versions_of_a_reply_have_the_same_meaning(text, words):
    assert words in explain([reply(text)], logged_in=False)


@pytest.mark.parametrize(
    "text",
    [
        "550 5.7.1 Rejected by a rule",
        "550 5.7.1 Client host [10.5.1.15] is blocked",
        "250 2.1.0 Sender OK",
        "452 4.3.1 Out of memory",
    ],
)
def test_reply_without_a_known_meaning_is_not_explained(text):
    assert explain([reply(text)], logged_in=False) == ""


# --- errors


@pytest.mark.parametrize(
    ("greeting", "extensions"),
    [
        (GREETING, ()),
        ("220 mail.corp.example ready", ("X-EXPS GSSAPI NTLM",)),
        ("220 mail.corp.example ready", ("X-ANONYMOUSTLS",)),
        ("220 mail.corp.example ready", ("XRDST",)),
    ],
)
def test_exchange_is_recognized_by_its_greeting_or_its_extensions(driver, greeting, extensions):
    session = opened(driver, *extensions, greeting=greeting)
    with pytest.raises(Refused) as caught:
        send(driver, session, NOT_THIS_SENDER, "250 reset")

    assert str(caught.value).startswith(
        f"mail.test:25 refused the sender alice@corp.test: {NOT_THIS_SENDER}. On Exchange: "
    )
    assert ADVICE in str(caught.value)


@pytest.mark.parametrize(
    "greeting",
    [
        "220 mail.corp.example ESMTP Postfix",
        # the SMTP service of Windows
        "220 mail.corp.example Microsoft ESMTP MAIL Service, Version: 10.0.17763.1 ready at Sun, 1 Nov 2026 10:00:00",
    ],
)
def test_reply_of_another_server_is_not_explained(driver, greeting):
    session = opened(driver, "AUTH GSSAPI NTLM", "XCLIENT", greeting=greeting)
    with pytest.raises(Refused) as caught:
        send(driver, session, NOT_THIS_SENDER, "250 reset")

    assert str(caught.value) == f"mail.test:25 refused the sender alice@corp.test: {NOT_THIS_SENDER}"


def test_refused_message_is_explained(driver):
    session = opened(driver)
    with pytest.raises(Refused, match="On Exchange: The header is larger than MaxHeaderSize"):
        send(driver, session, "250 a", "250 b", "354 go", "552 5.3.4 Header size exceeds fixed maximum size")


def test_refused_recipients_are_explained_once_for_each_meaning(driver):
    session = opened(driver)
    note = Note(recipients=("a@corp.test", "b@fabrikam.test", "c@fabrikam.test"))
    relay = "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"
    with pytest.raises(RecipientsRefused) as caught:
        send(driver, session, "250 m", "250 a", relay, relay, "354 go", "250 sent", note=note)

    text = str(caught.value)
    assert text.count("On Exchange: The recipient is outside of the organization") == 1
    assert text.endswith(f"The message {note.message_id} was delivered to the other 1.")


def test_reply_530_asks_for_a_login_only_in_an_anonymous_session(driver):
    session = opened(driver)
    required = "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM"
    with pytest.raises(Refused, match=r"requires a login\. Turn on use_windows_authentication"):
        send(driver, session, required, "250 reset")

    session.wire.logged_in = True
    with pytest.raises(Refused, match="The account is logged in, and may not submit mail here") as caught:
        send(driver, session, required, "250 reset")

    assert "use_windows_authentication" not in str(caught.value)


def test_account_without_the_permission_to_submit_is_logged_in_and_refused():
    with (
        exchange(permission_groups=["ExchangeServers"]) as server,
        manager(server).acquire() as client,
        pytest.raises(Refused, match="Add ExchangeUsers to PermissionGroups"),
    ):
        client.send(Note())


def test_421_at_any_point_is_explained(driver):
    session = opened(driver)
    busy = "421 4.4.2 Message submission rate for this client has exceeded the configured limit"
    with pytest.raises(
        Refused, match=r"is closing the connection: 421 .*limit\. On Exchange: .* with messages_per_minute"
    ):
        send(driver, session, busy)


def test_421_in_place_of_the_greeting_is_explained(driver):
    session = driver.session()
    driver.feed(
        "421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing transmission channel"
    )
    with pytest.raises(Refused, match=r"On Exchange: .* Airflow pool"):
        driver.run(session.open("me.test"))


@pytest.mark.parametrize(
    "reply", ["421 4.3.2 Service not available", "421 4.7.0 The maximum number of concurrent connections is 5"]
)
def test_421_in_place_of_the_greeting_of_another_server_is_not_explained(driver, reply):
    session = driver.session()
    driver.feed(reply)
    with pytest.raises(Refused, match=f"{re.escape(reply)}$"):
        driver.run(session.open("me.test"))


def test_reply_in_a_login_is_explained(driver):
    session = driver.session(authentication=PASSWORD)
    driver.feed(GREETING)
    with pytest.raises(AuthenticationRefused, match="On Exchange: The server cannot reach a domain controller"):
        driver.run(session.open("me.test"), ehlo("AUTH NTLM"), "454 4.7.0 Temporary authentication failure")


# --- logins that are not offered


@pytest.mark.parametrize("lines", [("AUTH", "X-EXPS GSSAPI NTLM"), ("X-EXPS GSSAPI NTLM",), ("AUTH LOGIN", "XRDST")])
@pytest.mark.parametrize("windows", [PASSWORD, TICKET])
def test_connector_without_windows_authentication_names_the_box_to_select(driver, lines, windows):
    with pytest.raises(AuthenticationNotOffered) as caught:
        opened(driver, *lines, authentication=windows)

    assert 'Security, select "Integrated Windows authentication"' in str(caught.value)
    assert 'the permission group "Exchange users"' in str(caught.value)


@pytest.mark.parametrize(
    ("host", "lines"),
    [
        ("smtp.office365.com", ["AUTH LOGIN XOAUTH2"]),
        ("corp-example.mail.protection.outlook.com", ["SIZE 157286400"]),
        ("relay.corp.example", ["AUTH LOGIN XOAUTH2"]),
    ],
)
def test_exchange_online_has_other_advice(driver, host, lines):
    session = Session(Settings(host=host, authentication=PASSWORD), Trace())
    driver.feed(GREETING)
    with pytest.raises(AuthenticationNotOffered, match="Exchange Online has no Windows authentication") as caught:
        driver.run(session.open("me.test"), ehlo(*lines))

    assert "Receive connectors" not in str(caught.value)


@pytest.mark.parametrize("windows", [KERBEROS, TICKET])
def test_connector_without_kerberos_names_the_property(driver, windows):
    with pytest.raises(AuthenticationNotOffered, match=r"EnableAuthGSSAPI \$true"):
        opened(driver, "AUTH NTLM", authentication=windows)


def test_other_server_without_windows_authentication_has_no_boxes(driver):
    with pytest.raises(AuthenticationNotOffered) as caught:
        opened(driver, "AUTH LOGIN", greeting="220 ready", authentication=PASSWORD)

    assert "Exchange" not in str(caught.value)


def test_test_server_with_exchange_server_authentication_only():
    with (
        exchange(auth_mechanism=["Tls", "ExchangeServer"]) as server,
        pytest.raises(AuthenticationNotOffered, match="Integrated Windows authentication"),
    ):
        manager(server).acquire()


# --- STARTTLS that is masked


@pytest.mark.parametrize(
    ("keywords", "named"),
    [
        (["XXXXXXXA", "XXXB", "CHUNKING"], "the keyword (XXXXXXXA)."),
        (["XXXXXXXX", "CHUNKING"], "the keyword (XXXXXXXX)."),
        (["XXXXXXXA", "XXXB", "XXXXXXXC"], "the keyword (XXXXXXXA or XXXXXXXC)."),
        (["XXXXXXXA", "XXXB"], "a keyword that is STARTTLS or CHUNKING (XXXXXXXA)."),
    ],
)
def test_masked_starttls_names_the_firewall(driver, keywords, named):
    """CHUNKING has the same length."""
    session = driver.session(tls=Tls(mode=TlsMode.STARTTLS))
    driver.feed("220 ****")
    with pytest.raises(StartTlsNotOffered, match=re.escape(f"a firewall before it has masked {named}")) as caught:
        driver.run(session.open("me.test"), ehlo("SIZE 9", *keywords, "8BITMIME"))

    assert caught.value.phase is Phase.STARTTLS
    assert ("the server itself does not offer it" in str(caught.value)) is ("CHUNKING (" in named)


@pytest.mark.parametrize("keyword", ["XXXXXXA", "XXXXXXXXA", "XCLIENTS", "XFORWARD", "SIZE"])
def test_starttls_that_is_only_missing_names_no_firewall(driver, keyword):
    session = driver.session(tls=Tls(mode=TlsMode.STARTTLS))
    driver.feed("220 hi")
    with pytest.raises(StartTlsNotOffered, match=r"does not offer STARTTLS\. Enable SSL"):
        driver.run(session.open("me.test"), ehlo(keyword))


def test_test_server_behind_an_inspection():
    with (
        exchange() as server,
        esmtp_inspection(server) as port,
        pytest.raises(StartTlsNotOffered, match="XXXXXXXA"),
    ):
        manager(server, port=port).acquire()
