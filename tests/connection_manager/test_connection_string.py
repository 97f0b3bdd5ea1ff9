"""SSIS's connection string: parsed leniently, written exactly as SSIS writes it."""

import logging

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.connection_manager.connection_string import ConnectionString
from airflow_smtp_cm.smtp.errors import SettingsError
from tests.fuzz.connection_string import check

parse = ConnectionString.parse

# Any text that the grammar allows for a server, including names and addresses; a colon would be a port.
servers = st.one_of(
    st.sampled_from(["", "mail.example.com", "Localhost", "10.0.0.25", "::1", "FE80::1%eth0"]),
    st.text(st.characters(exclude_characters=";:", exclude_categories=["Cs"])).filter(
        lambda text: text == text.strip()
    ),
)
timeouts = st.none() | st.integers(min_value=1, max_value=2**31 - 1)


def ssis_string(server, windows, ssl, timeout):
    text = f"SmtpServer={server};UseWindowsAuthentication={windows};EnableSsl={ssl};"
    return text if timeout is None else f"{text}Timeout={timeout};"


def problems_with(text):
    with pytest.raises(SettingsError) as caught:
        parse(text)
    return caught.value.problems


@pytest.mark.parametrize(
    "text",
    [
        "SmtpServer=;UseWindowsAuthentication=True;EnableSsl=False;",
        "SmtpServer=;UseWindowsAuthentication=False;EnableSsl=False;",
        "SmtpServer=localhost;UseWindowsAuthentication=False;EnableSsl=False;",
        "SmtpServer=Localhost;UseWindowsAuthentication=False;EnableSsl=True;",
        "SmtpServer=smtp.example.com;UseWindowsAuthentication=True;EnableSsl=True;Timeout=22;",
        "SmtpServer=192.0.2.25;UseWindowsAuthentication=True;EnableSsl=False;Timeout=2147483647;",
        "SmtpServer=2001:db8::25;UseWindowsAuthentication=True;EnableSsl=False;",
    ],
)
def test_strings_as_ssis_stores_them_round_trip_exactly(text):
    assert SmtpConnectionManager.from_connection_string(text).connection_string == text


@given(server=servers, windows=st.booleans(), ssl=st.booleans(), timeout=timeouts)
@example(server="", windows=True, ssl=False, timeout=None)
def test_every_string_that_ssis_can_write_round_trips_exactly(server, windows, ssl, timeout):
    text = ssis_string(server, windows, ssl, timeout)

    assert SmtpConnectionManager.from_connection_string(text).connection_string == text


@given(
    st.builds(
        ConnectionString,
        smtp_server=servers,
        use_windows_authentication=st.booleans(),
        enable_ssl=st.booleans(),
        timeout=timeouts,
    )
)
def test_written_string_is_parsed_to_the_same_values(values):
    assert parse(str(values)) == values


keys = st.sampled_from(
    ["SmtpServer", "usewindowsauthentication", "ENABLESSL", "Timeout", "UserName", "Port", "ServiceTimeout", "X", ""]
)
pieces = st.one_of(st.text(), keys, st.sampled_from(["=", ";", " ", "True", "22", ":", "[::1]", "\0", "٣"]))


@given(st.lists(pieces).map("".join) | st.text())
@example("Timeout=" + "9" * 5000)
@example("SmtpServer=[::1")
def test_any_text_is_parsed_or_rejected_with_a_settings_error(text):
    """There is no other exception, and what was parsed can be written."""
    check(text)


@pytest.mark.parametrize(
    "text",
    [
        "smtpserver=mail;USEWINDOWSAUTHENTICATION=TRUE;enableSSL=false;timeout=500",
        "Timeout=500;EnableSsl=False;UseWindowsAuthentication=true;SmtpServer=mail",
        "  SmtpServer = mail ; UseWindowsAuthentication =True; EnableSsl= FALSE ;Timeout = 0500 ; ; ",
    ],
)
def test_case_order_spaces_and_the_last_semicolon_do_not_matter(text):
    assert parse(text) == ConnectionString(
        smtp_server="mail", use_windows_authentication=True, enable_ssl=False, timeout=500
    )


@pytest.mark.parametrize("text", ["smtphost", " smtphost ", "smtphost;"])
def test_text_without_equals_sign_is_the_server(text):
    """Microsoft's samples set ConnectionString to a bare host."""
    assert parse(text) == ConnectionString(smtp_server="smtphost")
    assert SmtpConnectionManager.from_connection_string(text) == SmtpConnectionManager(smtp_server="smtphost")


@pytest.mark.parametrize("text", ["", " ", ";"])
def test_empty_text_sets_nothing(text):
    assert parse(text) == ConnectionString()


def test_missing_switches_mean_false():
    manager = SmtpConnectionManager.from_connection_string("SmtpServer=mail;")

    assert (manager.use_windows_authentication, manager.enable_ssl) == (False, False)
    assert manager.connection_string == "SmtpServer=mail;UseWindowsAuthentication=False;EnableSsl=False;"


def test_timeout_is_milliseconds_in_the_string_and_seconds_in_the_manager():
    manager = SmtpConnectionManager.from_connection_string("SmtpServer=mail;Timeout=1500;")

    assert manager.timeout == 1.5
    assert SmtpConnectionManager(timeout=0.0204).connection_string.endswith("Timeout=20;")


@pytest.mark.parametrize("server", ["::1", "[::1]", "[2001:db8::25]", "fe80::1%eth0"])
def test_ipv6_address_is_not_taken_for_a_port(server):
    assert parse(f"SmtpServer={server};").smtp_server == server


@pytest.mark.parametrize("server", ["mail:25", "mail.example.com:587", "[::1]:25", "smtp://mail"])
def test_port_in_the_server_is_an_error_that_names_its_place(server):
    for text in (server, f"SmtpServer={server};EnableSsl=True;"):
        (problem,) = problems_with(text)
        assert "set the port of the Airflow connection" in problem


@pytest.mark.parametrize("key", ["UserName", "password", "User", "Uid", "PWD", "Domain", "User ID"])
def test_credentials_are_an_error_that_has_the_reason_and_not_the_credentials(key):
    (problem,) = problems_with(f"SmtpServer=mail;{key}=hunter2;EnableSsl=True;")

    assert key in problem
    assert "basic authentication" in problem
    assert "Airflow's own type smtp" in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(("key", "place"), [("Port", "the port"), ("From", "from_email")])
def test_key_that_ssis_lacks_is_an_error_that_names_its_place(key, place):
    (problem,) = problems_with(f"SmtpServer=mail;{key}=x;")

    assert place in problem


def test_kingswaysofts_string_is_recognised():
    (problem,) = problems_with(
        "Username=hunter2;EnableSsl=False;SmtpServer=mail;SmtpServerPort=25;ServiceTimeout=120"
    )

    assert "KingswaySoft" in problem
    assert "hunter2" not in problem
    for place in ("host", "port", "enable_ssl", "timeout"):
        assert place in problem


@pytest.mark.parametrize(
    ("item", "named"),
    [
        ("UseWindowsAuthentication=Yes", "UseWindowsAuthentication"),
        ("enablessl=", "EnableSsl"),
        ("EnableSsl=1", "EnableSsl"),
        ("Timeout=0", "Timeout"),
        ("Timeout=-1", "Timeout"),
        ("Timeout=1.5", "Timeout"),
        ("Timeout=1_0", "Timeout"),
        ("Timeout=2147483648", "Timeout"),
        ("timeout=", "Timeout"),
    ],
)
def test_bad_value_names_its_key(item, named):
    (problem,) = problems_with(f"SmtpServer=mail;{item};")

    assert problem.startswith(f"{named} must be ")


def test_repeated_key_is_an_error():
    assert problems_with("SmtpServer=a;smtpserver=a;X=1;x=2;Y=1;Y=2") == (
        "SmtpServer is in the connection string more than once.",
        "An unknown key is in the connection string more than once.",
    )


@pytest.mark.parametrize("key", ["Password", "pwd", "Passwd", "Pass"])
@pytest.mark.parametrize("rest", ["hunter2=ef", "hunter2=1;HUNTER2=2", "hunter2", "=hunter2"])
def test_key_that_may_be_a_part_of_a_password_is_not_in_the_error(caplog, key, rest):
    """A password may hold semicolons and equals signs; the grammar has no quotes for them."""
    problems = problems_with(f"SmtpServer=mail;{key}=ab;{rest}")

    assert f"{key} is not allowed in the connection string" in "\n".join(problems)
    assert "hunter2" not in "\n".join(problems).lower()
    assert not caplog.records


def test_item_without_key_is_an_error_that_has_its_number():
    """The error does not contain its text, which may be a part of a password that contains a semicolon."""
    problems = problems_with("SmtpServer=mail;hunter2;=hunter3;hunter2")

    assert [problem[:6] for problem in problems] == ["Item 2", "Item 3", "Item 4"]
    assert "hunter" not in "".join(problems)


def test_all_problems_are_reported_at_once():
    problems = problems_with("SmtpServer=mail:25;EnableSsl=maybe;Timeout=0;Timeout=1;Password=x;Port=25")

    assert [problem.split()[0] for problem in problems] == [
        "Timeout",
        "The",  # SMTP server
        "EnableSsl",
        "Timeout",
        "Password",
        "Port",
    ]


@pytest.mark.parametrize(
    "item",
    [
        *["Enable SSL=True", "EnableSs1=True", "Enable_Ssl=True", "Server=a.example", "TimeOut(ms)=5"],
        *[
            "UseSsl=True",
            "EnableTls=True",
            "Encrypt=yes",
            "Use Windows Authentication=True",
            "Integrated Security=SSPI",
        ],
    ],
)
def test_key_that_is_nearly_right_or_sets_tls_or_a_login_elsewhere_is_an_error(item, caplog):
    """Otherwise mail would be sent unencrypted or anonymously. The key is not shown: it may be of a password."""
    (problem,) = problems_with(f"SmtpServer=mail;{item};")

    assert problem.startswith("Item 2 of the connection string has a key that SSIS does not have")
    assert problem.endswith("SSIS's keys are SmtpServer, UseWindowsAuthentication, EnableSsl, Timeout.")
    assert not caplog.records


def test_unknown_key_is_ignored_with_a_warning_that_names_it(caplog):
    with caplog.at_level(logging.WARNING):
        parsed = parse("SmtpServer=mail;ConnectByProxy=hunter2;")

    assert parsed == ConnectionString(smtp_server="mail")
    (record,) = caplog.records
    assert "ConnectByProxy" in record.getMessage()
    assert "hunter2" not in record.getMessage()


def test_unknown_key_of_an_invalid_string_is_not_logged(caplog):
    """It may be a part of the password because of which the string is invalid."""
    problems_with("SmtpServer=mail;Password=abc;hunter2=x;")

    assert not caplog.records


@pytest.mark.parametrize("server", ["a;EnableSsl=True", " mail", "mail\n"])
def test_server_that_the_grammar_cannot_hold_is_not_written(server):
    with pytest.raises(SettingsError, match="SmtpServer"):
        _ = SmtpConnectionManager(smtp_server=server).connection_string


@pytest.mark.parametrize("seconds", [0, 0.0004, -1, 2_147_484])
def test_timeout_that_the_grammar_cannot_hold_is_not_written(seconds):
    with pytest.raises(SettingsError, match="Timeout"):
        _ = SmtpConnectionManager(timeout=seconds).connection_string
