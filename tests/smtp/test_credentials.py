r"""What in an identity may be a typing error, which is named after a failed login."""

from __future__ import annotations

import pytest

from airflow_smtp_cm.smtp.credentials import credential_error, typing_doubt
from airflow_smtp_cm.smtp.settings import Identity
from airflow_smtp_cm.smtp.ticket import UNKNOWN_REALMS, NoKdcKnown

SECRET = "correct horse"


@pytest.mark.parametrize(
    ("username", "password", "doubt"),
    [
        (r"CORP\reports", f"{SECRET} ", "the password begins or ends with a space."),
        (r"CORP\reports", f"\u00a0{SECRET}", "the password begins or ends with a space."),
        (r"CORP\reports", f"'{SECRET}'", "the password is in quotation marks."),
        (r"CORP\reports", "correct\u200bhorse", "the password contains an invisible character."),
        ("CORP\u00a5reports", SECRET, "the user name has a currency sign instead of a backslash."),
        ("'reports'", SECRET, "the user name is in quotation marks."),
        (r"CORP\a@corp.example", SECRET, "the user name has both a domain and a suffix."),
        ("CORP/a@corp.example", f'"{SECRET}"', "has a slash, and the password is in quotation marks."),
    ],
)
def test_what_may_be_a_typing_error_is_named_without_the_password(username, password, doubt):
    text = typing_doubt(Identity(username=username, password=password))

    assert text.startswith(" Possible typing error: ")
    assert text.endswith(doubt)
    assert password.strip() not in text


@pytest.mark.parametrize(
    "identity",
    [
        Identity(),
        Identity(username=r"CORP\Fred Mc Kay", password=SECRET),
        Identity(username="o'brien@corp.example", password="'"),
        Identity(username="airflow/worker1@CORP.EXAMPLE", keytab="/keytab"),
    ],
)
def test_there_is_no_hint_if_nothing_looks_like_a_typing_error(identity):
    assert typing_doubt(identity) == ""


@pytest.mark.parametrize(("code", "asked"), [(-1765328360, True), (-1765328378, True), (-1765328228, False)])
def test_it_is_named_if_the_kdc_refuses_the_identity_and_not_if_no_kdc_answers(code, asked):
    error = OSError("of Kerberos")
    error.err_code = code
    failure = credential_error(error, Identity(username="a", password=f"{SECRET} "), "GSSAPI", "SMTPSVC/mail")

    assert str(failure).endswith("begins or ends with a space.") == asked


def test_all_realms_in_which_a_user_was_looked_for_are_named():
    cause = OSError('Cannot find KDC for realm "MAIL.EXAMPLE"')
    cause.err_code = UNKNOWN_REALMS[0]
    error = NoKdcKnown(["MAIL.EXAMPLE", "CORP.EXAMPLE"])
    error.__cause__ = cause
    failure = credential_error(error, Identity(username="alice@mail.example"), "GSSAPI", "SMTPSVC/mail")

    assert "No KDC is known for the realms MAIL.EXAMPLE and CORP.EXAMPLE." in str(failure)


@pytest.mark.parametrize(
    ("detail", "realm"),
    [
        ("Cannot contact any KDC for realm 'ATHENA.MIT.EDU'", "the realm ATHENA.MIT.EDU"),
        ("Cannot contact any KDC", "the realm of alice"),
    ],
)
def test_realm_whose_kdcs_do_not_answer_is_named(detail, realm):
    error = OSError(detail)
    error.err_code = -1765328228
    failure = credential_error(error, Identity(username="alice"), "GSSAPI", "SMTPSVC/mail")

    assert f"No KDC of {realm} can be reached." in str(failure)
