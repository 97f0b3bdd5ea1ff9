"""The SMTP connection manager: SSIS's properties and others, from and to an Airflow connection."""

import dataclasses
import json
import logging
import re
import subprocess
import sys
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from airflow.models.connection import Connection as DatabaseConnection
from airflow.providers.common.compat.sdk import Connection
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.characters.control import forbidden
from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.connection_manager.fields import CONNECTION_FIELDS
from airflow_smtp_cm.connection_manager.login_validation import password_problems, user_name_problems
from airflow_smtp_cm.get_provider_info import get_provider_info
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import SettingsError
from airflow_smtp_cm.smtp.settings import (
    ChannelBinding,
    Identity,
    MechanismChoice,
    Settings,
    Timeouts,
    Tls,
    TlsMode,
    WindowsAuthentication,
)
from tests.airflow_versions import AIRFLOW, MASK_SECRET

SECRET = "correct horse; battery=staple"


@pytest.fixture(autouse=True, scope="module")
def secrets_forgotten():
    """Else Airflow masks the many secrets of these tests in the logs of all later tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow.models.connection.mask_secret", lambda _: None)
        patch.setattr(MASK_SECRET, lambda _: None)
        yield


def airflow_connection(**given):
    """Return an object with the attributes of Airflow's Connection."""
    extra = given.pop("extra", None)
    values = {
        "conn_id": "c",
        "conn_type": "smtp_cm",
        "description": None,
        "host": "mail.example.com",
        "port": None,
        "login": None,
        "password": None,
        "schema": None,
        "extra": extra if extra is None or isinstance(extra, str) else json.dumps(extra),
    }
    connection = SimpleNamespace(**values | given)
    connection.extra_dejson = json.loads(connection.extra or "{}")
    return connection


def from_extra(**extra):
    return SmtpConnectionManager.from_airflow(airflow_connection(extra=extra))


def from_uri(uri):
    if AIRFLOW >= (3, 1):
        return SmtpConnectionManager.from_airflow(Connection.from_uri(uri, conn_id="c"))
    return SmtpConnectionManager.from_airflow(DatabaseConnection(conn_id="c", uri=uri))


def problems_of_connection(**given):
    with pytest.raises(SettingsError) as caught:
        SmtpConnectionManager.from_airflow(airflow_connection(**given))
    return caught.value.problems


def problems_of(**properties):
    with pytest.raises(SettingsError) as caught:
        SmtpConnectionManager(**{"smtp_server": "mail.example.com"} | properties).validate()
    return caught.value.problems


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """A readable file; its content does not matter here."""
    path = tmp_path_factory.mktemp("files") / "file.pem"
    path.touch()
    return str(path)


# --- the properties


def test_new_manager_is_the_same_as_a_new_one_of_ssis():
    manager = SmtpConnectionManager()

    assert manager.name == "SMTP Connection Manager"
    assert manager.connection_manager_type == SmtpConnectionManager.connection_manager_type == "SMTP"
    assert manager.connection_string == "SmtpServer=;UseWindowsAuthentication=False;EnableSsl=False;"


def test_properties_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SmtpConnectionManager().smtp_server = "x"


def test_secrets_are_not_shown():
    manager = SmtpConnectionManager(username="u", password=SECRET, client_key_password=SECRET)

    assert SECRET not in repr(manager)
    assert "password" not in repr(manager)


def test_empty_text_is_none_where_none_is_the_default():
    assert SmtpConnectionManager(username="", password="", port="", keytab="") == SmtpConnectionManager()


def test_properties_that_a_string_cannot_contain_are_given_beside_it():
    manager = SmtpConnectionManager.from_connection_string("SmtpServer=mail;", port=2525, name="Mail")

    assert manager == SmtpConnectionManager(smtp_server="mail", port=2525, name="Mail")


# --- settings


def test_default_manager_connects_to_port_25_anonymously_without_tls():
    assert SmtpConnectionManager(smtp_server="mail").settings() == Settings(host="mail")


def test_every_property_reaches_the_settings(pem):
    manager = SmtpConnectionManager(
        smtp_server="10.0.0.25",
        use_windows_authentication=True,
        enable_ssl=True,
        timeout=50,
        port=587,
        server_name="mail.example.com",
        ca_bundle=pem,
        client_certificate=pem,
        client_key=pem,
        client_key_password=SECRET,
        verify_certificate=False,
        username="svc@EXAMPLE.COM",
        password=SECRET,
        mechanism=MechanismChoice.KERBEROS,
        spn="smtp/mail.example.com",
        channel_binding=ChannelBinding.NONE,
        anonymous_if_not_offered=True,
        ccache="FILE:/tmp/cc",
        ehlo_name="worker.example.com",
        pipelining=False,
        chunking=True,
        total_timeout=300,
    )

    assert manager.settings() == Settings(
        host="10.0.0.25",
        port=587,
        server_name="mail.example.com",
        tls=Tls(
            mode=TlsMode.STARTTLS,
            ca_bundle=pem,
            client_certificate=pem,
            client_key=pem,
            client_key_password=SECRET,
            verify=False,
        ),
        authentication=WindowsAuthentication(
            identity=Identity(username="svc@EXAMPLE.COM", password=SECRET, ccache="FILE:/tmp/cc"),
            mechanism=MechanismChoice.KERBEROS,
            spn="smtp/mail.example.com",
            channel_binding=ChannelBinding.NONE,
            anonymous_if_not_offered=True,
        ),
        timeouts=Timeouts(connect=30, tls=30, command=50, data_block=50, final=50, total=300),
        ehlo_name="worker.example.com",
        pipelining=False,
        chunking=True,
    )


def test_keytab_reaches_the_settings(pem):
    manager = SmtpConnectionManager(
        smtp_server="mail", use_windows_authentication=True, username="svc@EXAMPLE.COM", keytab=pem
    )

    assert manager.settings().authentication == WindowsAuthentication(
        identity=Identity(username="svc@EXAMPLE.COM", keytab=pem)
    )


def test_windows_authentication_without_user_is_the_identity_of_the_process():
    """SSIS's UseDefaultCredentials."""
    manager = SmtpConnectionManager(smtp_server="mail", use_windows_authentication=True)

    assert manager.settings().authentication == WindowsAuthentication()


def test_ticket_cache_of_the_machine_does_not_switch_authentication_on():
    assert SmtpConnectionManager(smtp_server="mail", ccache="FILE:/tmp/cc").settings().authentication is None


@pytest.mark.parametrize(
    ("mode", "port", "expected"),
    [("starttls", None, 25), ("implicit", None, 465), ("implicit", 25, 25), ("starttls", 465, 465)],
)
def test_port_follows_the_tls_mode_unless_it_is_given(mode, port, expected):
    settings = SmtpConnectionManager(smtp_server="mail", enable_ssl=True, tls_mode=mode, port=port).settings()

    assert settings.port == expected
    assert settings.tls == Tls(mode=TlsMode(mode))


def test_total_timeout_does_not_need_the_timeout():
    assert SmtpConnectionManager(smtp_server="mail", total_timeout=9).settings().timeouts == Timeouts(total=9)


@pytest.mark.parametrize("server", ["2001:db8::25", "[2001:db8::25]"])
def test_ipv6_address_is_used_without_brackets(server):
    assert SmtpConnectionManager(smtp_server=server).settings().host == "2001:db8::25"


# --- validation


def test_empty_server_is_an_error_with_the_text_of_ssis_when_it_is_used():
    manager = SmtpConnectionManager.from_connection_string(
        "SmtpServer=;UseWindowsAuthentication=True;EnableSsl=False;"
    )
    expected = (
        "The Simple Mail Transfer Protocol (SMTP) server is not specified. "
        "Provide a valid name or IP address of the SMTP server."
    )

    for use in (manager.validate, manager.settings, manager.acquire):
        with pytest.raises(SettingsError) as caught:
            use()
        assert caught.value.problems == (expected,)


@pytest.mark.parametrize("server", ["mail example", "mail\r\nQUIT", "mail\0", "smtp/mail", "a@b", "a;b", "***"])
def test_server_must_be_a_name_or_an_address(server):
    (problem,) = problems_of(smtp_server=server)

    assert problem.startswith("The SMTP server contains characters")


@pytest.mark.parametrize("server", ["mail:25", "smtp://mail"])
def test_port_in_the_server_is_an_error(server):
    (problem,) = problems_of(smtp_server=server)

    assert "set the port of the Airflow connection" in problem


@pytest.mark.parametrize("server", ["mail", "mail.example.com.", "bücher.example", "192.0.2.1", "::1", "mail_1"])
def test_names_and_addresses_are_valid_servers(server):
    SmtpConnectionManager(smtp_server=server).validate()


@pytest.mark.parametrize("server_name", ["::1", "[::1]"])
def test_server_name_may_be_an_ipv6_address_in_brackets(server_name):
    """As the SMTP server may."""
    assert SmtpConnectionManager(smtp_server="[::1]", server_name=server_name).settings().server_name == "::1"


@pytest.mark.parametrize("port", [0, -1, 65536, 2.5, "25"])
def test_port_must_be_a_valid_port(port):
    assert problems_of(port=port) == ("port must be a whole number from 1 to 65535.",)


@pytest.mark.parametrize("name", ["timeout", "total_timeout"])
@pytest.mark.parametrize("seconds", [0, -1, 0.0001, float("nan"), float("inf"), 10**400, "0.5", "30"])
def test_timeouts_must_be_positive_and_within_the_range_of_ssis(name, seconds):
    (problem,) = problems_of(**{name: seconds})

    assert problem.startswith(f"{name} must be a number from 0.001 to ")


@pytest.mark.parametrize(
    ("name", "switches"),
    [
        ("tls_mode", {"enable_ssl": True}),
        ("mechanism", {"use_windows_authentication": True}),
        ("channel_binding", {"use_windows_authentication": True}),
    ],
)
def test_error_lists_the_choices(name, switches):
    (problem,) = problems_of(**{name: "bogus"}, **switches)

    assert problem.startswith(f"{name} must be one of: ")


def test_tls_mode_none_is_not_a_choice():
    """TLS is switched off by EnableSsl, not by tls_mode."""
    assert problems_of(enable_ssl=True, tls_mode="none") == ("tls_mode must be one of: starttls, implicit.",)


@pytest.mark.parametrize("name", ["server_name", "ehlo_name", "spn"])
@pytest.mark.parametrize("text", ["a/b c", "a/b\r\nQUIT", "a/\tb", "a/b\0"])
def test_names_have_neither_spaces_nor_control_characters(name, text):
    (problem,) = problems_of(**{name: text}, use_windows_authentication=True)

    assert problem == f"{name} contains spaces or control characters."


@pytest.mark.parametrize("spn", ["mail.example.com", "SMTPSVC/", "/mail", "SMTPSVC/mail/x", "SMTPSVC/mail@REALM"])
def test_spn_is_service_and_host(spn):
    (problem,) = problems_of(spn=spn, use_windows_authentication=True)

    assert problem.startswith("spn must be service/host")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nobody", "is malformed"),
        ("@", "is not valid"),
        ("a@", "is not valid"),
        ("@b", "is empty"),
        ("a b@c", "must be in double quotes"),
        ("a@b, c@d", "2 senders are specified"),
        ("a@b\r\nBcc: c", "control character U+000D"),
        ("a@b\0", "control character U+0000"),
        ("a\u200bb@c", "invisible character U+200B"),
        ("\ufeff", "No sender is specified."),
    ],
)
def test_from_email_must_be_one_address(address, reason):
    (problem,) = problems_of(from_email=address)

    assert problem.startswith("from_email: ")
    assert reason in problem
    assert not forbidden(problem)


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example",
        "Doe, John <a@b.example>",
        "a..b@b.example",
        "jürgen@bücher.example",
        "a@b.example\r\n",
        "\ufeffAnn\u00a0Doe <a@b.example>\u200b",
    ],
)
def test_from_email_may_be_any_one_address(address):
    SmtpConnectionManager(smtp_server="mail", from_email=address).validate()


@pytest.mark.parametrize(
    "given",
    [{"username": "u"}, {"password": SECRET}, {"username": "u", "password": SECRET}],
)
def test_credentials_without_windows_authentication_are_an_error_that_names_the_alternatives(given):
    (problem,) = problems_of(**given)

    assert " and ".join(given) in problem
    assert "enable use_windows_authentication" in problem
    assert "Airflow's own type smtp" in problem
    assert SECRET not in problem


def test_keytab_without_windows_authentication_is_an_error(pem):
    (problem,) = problems_of(username="u", keytab=pem)

    assert problem.startswith("username and keytab are set, but Windows authentication is off.")


@pytest.mark.parametrize(
    "given",
    [
        {"mechanism": "ntlm"},
        {"spn": "smtp/mail"},
        {"channel_binding": "tls-unique"},
        {"anonymous_if_not_offered": True},
    ],
)
def test_options_of_windows_authentication_need_it(given):
    (name,) = given
    (problem,) = problems_of(**given)

    assert problem == f"{name} is set, but use_windows_authentication is off: enable it, or remove {name}."


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"password": SECRET}, "A password is given without a user name"),
        ({"keytab": "PEM"}, "A keytab is given without a user name"),
        ({"username": "u", "keytab": "PEM", "password": SECRET}, "Both a keytab and a password are given"),
        ({"username": "u", "keytab": "PEM", "mechanism": "ntlm"}, "NTLM cannot use a keytab"),
        ({"username": "u", "mechanism": "ntlm"}, "NTLM needs a user name and a password"),
        ({"mechanism": "ntlm"}, "NTLM needs a user name and a password"),
        ({"username": "u\r\n", "password": SECRET}, "The user name contains the control or invisible"),
    ],
)
def test_identity_must_be_consistent(pem, given, expected):
    given = {name: pem if value == "PEM" else value for name, value in given.items()}
    (problem,) = problems_of(use_windows_authentication=True, **given)

    assert problem.startswith(expected)
    assert SECRET not in problem


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"username": "svc@EXAMPLE.COM"},
        {"username": r"DOMAIN\svc", "password": SECRET, "mechanism": "kerberos"},
        {"username": "svc", "password": SECRET, "mechanism": "ntlm"},
        {"username": "svc", "password": SECRET, "channel_binding": "tls-unique"},
    ],
)
def test_valid_identities(given):
    SmtpConnectionManager(smtp_server="mail", use_windows_authentication=True, **given).validate()


@pytest.mark.parametrize(
    "given",
    [
        {"tls_mode": "implicit"},
        {"ca_bundle": "PEM"},
        {"client_certificate": "PEM"},
        {"client_certificate": "PEM", "client_key": "PEM", "client_key_password": SECRET},
        {"verify_certificate": False},
    ],
)
def test_tls_options_contradict_enable_ssl_off(pem, given):
    given = {name: pem if value == "PEM" else value for name, value in given.items()}
    (problem,) = problems_of(**given)

    assert problem.startswith(" and ".join(given))
    assert "enable_ssl is off" in problem
    assert SECRET not in problem


@pytest.mark.parametrize("given", [{"client_key": "PEM"}, {"client_key_password": SECRET}])
def test_client_key_needs_its_certificate(pem, given):
    given = {name: pem if value == "PEM" else value for name, value in given.items()}

    assert problems_of(enable_ssl=True, **given) == (f"{next(iter(given))} is given without client_certificate.",)


@pytest.mark.parametrize("name", ["keytab", "ca_bundle", "client_certificate", "client_key"])
def test_files_must_be_readable_here(tmp_path, pem, name):
    fine = {"enable_ssl": True, "use_windows_authentication": True, "username": "u", "client_certificate": pem}

    for path in (tmp_path, tmp_path / "missing", "nul\0"):
        (problem,) = problems_of(**fine | {name: str(path)})
        assert problem.startswith(f"{name}: the file {str(path)!r} cannot be read on this machine: ")


def test_all_problems_are_reported_at_once():
    problems = problems_of(
        smtp_server="",
        port=70000,
        timeout=0,
        password=SECRET,
        ca_bundle="/missing",
        from_email="nobody",
    )

    assert [problem.split()[0] for problem in problems] == [
        "The",  # SMTP server
        "port",
        "timeout",
        "from_email:",
        "ca_bundle:",
        "password",
        "ca_bundle",
    ]
    assert SECRET not in "".join(problems)


def test_acquire_opens_a_client_with_the_settings(monkeypatch):
    """AcquireConnection."""
    opened = []
    monkeypatch.setattr(SmtpClient, "open", lambda settings, *, trace: opened.append((settings, trace)) or "client")
    trace = print

    assert SmtpConnectionManager(smtp_server="mail").acquire(trace=trace) == "client"
    assert opened == [(Settings(host="mail"), trace)]


def test_module_needs_neither_airflow_nor_the_client_to_be_imported():
    code = "import sys, airflow_smtp_cm.connection_manager; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert {"airflow", "ssl", "spnego", "airflow_smtp_cm.smtp.client"}.isdisjoint(run.stdout.split())


# --- from Airflow


def test_other_type_is_an_error_with_the_text_of_ssis():
    (problem,) = problems_of_connection(conn_id="warehouse", conn_type="smtp")

    assert problem == (
        'Connection "warehouse" is not of type SMTP Connection Manager (smtp_cm): its type is smtp. Add a connection '
        "of that type: the fields of other types differ."
    )


def test_standard_fields():
    manager = SmtpConnectionManager.from_airflow(
        airflow_connection(
            conn_id="mail",
            description="Ours",
            port=2525,
            login=r"CORP\svc",
            password=SECRET,
            extra={"use_windows_authentication": True},
        )
    )

    assert manager == SmtpConnectionManager(
        name="mail",
        description="Ours",
        smtp_server="mail.example.com",
        port=2525,
        use_windows_authentication=True,
        username=r"CORP\svc",
        password=SECRET,
    )


def test_host_alone_is_enough():
    assert from_extra() == SmtpConnectionManager(name="c", smtp_server="mail.example.com")


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_empty_are_the_same_as_missing(nothing):
    everything = {item.name: nothing for item in CONNECTION_FIELDS}

    assert from_extra(**everything) == from_extra()
    assert (
        SmtpConnectionManager.from_airflow(
            airflow_connection(port=nothing, login=nothing, password=nothing, description=nothing, extra=everything)
        )
        == from_extra()
    )


def test_new_form_saved_with_a_host():
    """Every field is posted: with the form's default, or as null."""
    (connection_type,) = get_provider_info()["connection-types"]
    posted = {name: item["schema"].get("default") for name, item in connection_type["conn-fields"].items()}

    assert from_extra(**posted) == dataclasses.replace(from_extra(), enable_ssl=True)


@pytest.mark.parametrize("true", [True, "true", "True", "TRUE", "1", 1])
@pytest.mark.parametrize("false", [False, "false", "False", "0", 0])
def test_booleans_may_be_text(true, false):
    manager = from_extra(enable_ssl=true, pipelining=false)

    assert (manager.enable_ssl, manager.pipelining) == (True, False)


@pytest.mark.parametrize("value", ["maybe", "yes!", 2, 0.5, [], {"a": 1}, [True]])
def test_other_values_are_not_booleans(value):
    assert problems_of_connection(extra={"pipelining": value}) == ("pipelining must be true or false.",)


@pytest.mark.parametrize(("value", "seconds"), [(30, 30), (1.5, 1.5), ("30", 30), ("1.5", 1.5)])
def test_numbers_may_be_text(value, seconds):
    assert from_extra(timeout=value).timeout == seconds


@pytest.mark.parametrize("value", ["soon", "30 s", True, [], "nan", "inf", "-1", 0])
def test_other_values_are_not_timeouts(value):
    (problem,) = problems_of_connection(extra={"timeout": value})

    assert problem.startswith("timeout must be a number from ")


@pytest.mark.parametrize("port", ["2525", 2525])
def test_port_may_be_text(port):
    assert SmtpConnectionManager.from_airflow(airflow_connection(port=port)).port == 2525


@pytest.mark.parametrize("value", [1.5, True, ["a"], {"a": 1}])
def test_text_must_be_text(value):
    (problem,) = problems_of_connection(extra={"ehlo_name": value})

    assert problem.startswith("ehlo_name must be text")


def test_number_that_airflow_made_from_text_in_a_uri_is_text_again():
    assert from_extra(ehlo_name=12345).ehlo_name == "12345"


def test_choices_are_read_as_themselves():
    manager = from_extra(
        enable_ssl=True,
        tls_mode="implicit",
        use_windows_authentication=True,
        mechanism="kerberos",
        channel_binding="none",
    )

    assert manager.tls_mode is TlsMode.IMPLICIT
    assert manager.mechanism is MechanismChoice.KERBEROS
    assert manager.channel_binding is ChannelBinding.NONE


@pytest.mark.parametrize("extra", ["{", "[]", '"text"', "1", "{'a': 1}"])
def test_extra_must_be_an_object(extra):
    """Airflow itself would ignore it."""
    connection = airflow_connection()
    connection.extra = extra
    connection.extra_dejson = {}

    with pytest.raises(SettingsError, match="must be a JSON object"):
        SmtpConnectionManager.from_airflow(connection)


@pytest.mark.parametrize("value", ["basic", "PLAIN", "login", "oauth2"])
def test_other_mechanism_is_an_error_that_names_the_alternatives(value):
    (problem,) = problems_of_connection(extra={"mechanism": value})

    assert problem.startswith(f"mechanism is {value}. ")
    assert "Airflow's own type smtp" in problem


def test_unknown_fields_are_ignored_with_a_warning_that_names_them(caplog):
    with caplog.at_level(logging.WARNING):
        manager = SmtpConnectionManager.from_airflow(
            airflow_connection(schema="x", extra={"subject_template": SECRET, "a\nb": 1, "retry_limit": 5})
        )

    assert manager == from_extra()
    (record,) = caplog.records
    assert record.getMessage() == (
        'Connection "c" has fields that are ignored: a<U+000A>b, retry_limit (set retries in the task), schema, '
        "subject_template (set subject in the task)"
    )


def test_settings_in_an_object_of_the_extra_are_an_error_and_no_value_is_shown():
    (problem,) = problems_of_connection(extra={"smtp_cm": {"enable_ssl": True, "keytab": SECRET}})

    assert problem == 'The extra has no key "smtp_cm": put what it contains into the extra itself.'


def test_all_settings_that_are_nearly_right_are_errors_and_no_value_is_shown(caplog):
    problems = problems_of_connection(
        schema="https",
        extra={
            "UseWindowsAuthentication": True,
            "EnableSsl": True,
            "extra__smtp_cm__keytab": SECRET,
            "disable_tls": False,
            "password": SECRET,
            "note": SECRET,
        },
    )

    assert [re.findall('"(.*?)"', problem)[0] for problem in problems] == [
        "UseWindowsAuthentication",
        "EnableSsl",
        "extra__smtp_cm__keytab",
        "disable_tls",
        "password",
        "https",
    ]
    assert SECRET not in "".join(problems) + caplog.text


@pytest.mark.parametrize("nothing", [None, ""])
def test_setting_that_is_nearly_right_and_not_set_is_no_error(nothing, caplog):
    """The form of another connection type saves all its fields."""
    assert from_extra(disable_tls=nothing, auth_type=nothing, EnableSsl=nothing, __extra__=nothing) == from_extra()
    assert not caplog.records


def test_known_fields_cause_no_warning(caplog):
    from_extra(**{item.name: None for item in CONNECTION_FIELDS})

    assert not caplog.records


def test_typing_errors_of_key_user_and_password_are_reported_together():
    problems = problems_of_connection(
        login="CORP/reports ", password=f"{SECRET}\n", extra={"use_windows_authentication": True, "EnableSsl": True}
    )

    assert [re.findall(r"has no key|space|slash|U\+000A", problem)[0] for problem in problems] == [
        "has no key",
        "space",
        "slash",
        "U+000A",
    ]
    assert SECRET not in "".join(problems)


def test_all_problems_with_a_connection_are_reported_at_once():
    problems = problems_of_connection(
        host=None,
        port=0,
        password=SECRET,
        extra={"timeout": "soon", "auth_type": "basic", "from_email": "nobody", "pipelining": "x"},
    )

    assert [problem.split()[0] for problem in problems] == [
        "port",
        "timeout",
        "pipelining",
        "The",  # auth_type
        "The",  # SMTP server
        "from_email:",
        "password",
    ]
    assert SECRET not in "".join(problems)


def test_problems_that_only_follow_from_an_unreadable_value_are_not_reported(pem):
    problems = problems_of_connection(
        login="u", extra={"use_windows_authentication": "x", "enable_ssl": "x", "ca_bundle": pem}
    )

    assert problems == ("use_windows_authentication must be true or false.", "enable_ssl must be true or false.")


# --- the connection string in a connection


STRING = "SmtpServer=Mail;UseWindowsAuthentication=True;EnableSsl=False;Timeout=1500;"


def test_connection_string_sets_ssis_properties():
    manager = SmtpConnectionManager.from_airflow(
        airflow_connection(host=None, port=26, extra={"connection_string": STRING, "spn": "smtp/mail"})
    )

    assert manager == SmtpConnectionManager.from_connection_string(STRING, name="c", port=26, spn="smtp/mail")


def test_fields_may_repeat_the_connection_string():
    manager = SmtpConnectionManager.from_airflow(
        airflow_connection(
            host="mail",
            extra={
                "connection_string": STRING,
                "use_windows_authentication": "true",
                "enable_ssl": False,
                "timeout": "1.5",
            },
        )
    )

    assert manager == SmtpConnectionManager.from_connection_string(STRING, name="c")


@pytest.mark.parametrize(
    ("given", "field", "key"),
    [
        ({"host": "other"}, "host", "SmtpServer"),
        ({"use_windows_authentication": False}, "use_windows_authentication", "UseWindowsAuthentication"),
        ({"enable_ssl": True}, "enable_ssl", "EnableSsl"),
        ({"timeout": 30}, "timeout", "Timeout"),
    ],
)
def test_field_that_contradicts_the_string_is_an_error(given, field, key):
    host = given.pop("host", None)
    (problem,) = problems_of_connection(host=host, extra={"connection_string": STRING, **given})

    assert problem.startswith(f"{field} and the connection string's {key} contradict each other")


def test_fields_that_the_string_does_not_contain_may_be_set():
    manager = from_extra(connection_string="EnableSsl=True", use_windows_authentication=True, timeout=3)

    assert manager == SmtpConnectionManager(
        name="c", smtp_server="mail.example.com", enable_ssl=True, use_windows_authentication=True, timeout=3
    )


def test_invalid_string_is_reported_with_other_problems_and_without_those_that_follow_from_it():
    problems = problems_of_connection(
        host=None,
        port=0,
        login="u",
        extra={"connection_string": f"SmtpServer=mail;UseWindowsAuthentication=True;Password={SECRET}"},
    )

    # SECRET contains a semicolon and an equals sign, so a part of it is parsed as a key, which is secret as well.
    assert [problem.split()[0] for problem in problems] == ["port", "Password"]
    assert "battery" not in "".join(problems)


# --- through Airflow and back


def test_uri_with_text_for_everything():
    manager = from_uri(
        "smtp-cm://user:pw@mail.example.com:2525/?use_windows_authentication=true&enable_ssl=True&timeout=30"
        "&connection_string=" + quote("SmtpServer=mail.example.com;Timeout=30000")
    )

    assert manager == SmtpConnectionManager(
        name="c",
        smtp_server="mail.example.com",
        port=2525,
        use_windows_authentication=True,
        enable_ssl=True,
        timeout=30,
        username="user",
        password="pw",
    )


def test_uri_with_json_for_the_extra():
    extra = json.dumps({"use_windows_authentication": True, "timeout": 1.5})

    assert from_uri(f"smtp-cm://mail.example.com/?__extra__={quote(extra)}") == SmtpConnectionManager(
        name="c", smtp_server="mail.example.com", use_windows_authentication=True, timeout=1.5
    )


def test_extra_has_only_the_values_that_differ_from_the_defaults():
    bare = SmtpConnectionManager(smtp_server="mail").to_airflow("m")
    full = SmtpConnectionManager(smtp_server="mail", enable_ssl=True, port=26, timeout=2.5).to_airflow("m")

    assert (bare.conn_id, bare.conn_type, bare.host, bare.extra) == ("m", "smtp_cm", "mail", None)
    assert (full.port, json.loads(full.extra)) == (26, {"enable_ssl": True, "timeout": 2.5})


hosts = st.sampled_from(["mail", "Mail.Example.com", "10.0.0.25", "::1", "FE80::1%eth0", "bücher.example", "mail_1."])
names = st.sampled_from(["mail.example.com", "10.0.0.25", "[192.0.2.1]", "worker-1"])
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
users = texts.filter(lambda name: not [*user_name_problems(name, with_password=True)])
passwords = texts.filter(lambda password: not [*password_problems(password)])
seconds = st.floats(min_value=0.001, max_value=2_147_483) | st.integers(min_value=1, max_value=10**6)
optional = st.none()


@st.composite
def managers(draw, file):
    """Valid managers."""
    files = st.none() | st.just(file)
    ssl, windows, keytab = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    properties = {
        "name": "c",
        "description": st.text(st.characters(exclude_categories=["Cs"])),
        "smtp_server": hosts,
        "use_windows_authentication": st.just(windows),
        "enable_ssl": st.just(ssl),
        "timeout": optional | seconds,
        "port": optional | st.integers(1, 65535),
        "server_name": optional | names,
        "from_email": optional | st.just("Doe, John <j@example.com>"),
        "ehlo_name": optional | names,
        "pipelining": st.booleans(),
        "chunking": st.booleans(),
        "total_timeout": optional | seconds,
    }
    if ssl:
        certificate = draw(files)
        properties |= {
            "tls_mode": st.sampled_from([TlsMode.STARTTLS, TlsMode.IMPLICIT]),
            "ca_bundle": files,
            "client_certificate": st.just(certificate),
            "client_key": files if certificate else optional,
            "client_key_password": optional | texts if certificate else optional,
            "verify_certificate": st.booleans(),
        }
    if windows:
        properties |= {
            "username": users,
            "keytab": st.just(file if keytab else None),
            "password": optional if keytab else passwords,
            "mechanism": st.sampled_from([choice for choice in MechanismChoice if choice != "ntlm" or not keytab]),
            "spn": optional | st.just("smtp/mail.example.com"),
            "channel_binding": st.sampled_from(ChannelBinding),
            "anonymous_if_not_offered": st.booleans(),
        }
    return SmtpConnectionManager(
        **{name: value if name == "name" else draw(value) for name, value in properties.items()}
    )


_ATTRIBUTES = ("conn_id", "conn_type", "description", "host", "port", "login", "password", "extra")
_FromJson = DatabaseConnection if AIRFLOW == (3, 0) else Connection  # 3.0 reads JSON into that one only


@given(data=st.data())
def test_manager_is_the_same_after_a_round_trip_through_airflow(pem, data):
    """As an object, as JSON and, except for the description, as a URI; of the task SDK and of the database."""
    manager = data.draw(managers(pem))
    connection = manager.to_airflow("c")
    in_database = DatabaseConnection(**{name: getattr(connection, name) for name in _ATTRIBUTES})
    undescribed = dataclasses.replace(manager, description="")

    assert SmtpConnectionManager.from_airflow(connection) == manager
    assert SmtpConnectionManager.from_airflow(_FromJson.from_json(in_database.as_json(), conn_id="c")) == manager
    assert SmtpConnectionManager.from_airflow(in_database) == manager
    assert from_uri(connection.get_uri()) == undescribed
    for uri in (connection.get_uri(), in_database.get_uri()):
        assert SmtpConnectionManager.from_airflow(DatabaseConnection(conn_id="c", uri=uri)) == undescribed


def test_ticket_cache_is_not_in_the_connection():
    connection = SmtpConnectionManager(smtp_server="mail", ccache="FILE:/tmp/cc").to_airflow("c")

    assert "/tmp/cc" not in connection.get_uri()


def test_airflow_masks_the_secret_of_the_extra(monkeypatch):
    """Airflow masks a connection's secrets in task logs only if the extra is read through it."""
    masked = []
    monkeypatch.setattr(MASK_SECRET, masked.append)
    extra = {"connection_string": "SmtpServer=mail;EnableSsl=False;"}
    SmtpConnectionManager.from_airflow(Connection(conn_id="c", conn_type="smtp_cm", extra=json.dumps(extra)))

    assert extra in masked
