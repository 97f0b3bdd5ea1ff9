"""Keys of the extra that a connection does not have: which are errors, and what these advise."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.connection_manager.fields import CONNECTION_FIELDS
from airflow_smtp_cm.connection_manager.unknown_keys import problem_with, schema_problem

NAMES = [item.name for item in CONNECTION_FIELDS]
SPELLINGS = [str.upper, str.title, lambda name: name.replace("_", ""), lambda name: name.replace("_", "-")]
SPELLINGS += [lambda name: name.title().replace("_", ""), lambda name: name.replace("_", " "), " {} ".format]
PREFIXES = ["extra__smtp_cm__", "extra__google_cloud_platform__", "extra__", "smtp_cm__", "SMTP_", "mail.", "EMAIL_"]


@pytest.mark.parametrize("name", NAMES)
def test_known_key_in_another_spelling_is_an_error_that_names_it(name):
    spellings = {spell(name) for spell in SPELLINGS} | {prefix + name for prefix in PREFIXES}
    spellings |= {prefix + name.title().replace("_", "") for prefix in PREFIXES}

    for spelling in spellings - {name}:
        assert problem_with(spelling) == f'The extra has no key "{spelling}": the key is {name}.'


@pytest.mark.parametrize("item", CONNECTION_FIELDS, ids=NAMES)
def test_label_of_the_form_is_not_a_key(item):
    assert problem_with(item.label) == f'The extra has no key "{item.label}": the key is {item.name}.'


@given(st.sampled_from(NAMES), st.data())
def test_typing_error_in_a_key_is_an_error_that_names_a_key(name, data):
    """One character is missing, is doubled or is another one."""
    place = data.draw(st.integers(0, len(name) - 1))
    middle = data.draw(st.sampled_from(["", name[place] * 2, "x"]))
    typed = name[:place] + middle + name[place + 1 :]
    if len(name) > 4 and typed not in NAMES:
        assert re.search(r"\b(" + "|".join(NAMES) + r")\b", problem_with(typed) or "")


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ("host hostname SmtpServer smtp_host smtp_server mail_server server", "host"),
        ("port smtp_port SmtpServerPort", "port"),
        ("login user username UserName smtp_user userid", "login"),
        ("password Password smtp_password passwd pwd", "password"),
    ],
)
def test_standard_field_in_the_extra_is_an_error_that_names_its_place(keys, field):
    for key in keys.split():
        assert problem_with(key) == f'The extra has no key "{key}": set the connection\'s {field}.'


@pytest.mark.parametrize(
    "key",
    [
        *["disable_tls", "disable_ssl", "ssl_context", "extra__smtp__disable_tls"],  # Airflow's type smtp
        *["use_ssl", "verify_certs", "ca_certs", "verify", "cert", "ssl", "sslmode", "use_https"],  # other types
        *["ssl_cert_reqs", "cert_validation", "tlsCAFile", "encryption", "security.protocol"],
        *["smtp_starttls", "smtp_ssl"],  # Airflow's section [smtp]
        *["use_tls", "EMAIL_USE_TLS", "mail.smtp.starttls.enable", "secure", "requireTLS", "UseSsl"],  # other mailers
        *["starttls", "StartTLS", "no_ssl", "TLSv1.2", "tls"],
        *["check_hostname", "verification", "plaintext", "rootcert", "private_key", "keyfile", "truststore", "sni"],
        *["allow_self_signed", "selfsigned", "fingerprint", "pinned_key", "key_file", "pkcs12", "p12_file"],
        *["hostname_check", "private_key_path", "opportunistic"],
    ],
)
def test_key_that_sets_tls_elsewhere_is_an_error_that_names_the_right_keys(key):
    problem = problem_with(key)

    assert problem.startswith(f'The extra has no key "{key}": TLS is set by enable_ssl and tls_mode')
    assert "use_windows_authentication" not in problem


@pytest.mark.parametrize(
    "key",
    [
        *["auth_type", "access_token", "client_id", "client_secret", "tenant_id", "scope"],  # Airflow's type smtp
        *["auth", "auth_mechanism", "kerberos_principal", "kerberos_service_name", "sasl.mechanism"],  # other types
        *["authentication", "UseDefaultCredentials", "Trusted_Connection", "mail.smtp.auth", "domain", "ccache"],
        *["keytab_file", "spn_name", "target_spn", "login_type", "ad_domain", "winauth", "kdc", "sso", "api_key"],
        *["login_domain", "ExtendedProtection"],
    ],
)
def test_key_that_chooses_a_login_elsewhere_is_an_error_that_names_the_right_keys(key):
    problem = problem_with(key)

    assert problem.startswith(f'The extra has no key "{key}": the login is set by use_windows_authentication')
    assert "Airflow's own type smtp" in problem
    assert "enable_ssl" not in problem


def test_key_about_both_names_the_keys_of_both():
    assert "enable_ssl" in problem_with("IntegratedSecurity")
    assert "use_windows_authentication" in problem_with("IntegratedSecurity")


@pytest.mark.parametrize("key", ["redirect_all_to", "RedirectAllTo", "smtp_cm__allowed_recipient_domains"])
def test_a_safety_setting_in_the_extra_is_an_error_that_names_its_place(key):
    """A staging environment whose connection has one would send to the real recipients."""
    assert problem_with(key).endswith(": set it in Airflow's configuration, section [smtp_cm].")


@pytest.mark.parametrize("key", ["extra", "__extra__", "Extra"])
def test_extra_in_the_extra_is_an_error(key):
    assert problem_with(key).endswith("put what it contains into the extra itself.")


@pytest.mark.parametrize("key", ["smtp_cm", "options", "x"])
@pytest.mark.parametrize("inner", ["enable_ssl", "EnableSsl", "use_tls", "enable_sll", "username"])
def test_settings_in_an_object_of_the_extra_are_an_error(key, inner):
    assert problem_with(key, {"owner": "sales", inner: True}).endswith("put what it contains into the extra itself.")


@pytest.mark.parametrize("value", [{}, {"owner": "sales"}, ["enable_ssl"], "enable_ssl", None])
def test_other_value_of_a_key_that_resembles_nothing_is_no_error(value):
    assert problem_with("x", value) is None


def test_key_in_the_full_width_forms_of_east_asian_keyboards_is_an_error_that_names_it():
    full_width = "".join(chr(ord(character) + 0xFEE0) for character in "enable_ssl")
    assert problem_with(full_width).endswith(": the key is enable_ssl.")


@pytest.mark.parametrize(
    "key",
    [
        *["retry_limit", "subject_template", "html_content_template", "connect_timeout", "headers", "compress"],
        *["author", "address_list", "tools_list", "user_agent", "ticket_id", "description", "conn_type", "team", "x"],
        "",
    ],
)
def test_key_that_resembles_nothing_is_no_error(key):
    assert problem_with(key) is None


def test_line_ends_of_a_key_do_not_reach_the_error():
    assert "\n" not in problem_with("enable\nssl")


@pytest.mark.parametrize("schema", ["https", "ssl", "TLS", "starttls", "smtps", " tls "])
def test_schema_that_switches_on_tls_elsewhere_is_an_error(schema):
    assert "TLS is set by enable_ssl and tls_mode" in schema_problem(schema)


@pytest.mark.parametrize(
    "schema", ["enable_ssl=true", ";enable_ssl=true", "&timeout=5&password=enable_ssl", "?spn=x"]
)
def test_extra_in_the_schema_is_an_error_that_shows_no_value(schema):
    """So it is in a URI without the question mark before the extra: ``smtp-cm://mail/enable_ssl=true``."""
    problem = schema_problem(schema)

    assert problem.endswith(" In a URI, the extra begins with a question mark.")
    assert "=" not in problem
    assert "password" not in problem.partition("has no meaning")[0]


@pytest.mark.parametrize("schema", ["ntlm", "Kerberos", "windows"])
def test_schema_that_chooses_a_login_is_an_error(schema):
    assert "the login is set by use_windows_authentication" in schema_problem(schema)


@pytest.mark.parametrize("schema", ["x", "smtp", "http", "mail"])
def test_other_schema_is_no_error(schema):
    assert schema_problem(schema) is None
