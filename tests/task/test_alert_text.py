"""Texts of alerts are made fit for mail: nothing in the errors that they quote stops them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.mail.headers import MAX_TEXT
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.task.alert_text import fit_headers, fit_line, fit_text
from tests.mail.strategies import controls

FIT = "No rows  in «日本» 🙂"

ESCAPED = [
    ("\x1b[1;31mNo rows\x1b[0m", "No rows"),
    ("\x9b31mNo rows\x9bm", "No rows"),
    ("\x1b]8;;https://corp.test\x1b\\No rows\x1b]8;;\x07", "No rows"),
    ("\x1b(BNo\x1b= rows", "No rows"),
    ("No\0 rows\x07\x7f", "No rows"),
    ("No\ud800 rows \udcff", "No\ufffd rows \ufffd"),
]

anything = st.text(controls | st.characters(exclude_categories=[]) | st.sampled_from("[]mJ;0\\\u2028"), max_size=80)


def message(**fields):
    return MailMessage(from_email="a@corp.test", to="b@corp.test", **fields)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        *ESCAPED,
        (FIT, FIT),
        ("No rows\nin staging\r\n\r\n", "No rows in staging"),
        ("\n  Alert:\t \x0bno\x85rows\u2028in\u2029staging\n", "Alert: no rows in staging"),
    ],
)
def test_a_line_has_no_line_ends_and_no_controls(text, line):
    assert fit_line("subject", text) == line


@pytest.mark.parametrize("text", ["Files “a.csv” and “b.csv” are missing", "Chybí soubor o městě"])
def test_no_text_is_lost_that_another_program_decoded_wrongly(text):
    """In UTF-8 that was decoded as Latin-1, single characters are introducers of 8-bit escape sequences."""
    garbled = text.encode().decode("latin-1")
    readable = [character for character in garbled if not "\x7f" < character < "\xa0"]
    assert fit_line("subject", garbled) == "".join(readable)


@pytest.mark.parametrize("beginning", ["\x9d", "\x9b", "\x1b]", "\x1b[", "\x1b[1;", "\x1b"])
def test_escape_sequences_without_an_end_are_read_once(beginning):
    """If each were read to the end of the text, this would take hours."""
    text = fit_text("text", beginning * 200_000)
    assert "\x1b" not in text
    assert len(text) <= 600_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [*ESCAPED, (FIT, FIT), ("a\tb\r\nc\n\u2028\n", "a\tb\r\nc\n\u2028\n"), ("a\x0bb\x85c", "a\nb\nc")],
)
def test_a_text_keeps_its_white_space(text, expected):
    assert fit_text("html_content", text) == expected


class WithoutText(Exception):
    """An exception whose text fails."""

    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (ValueError("nan"), "nan"),
        (float("nan"), "nan"),
        (b"No \xff rows", "No \ufffd rows"),
        (["No", "rows"], "['No', 'rows']"),
        (WithoutText(), "(its text is not available: RuntimeError)"),
    ],
)
def test_any_value_becomes_a_text(value, expected):
    """Templates of a DAG with ``render_template_as_native_obj`` are rendered as such values."""
    assert fit_line("subject", value) == fit_text("html_content", value) == expected
    assert fit_headers({"X-Error": value}) == {"X-Error": expected}


@pytest.mark.parametrize("character", ["x", "ü", "日", "🙂"])
def test_a_line_that_is_too_long_is_cut_with_a_mark(character):
    line = fit_line("subject", character * MAX_TEXT + "end")
    assert line.endswith(f"{character}…")
    assert MAX_TEXT - 4 < len(line.encode()) <= MAX_TEXT
    assert fit_line("subject", line) == line


def test_a_text_that_is_too_long_for_most_servers_is_cut_with_a_mark():
    text = fit_text("html_content", "ü" * 1_500_000)
    assert len(text.encode()) <= 2 * 1024 * 1024
    assert text.endswith("ü…")
    assert fit_text("html_content", text) == text


@given(anything)
def test_every_line_and_text_can_be_sent(text):
    line, body = fit_line("subject", text), fit_text("text", text)
    sent = message(subject=line, text=body, html=body, headers={"X-Error": line})
    assert (sent.subject, sent.text) == (line, body)
    assert (fit_line("subject", line), fit_text("text", body)) == (line, body)


@pytest.mark.parametrize(("text", "logged"), [("No rows\n", ["subject"]), ("No rows", [])])
def test_the_log_names_what_was_changed(caplog, text, logged):
    with caplog.at_level(logging.INFO, "airflow_smtp_cm"):
        fit_line("subject", text)
    assert [record.args[0] for record in caplog.records] == logged
