"""The extensions in a server's EHLO reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.smtp.extensions import Extensions
from airflow_smtp_cm.smtp.reply import Reply
from tests.fuzz.extensions import check


def offered(*lines: str) -> Extensions:
    return Extensions.from_ehlo(Reply(250, ("mail.corp.test Hello", *lines)))


def test_keywords_are_read_in_any_case():
    extensions = offered("pipelining", "Size 1000", "CHUNKING")
    assert "PIPELINING" in extensions
    assert "CHUNKING" in extensions
    assert "DSN" not in extensions


def test_the_repr_shows_what_the_server_offers():
    shown = repr(offered("SIZE 1000", "AUTH NTLM"))
    assert shown == "Extensions(keywords={'SIZE': '1000'}, mechanisms=('NTLM',))"


def test_the_greeting_line_is_not_an_extension():
    assert "STARTTLS" not in Extensions.from_ehlo(Reply(250, ("STARTTLS",)))


@pytest.mark.parametrize(
    "lines",
    [
        ("AUTH GSSAPI NTLM",),
        ("auth gssapi ntlm",),
        ("AUTH=GSSAPI NTLM",),
        ("AUTH GSSAPI NTLM", "AUTH=GSSAPI NTLM"),
        ("AUTH GSSAPI", "AUTH=NTLM"),
        ("X-EXPS GSSAPI LOGIN", "AUTH GSSAPI NTLM"),
        ("AUTH GSSAPI NTLM", "X-EXPS=LOGIN"),
    ],
)
def test_mechanisms_are_read_from_all_forms_of_auth_but_not_from_exchanges_own_list(lines):
    assert offered(*lines).mechanisms == ("GSSAPI", "NTLM")


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("SIZE 52428800", 52428800),
        ("SIZE", None),
        ("SIZE 0", None),
        ("SIZE many", None),
        ("SIZE ٣", None),
        (f"SIZE {'9' * 20}", 10**20 - 1),
        (f"SIZE {'9' * 5000}", None),
    ],
)
def test_a_size_limit_is_a_positive_number(line, limit):
    assert offered(line).size_limit == limit


words = st.sampled_from(["AUTH", "auth=", "X-EXPS", "STARTTLS", "SIZE", "NTLM", "=", " ", "\t", "9"]) | st.text()


@given(st.lists(st.lists(words).map("".join)))
def test_any_lines_are_read(lines):
    check(lines)
