"""The plain text beside HTML: readable, and never so large or slow that it delays a mail."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.mail.plain_text import text_of_html
from tests.mail.test_mime import message, written


def test_links_tables_and_lists_are_readable():
    html = """
        <html><head><title>Not shown</title><style>td { color: red }</style></head><body>
        <h1>Sales of May</h1>
        <p>Dear all,<br>
        the <b>figures</b> are <a href="https://bi.corp.example/may?a=1&amp;b=2">here</a>, 3 &lt; 4.</p>
        <table border=1>
          <tr><th>Region</th><th>Units</th></tr>
          <tr><td>North</td><td>1,200</td></tr>
          <tr><td>South and East</td><td>950</td></tr>
        </table>
        <ul><li>one</li><li>two</li></ul>
        <p><img src="cid:sales.png" alt="Chart of sales"></p>
        <!-- not shown -->
        <p>Bye</p></body></html>
    """
    assert text_of_html(html).splitlines() == [
        "Sales of May",
        "",
        "Dear all,",
        "the figures are [here](https://bi.corp.example/may?a=1&b=2), 3 < 4.",
        "",
        "Region          Units",
        "North           1,200",
        "South and East  950",
        "",
        "  * one",
        "  * two",
        "",
        "[Chart of sales]",
        "",
        "Bye",
    ]


def test_tables_for_the_layout_are_text():
    html = (
        "<table><tr><td><table><tr><td><h2>Report</h2><p>Ready.</p></td></tr></table></td></tr>"
        "<tr><td><a href='https://x.example'>Open</a></td></tr></table>"
    )
    assert text_of_html(html).split() == ["Report", "Ready.", "[Open](https://x.example)"]


@pytest.mark.parametrize(
    "html", ["", " \n", "<hr>", "<!-- a -->", "<html></html>", "<img src='cid:a'>", "<style>a{}</style>"]
)
def test_html_without_text_has_no_plain_text(html):
    assert text_of_html(html) == ""


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("just text", "just text"),
        ('<?xml version="1.0" encoding="iso-8859-1"?><p>Grüße &euro;', "Grüße €"),
        ("<p>unclosed <b>tags & <i>signs", "unclosed tags & signs"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<p>日本 🙂\ud800", "日本 🙂?"),
    ],
)
def test_any_html_is_converted(html, text):
    assert text_of_html(html) == text


@given(st.text(st.sampled_from("<>/=\"' tablerdpuiho!-&;#[]1\n") | st.characters(), max_size=300))
def test_any_text_is_converted_to_a_text_for_mail(html):
    text = text_of_html(html)
    assert text == text.strip("\n")
    assert not any(line != line.rstrip() for line in text.split("\n"))


def test_html_that_is_too_large_has_no_plain_text(caplog):
    with caplog.at_level(logging.INFO):
        assert text_of_html("<p>a" * 100_000) == ""
    assert "too large" in caplog.text


@pytest.mark.parametrize(
    "wide",
    [
        f"<tr><td>{'x' * 1000}</td></tr>",
        "".join(f"<tr>{'<td></td>' * number}<td>{'x' * 50}</td></tr>" for number in range(20)),
    ],
)
def test_a_table_that_would_become_too_large_has_no_plain_text(wide, monkeypatch):
    """A cell is as wide as the widest of its column; here a limit of 50,000 characters stands for the real one."""
    monkeypatch.setattr("airflow_smtp_cm.mail.plain_text._MAX_TABLE", 50_000)
    row = "<tr><td>a</td></tr>"
    assert text_of_html(f"<table>{wide}{row * 20}</table>")
    assert text_of_html(f"<table>{wide}{row * 60}</table>") == ""


def test_a_table_with_more_than_a_thousand_columns_has_no_plain_text():
    assert text_of_html("<table><tr>" + "<td>a" * 1000)
    assert text_of_html("<table><tr>" + "<td>a" * 1001) == ""


def test_the_time_for_wide_columns_does_not_grow_with_the_square_of_their_width():
    """The error of a task in a column makes the other rows blank there; it would take a minute for each of them."""
    rows = "<tr><td>a</td><td>b</td></tr>" * 10
    text = text_of_html(f"<table><tr><td>{'x' * 100_000}</td><td>b</td></tr>{rows}</table>")
    assert [line.split() for line in text.splitlines()[1:]] == [["a", "b"]] * 10


def test_html_that_the_library_cannot_convert_has_no_plain_text(caplog):
    html = f'<p style="padding-left: {"9" * 400}em">Hello</p>'
    assert text_of_html(html) == ""
    assert "OverflowError" in caplog.text


def test_a_message_is_not_changed_by_itself():
    """Only operator, notifier and back end add a text."""
    assert written(message(html="<p>Hello")).get_content_type() == "text/html"
