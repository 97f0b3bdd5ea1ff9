r"""What in an identity may be a typing error, which is named after a failed login."""

from __future__ import annotations

import pytest

from airflow_smtp_cm.smtp.credentials import credential_error, typing_doubt
from airflow_smtp_cm.smtp.settings import Identity

SECRET = "correct horse"


@pytest.mark.parametrize(
    ("username", "password", "doubt"),
    [
        (r"CORP\reports", f"{SECRET} ", "that the password begins or ends with a blank?"),
        (r"CORP\reports", f"\u00a0{SECRET}", "that the password begins or ends with a blank?"),
        (r"CORP\reports", f"'{SECRET}'", "that the password is in quotation marks?"),
        (r"CORP\reports", "correct\u200bhorse", "that the password contains an invisible character?"),
        ("CORP\u00a5reports", SECRET, "that the user name has a currency sign instead of a backslash?"),
        ("'reports'", SECRET, "that the user name is in quotation marks?"),
        (r"CORP\a@corp.example", SECRET, "that the user name has both a domain and a suffix?"),
        ("CORP/a@corp.example", f'"{SECRET}"', "has a slash and that the password is in quotation marks?"),
    ],
)
def test_what_may_be_a_typing_error_is_named_without_the_password(username, password, doubt):
    text = typing_doubt(Identity(username=username, password=password))

    assert text.startswith(" Is it meant that ")
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
def test_there_is_no_question_if_nothing_looks_like_a_typing_error(identity):
    assert typing_doubt(identity) == ""


@pytest.mark.parametrize(("code", "asked"), [(-1765328360, True), (-1765328378, True), (-1765328228, False)])
def test_it_is_named_if_the_kdc_refuses_the_identity_and_not_if_no_kdc_answers(code, asked):
    error = OSError("of Kerberos")
    error.err_code = code
    failure = credential_error(error, Identity(username="a", password=f"{SECRET} "), "GSSAPI", "SMTPSVC/mail")

    assert str(failure).endswith("begins or ends with a blank?") == asked
