r"""Typing errors in users and passwords: what cannot be meant is an error, everything else is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.connection_manager.login_validation import password_problems, user_name_problems


def problems_of_user(username, *, with_password=True):
    return list(user_name_problems(username, with_password=with_password))


@pytest.mark.parametrize(
    "username",
    [
        *[r"CORP\reports", r"corp.example\Fred Mc Kay", r".\reports", "reports@CORP.EXAMPLE", "fred.o'brien", "svc$"],
        *[
            "rené+x@mail.corp.example",
            "http/mail.corp.example@CORP.EXAMPLE",
            r"MicrosoftAccount\a@corp.example",
            "100%",
        ],
    ],
)
def test_user_name_that_may_be_meant_is_no_error(username):
    assert problems_of_user(username) == []


@pytest.mark.parametrize(
    ("username", "problem"),
    [
        ("CORP/reports", r"The user name CORP/reports has a slash: write DOMAIN\user, with a backslash"),
        ("CORP//reports", "has a slash"),
        (r"CORP\\reports", r"The user name CORP\\reports has more than one backslash: write DOMAIN\user."),
        (r"\\CORP\reports", "has more than one backslash"),
        ("CORP\\reports ", "has a space at one of its ends"),
        (" CORP\\reports", "has a space at one of its ends"),
        ("CORP\\ reports", "beside its backslash or @"),
        ("CORP \\reports", "beside its backslash or @"),
        ("reports@ CORP", "beside its backslash or @"),
        (r"\reports", r"A part of the user name \reports is missing: it must be DOMAIN\user, user@REALM or user."),
        ("CORP\\", "is missing"),
        ("reports@", "is missing"),
        ("@CORP.EXAMPLE", "is missing"),
        ('"CORP\\reports"', 'contains "'),
        ("Reports <reports@corp.example>", "contains < and >"),
        ("mailto:reports@corp.example", "contains :"),
        ("reports;", "contains ;"),
        (r"CORP\reports,", "contains ,"),
        ("CORP\uff3creports", "(U+FF3C), which only looks like \\: it must be DOMAIN"),
        ("CORP\ufe68reports", "(U+FE68), which only looks like"),
        ("CORP\uff0freports", "(U+FF0F), which only looks like /:"),
        ("reports\uff20corp.example", "(U+FF20), which only looks like @:"),
        ("CORP%5Creports", "is encoded as in a URI"),
        ("reports%40corp.example", "is encoded as in a URI"),
        ("CORP\\reports\n", "contains the control or invisible character U+000A."),
        ("\ufeffCORP\\reports", "contains the control or invisible character U+FEFF."),
        ("CORP\\reports\u200b", "contains the control or invisible character U+200B."),
        ("reports\u00a0", "contains the control or invisible character U+00A0."),
        ("reports\ud800", "contains the control or invisible character U+D800."),
    ],
)
def test_user_name_that_cannot_be_meant_is_an_error(username, problem):
    (found,) = problems_of_user(username)

    assert problem in found


def test_backslash_that_json_has_read_as_an_escape_is_explained():
    (problem,) = problems_of_user("CORP\reports")  # {"login": "CORP\reports"}

    assert problem.endswith(r'U+000D. In JSON, a backslash is written twice: "DOMAIN\\user".')


def test_line_end_of_a_file_is_not_explained_as_an_escape():
    assert not any("JSON" in problem for problem in problems_of_user("CORP\\reports\r\n"))


@pytest.mark.parametrize("username", ["airflow/worker1", "airflow/worker1@CORP.EXAMPLE"])
def test_name_of_a_ticket_or_keytab_may_be_any_principal(username):
    assert problems_of_user(username, with_password=False) == []


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_problems_have_no_line_ends(username):
    assert not {"\n", "\r"}.intersection("".join(problems_of_user(username)))


@pytest.mark.parametrize(
    "password",
    [
        "x",
        " ",
        "ends in a blank ",
        " begins with one",
        '"quoted"',
        "pass\u00a0",
        "a\tb",
        "pässwörd",
        "****",
        "\U0001f511",
    ],
)
def test_password_that_may_be_meant_is_no_error(password):
    assert list(password_problems(password)) == []


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("secret\n", "The password ends with the control or invisible character U+000A"),
        ("secret\r\n", "The password ends with the control or invisible character U+000A"),
        ("secret\t", "The password ends with the control or invisible character U+0009"),
        ("\ufeffsecret", "The password begins with the control or invisible character U+FEFF"),
        ("secret\u200b", "The password ends with the control or invisible character U+200B"),
        ("secret\u2028", "The password ends with the control or invisible character U+2028"),
        ("sec\0ret", "The password contains the character U+0000"),
        ("secret\0", "The password ends with the control or invisible character U+0000"),
        ("sec\ud800ret", "The password contains half of a surrogate pair"),
        ("***", "The password is ***, with which Airflow hides a password"),
    ],
)
def test_password_that_cannot_be_meant_is_an_error_that_does_not_show_it(password, problem):
    (found,) = password_problems(password)

    assert found.startswith(problem)
    assert "secret" not in found
