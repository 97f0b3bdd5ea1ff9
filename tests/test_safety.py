"""Safety settings: restrictions on all mail of a deployment."""

import asyncio
from configparser import ConfigParser

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, conf

from airflow_smtp_cm.decorators.send_mail import send_mail_task
from airflow_smtp_cm.email_backend import send_email
from airflow_smtp_cm.get_provider_info import get_provider_info
from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.notifications.send_mail import SendMailNotifier
from airflow_smtp_cm.operators.send_mail import SendMailOperator
from airflow_smtp_cm.safety import SafetySettings
from airflow_smtp_cm.smtp.errors import SettingsError
from tests.airflow_versions import since_3_1
from tests.connections import connection
from tests.failing import fails_permanently
from tests.servers.processes import free_ports
from tests.smtp.outgoing import Note

TO_MANY = [f"user{number}@corp.test" for number in range(5)]


@pytest.fixture
def unreachable(monkeypatch):
    """A connection to a port without a server: an attempt to connect would be another error."""
    (port,) = free_ports(1)
    monkeypatch.setenv(
        "AIRFLOW_CONN_SMTP_CM_DEFAULT", connection(host="127.0.0.1", port=port, from_email="a@corp.test")
    )


@pytest.fixture
def configure(monkeypatch):
    """Return a function that sets options of [smtp_cm]."""

    def configure(**options: str) -> None:
        for name, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__SMTP_CM__{name.upper()}", value)

    return configure


def mail(**changes):
    return MailMessage(**{"from_email": "alice@corp.test", "to": "bob@corp.test", "subject": "Hello"} | changes)


def send_by_hook(**fields):
    SmtpCmHook().send(mail(**fields))


def send_by_client(**fields):
    with SmtpCmHook().get_conn() as client:
        client.send(mail(**fields))


def send_by_operator(**fields):
    SendMailOperator(task_id="send", **{"to": "bob@corp.test", "subject": "Hello"} | fields).execute({})


def send_by_function(**fields):
    @send_mail_task
    def send():
        return mail(**fields)

    send().operator.execute({})


def send_one_of_several(**fields):
    SendMailOperator(task_id="send", messages=[{"to": "bob@corp.test", "subject": "Hello"} | fields]).execute({})


def send_by_notifier(**fields):
    SendMailNotifier(**{"to": "bob@corp.test", "subject": "Hello"} | fields).notify({})


def send_by_async_notifier(**fields):
    async def notify():
        await SendMailNotifier(**{"to": "bob@corp.test", "subject": "Hello"} | fields, context={})

    asyncio.run(notify())


def send_by_email_backend(to="bob@corp.test", subject="Hello", **fields):
    send_email(to, subject, "Text", **fields)


WAYS_THAT_CONNECT = [
    send_by_hook,
    send_by_operator,
    send_by_function,
    send_one_of_several,
    send_by_notifier,
    pytest.param(send_by_async_notifier, marks=since_3_1),
    send_by_email_backend,
]


@pytest.mark.parametrize("send", [*WAYS_THAT_CONNECT, send_by_client])
@pytest.mark.parametrize(
    "variable",
    [
        *[
            "AIRFLOW__SMTP_CM__REDIRECT_TO",
            "AIRFLOW__SMTP_CM__redirect_all_to",
            "AIRFLOW__SMTP_CM__REDIRECT_ALL_TO_CMD",
        ],
        *["AIRFLOW__SMTPCM__REDIRECT_ALL_TO", "AIRFLOW_SMTP_CM__REDIRECT_ALL_TO", "AIRFLOW__SMTP_CM_REDIRECT_ALL_TO"],
        *["AIRFLOW__AIRFLOW_SMTP_CM__REDIRECT_ALL_TO", "AIRFLOW__SMTP-CM__REDIRECT_ALL_TO"],
        *["AIRFLOW__SMTP__REDIRECT_ALL_TO", "AIRFLOW__EMAIL__ALLOWED_RECIPIENT_DOMAINS"],
    ],
)
@pytest.mark.usefixtures("unreachable")
def test_nothing_is_sent_if_an_option_is_misspelt_in_the_environment(monkeypatch, variable, send):
    monkeypatch.setenv(variable, "staging@corp.test")

    with pytest.raises((InvalidMessage, SettingsError, AirflowFailException), match=rf"unknown option {variable}\."):
        send()


@pytest.mark.parametrize(
    ("section", "option"),
    [
        ("smtp_cm", "redirect_to"),
        ("smtp-cm", "redirect_all_to"),
        ("SMTP_CM", "default_from"),
        ("airflow_smtp_cm", "x"),
        ("smtp", "redirect_all_to"),
        ("email", "allowed_recipient_domains"),
    ],
)
def test_misspelt_option_in_the_configuration_file_is_an_error(monkeypatch, section, option):
    file = ConfigParser()
    file.read_dict({"smtp_cm": {"default_from": "a@corp.test"}, "smtp": {"x": "y"}} | {section: {option: "x"}})
    monkeypatch.setattr("airflow_smtp_cm.safety.conf", file)

    with pytest.raises(SettingsError) as caught:
        SafetySettings.from_config()

    (problem,) = caught.value.problems
    assert f"unknown option [{section}] {option}." in problem


@pytest.mark.parametrize("text", [",", ";", " ; ", "\ufeff", "\u200b;"])
@pytest.mark.parametrize("option", ["redirect_all_to", "allowed_recipient_domains"])
def test_restriction_that_contains_nothing_is_an_error(configure, option, text):
    configure(**{option: text})

    with pytest.raises(SettingsError, match=rf"\[smtp_cm\] {option}: "):
        SafetySettings.from_config()


@pytest.mark.parametrize("send", [*WAYS_THAT_CONNECT, send_by_client])
def test_redirected_message_goes_nowhere_else_and_names_its_original_recipients(server, configure, send):
    configure(redirect_all_to="Staging <staging@corp.test>; ops@corp.test")
    send(to="Bob <bob@corp.test>", cc="carol@corp.test", bcc="dave@corp.test")

    (received,) = server.outbox
    message = received.message
    assert received.recipients == ("staging@corp.test", "ops@corp.test")
    assert message["To"] == "Staging <staging@corp.test>, ops@corp.test"
    assert message["Cc"] is None
    assert message["Subject"] == "[to bob@corp.test, carol@corp.test, dave@corp.test] Hello"
    assert message["X-Original-To"] == "Bob <bob@corp.test>"
    assert message["X-Original-Cc"] == "carol@corp.test"
    assert message["X-Original-Bcc"] == "dave@corp.test"


def test_subject_names_a_few_of_many_recipients_and_the_header_all(server, configure):
    configure(redirect_all_to="staging@corp.test")
    send_by_hook(to=TO_MANY)

    (received,) = server.outbox
    message = received.message
    assert message["Subject"] == "[to user0@corp.test, user1@corp.test, user2@corp.test and 2 more] Hello"
    assert message["X-Original-To"] == ", ".join(TO_MANY)


def test_redirected_message_is_otherwise_unchanged(server, configure):
    configure(redirect_all_to="staging@corp.test")
    original = mail(text="Text", html="<p>Text</p>", priority="High", headers={"X-Report": "sales"})
    SmtpCmHook().send(original)

    (received,) = server.outbox
    message = received.message
    assert [message[name] for name in ("From", "Message-ID", "X-Priority", "X-Report")] == [
        "alice@corp.test",
        original.message_id,
        "1",
        "sales",
    ]
    assert message.get_body(("html",)).get_content() == "<p>Text</p>"


def test_message_to_the_redirection_address_is_unchanged(server, configure):
    configure(redirect_all_to="staging@corp.test")
    send_by_hook(to="staging@corp.test")

    assert server.outbox[0].message["Subject"] == "Hello"
    assert server.outbox[0].message["X-Original-To"] is None


def test_message_that_cannot_be_redirected_is_not_sent(server, configure):
    configure(redirect_all_to="staging@corp.test")
    with (
        SmtpCmHook().get_conn() as client,
        pytest.raises(InvalidMessage, match="Only a MailMessage can be redirected"),
    ):
        client.send(Note())

    assert server.outbox == []


@pytest.mark.parametrize("send", WAYS_THAT_CONNECT)
@pytest.mark.usefixtures("unreachable")
def test_message_to_another_domain_is_an_error_before_connecting(configure, send):
    configure(allowed_recipient_domains="corp.test, example.org")
    with pytest.raises((InvalidMessage, AirflowFailException)) as raised:
        send(to="bob@corp.test", cc="eve@evil.test", bcc="mallory@sub.corp.test")

    assert "must not send mail to eve@evil.test, mallory@sub.corp.test" in str(raised.value)
    assert "allowed_recipient_domains permits only corp.test, example.org" in str(raised.value)


def deliver(**fields):
    SendMailOperator(task_id="send").deliver({}, lambda _: mail(**fields))


@pytest.mark.parametrize("send", [deliver, send_one_of_several])
@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"redirect_all_to": "staging@corp.test"}, "Only a MailMessage can be redirected"),
        ({"allowed_recipient_domains": "example.org"}, "must not send mail to bob@corp.test"),
    ],
)
def test_client_verifies_the_messages_of_a_task(server, configure, monkeypatch, send, option, reason):
    configure(**option)
    monkeypatch.setattr("airflow_smtp_cm.task.delivery.items.message_of", lambda *_: mail())
    with fails_permanently(match=reason):
        send()

    assert server.outbox == []


def test_client_sends_nothing_to_another_domain(server, configure):
    configure(allowed_recipient_domains="corp.test")
    with SmtpCmHook().get_conn() as client:
        for message in (mail(cc="eve@evil.test"), Note(recipients=("eve@evil.test",))):
            with pytest.raises(InvalidMessage, match=r"must not send mail to eve@evil\.test"):
                client.send(message)
        client.send(mail())

    assert len(server.outbox) == 1


@pytest.mark.parametrize("domains", ["CORP.test", "example.org;corp.test", " example.org\n corp.test ", ""])
def test_message_to_an_allowed_domain_is_sent(server, configure, domains):
    configure(allowed_recipient_domains=domains)
    send_by_hook(to="bob@Corp.TEST")

    assert len(server.outbox) == 1


def test_domain_may_be_written_in_any_script(server, configure):
    configure(allowed_recipient_domains="bücher.test")
    send_by_hook(to="bob@xn--bcher-kva.test")

    assert len(server.outbox) == 1


def test_invisible_characters_around_addresses_in_the_settings_are_removed(server, configure, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", server.airflow_connection(from_email=""))
    configure(
        redirect_all_to="\ufeffstaging@corp.test\u200b; \u2060ops@corp.test",
        allowed_recipient_domains="\ufeffcorp.test\u00a0",
        default_from="\u200eAirflow <airflow@corp.test>\u200e",
    )
    send_by_operator()

    (received,) = server.outbox
    assert received.sender == "airflow@corp.test"
    assert received.recipients == ("staging@corp.test", "ops@corp.test")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("redirect_all_to", "staging\u200b@corp.test"),
        ("allowed_recipient_domains", "corp\u200b.test"),
        ("default_from", "air\u200bflow@corp.test"),
    ],
)
@pytest.mark.usefixtures("unreachable")
def test_invisible_character_in_a_setting_is_named(configure, monkeypatch, option, value):
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", connection(host="mail.corp.test"))
    configure(**{option: value})
    with fails_permanently(match=r"U\+200B ZERO WIDTH SPACE"):
        send_by_operator()


def test_allowed_domains_apply_to_the_redirection_address(server, configure):
    """In a staging environment, the domains of the original recipients need not be allowed."""
    configure(redirect_all_to="staging@corp.test", allowed_recipient_domains="corp.test")
    send_by_hook(to="customer@example.org")
    configure(redirect_all_to="staging@example.org")
    with pytest.raises(InvalidMessage, match=r"must not send mail to staging@example\.org"):
        send_by_hook()

    assert [received.recipients for received in server.outbox] == [("staging@corp.test",)]


@pytest.mark.parametrize(
    ("option", "value"), [("redirect_all_to", "staging"), ("allowed_recipient_domains", "corp.test, @corp.test")]
)
@pytest.mark.usefixtures("unreachable")
def test_with_an_invalid_setting_nothing_is_sent(configure, option, value):
    configure(**{option: value})
    with pytest.raises(SettingsError, match=rf"\[smtp_cm\] {option}: "):
        send_by_hook()
    with fails_permanently(match=rf"\[smtp_cm\] {option}: "):
        send_by_operator()


def test_default_sender_is_used_if_neither_task_nor_connection_has_one(server, configure, monkeypatch):
    configure(default_from="Airflow <airflow@corp.test>")
    send_by_operator()
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_CM_DEFAULT", server.airflow_connection(from_email=""))
    send_by_operator()
    send_by_operator(from_email="ann@corp.test")
    send_by_email_backend()

    assert [received.message["From"] for received in server.outbox] == [
        "Reports <reports@corp.test>",
        "Airflow <airflow@corp.test>",
        "ann@corp.test",
        "Airflow <airflow@corp.test>",
    ]


def test_effects_on_a_message_are_described(configure):
    assert list(SmtpCmHook().safety.effects_on(mail())) == []
    configure(
        redirect_all_to="staging@corp.test; ops@corp.test",
        allowed_recipient_domains="corp.test, example.org",
        default_from="alice@corp.test",
    )

    redirected, *others = SmtpCmHook().safety.effects_on(mail())
    assert redirected.startswith(
        "[smtp_cm] redirect_all_to: The message goes only to staging@corp.test, ops@corp.test."
    )
    assert others == [
        "[smtp_cm] allowed_recipient_domains: All recipients are in corp.test, example.org.",
        "[smtp_cm] default_from: The sender is alice@corp.test.",
    ]
    assert len(list(SmtpCmHook().safety.effects_on(mail(from_email="ann@corp.test")))) == 2


def test_airflow_documents_the_settings():
    options = get_provider_info()["config"]["smtp_cm"]["options"]

    assert options.keys() == {
        "redirect_all_to",
        "allowed_recipient_domains",
        "default_from",
        "subject_prefix",
        "html_template",
    }


@pytest.mark.parametrize("option", ["redirect_all_to", "subject_prefix"])
def test_a_percent_sign_that_airflow_cannot_read_is_an_error_that_says_how_to_write_it(option):
    conf.read_string(f"[smtp_cm]\n{option} = [100%]\n")
    try:
        with pytest.raises(SettingsError, match=rf"^\[smtp_cm\] {option}: .* write % as %%\.$"):
            SafetySettings.from_config()
    finally:
        conf.remove_option("smtp_cm", option)
