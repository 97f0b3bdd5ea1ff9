"""The prefix of subjects and the template around HTML bodies."""

from __future__ import annotations

import os

import pytest

from airflow_smtp_cm.mail.errors import InvalidMessage
from airflow_smtp_cm.mail.house_style import HouseStyle

TEMPLATE = """\
<html><head><title>{{ subject }}</title></head>
<body><header>Corp</header>{% block content %}{% endblock %}<footer>Unsubscribe</footer></body></html>
"""


@pytest.fixture
def styled(tmp_path):
    """Return a function that returns an HTML body in a template."""

    def styled(html, template=TEMPLATE, subject="Sales"):
        (tmp_path / "house.html").write_text(template, encoding="utf-8")
        return HouseStyle(html_template=str(tmp_path / "house.html")).html(html, subject)

    return styled


def test_without_settings_nothing_is_changed():
    style = HouseStyle()

    assert (style.subject(" Sales "), style.html("<p>", "Sales"), [*style.effects()]) == (" Sales ", "<p>", [])


@pytest.mark.parametrize(("subject", "expected"), [("Sales", "[Airflow] Sales"), ("", "[Airflow]")])
def test_prefix_is_before_the_subject(subject, expected):
    assert HouseStyle(subject_prefix="[Airflow]").subject(subject) == expected


def test_content_is_in_its_block_as_html_and_the_subject_is_escaped(styled):
    page = styled("<p>5 &lt; 6 {{ 1 / 0 }} ä</p>", subject="A & <b>")

    assert "<header>Corp</header><p>5 &lt; 6 {{ 1 / 0 }} ä</p><footer>" in page
    assert "<title>A &amp; &lt;b&gt;</title>" in page


@pytest.mark.parametrize(
    ("html", "content"),
    [
        ("<p>a</p>", "<p>a</p>"),
        ("<!DOCTYPE html>\n<html><body><p>a</p></body></html>\n", "<p>a</p>"),
        (
            '<html><head><style>p {}</style><title>x</title></head><BODY class="a">b</BODY></html>',
            '<style>p {}</style><div class="a">b</div>',
        ),
        ("<body>\u0130zmir \u0130stanbul</body>", "\u0130zmir \u0130stanbul"),  # in lower case, it is longer
        (
            '<html lang="he" dir="rtl"><body\n style="font: 12px Arial">\u05e9\u05dc\u05d5\u05dd</body>',
            '<div dir="rtl" style="font: 12px Arial">\u05e9\u05dc\u05d5\u05dd</div>',
        ),
        (
            "<head><!--[if mso]><style>p { a }</style><![endif]--><!-- <style>p { b }</style> --></head><body>b",
            "<!--[if mso]><style>p { a }</style><![endif]-->b",
        ),
        (
            "<body BGCOLOR=#eeeeee text='navy'>b</body>",
            """<div style="background-color: #eeeeee; color: navy"><div BGCOLOR=#eeeeee text='navy'>b</div></div>""",
        ),
        ('<body text="333333">b', '<div style="color: #333333"><div text="333333">b</div></div>'),
        ("<body>no end", "no end"),
        ("<body", "<body"),
        ("</body> <body>b", "b"),
        ("<tbody>a</tbody>", "<tbody>a</tbody>"),
    ],
)
def test_of_a_whole_document_the_body_and_the_styles_are_the_content(styled, html, content):
    assert f"<header>Corp</header>{content}<footer>" in styled(html)


def test_mail_without_html_stays_without(styled):
    assert styled("") == ""


def test_template_may_extend_and_include_files_of_its_folder(styled, tmp_path):
    (tmp_path / "base.html").write_text("<body>{% block content %}{% endblock %}{% include 'footer.html' %}</body>")
    (tmp_path / "footer.html").write_text("<i>footer</i>")

    assert styled("<p>", "{% extends 'base.html' %}") == "<body><p><i>footer</i></body>"


def test_changed_template_is_read_again(styled, tmp_path):
    styled("<p>")
    later = (tmp_path / "house.html").stat().st_mtime + 10
    (tmp_path / "house.html").write_text("new {% block content %}{% endblock %}")
    os.utime(tmp_path / "house.html", (later, later))

    assert HouseStyle(html_template=str(tmp_path / "house.html")).html("<p>", "") == "new <p>"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("<html></html>", "does not show the content"),
        ("{% block body %}{% endblock %}", "does not show the content"),
        ("{% block content %}", "TemplateSyntaxError"),
        ("{{ recipient }}{% block content %}{% endblock %}", "UndefinedError: 'recipient' is undefined"),
        ("{{ 1 / 0 }}{% block content %}{% endblock %}", "ZeroDivisionError"),
        ("{% include '../secret.html' %}{% block content %}{% endblock %}", "TemplateNotFound"),
    ],
)
def test_template_that_cannot_be_used_is_an_error_that_names_it(styled, tmp_path, template, reason):
    with pytest.raises(InvalidMessage) as caught:
        styled("<p>", template)

    assert f'[smtp_cm] html_template: The file "{tmp_path}/house.html"' in str(caught.value)
    assert reason in str(caught.value)


def test_template_that_names_an_attachment_is_an_error(styled):
    """Else every message without this attachment would be invalid, and no alert would be sent."""
    with pytest.raises(InvalidMessage, match=r'html_template: .* names "cid:logo\.png", but a template has no'):
        styled('<img src="cid:sales.png">', '<img src="cid:logo.png">{% block content %}{% endblock %}')


def test_content_may_name_attachments(styled):
    page = styled('<img src="cid:sales.png">', "See cid:x {% block content %}{% endblock %}")

    assert page == 'See cid:x <img src="cid:sales.png">'


def test_missing_template_is_an_error_that_names_it():
    with pytest.raises(InvalidMessage, match=r'The file "/no/such/house\.html" cannot be rendered: TemplateNotFound'):
        HouseStyle(html_template="/no/such/house.html").html("<p>", "")


def test_template_that_is_not_utf_8_is_an_error(tmp_path):
    (tmp_path / "house.html").write_bytes(b"\xff{% block content %}{% endblock %}")
    with pytest.raises(InvalidMessage, match="UnicodeDecodeError"):
        HouseStyle(html_template=str(tmp_path / "house.html")).html("<p>", "")
