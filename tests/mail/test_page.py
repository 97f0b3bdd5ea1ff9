"""The page that shows a message, in Chromium: complete, escaped, and without a network."""

from __future__ import annotations

import base64
import re
import threading
from email.message import EmailMessage
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given

from airflow_smtp_cm.mail.attachments import Attachment
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.mail.page import page_of
from tests.mail.reading import bytes_of
from tests.mail.test_reading_back import messages
from tests.servers.chromium import new_context, running_chromium
from tests.servers.processes import wait_until

# One red pixel.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
OWN_ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "table", "tr", "th", "td", "iframe", "pre", "p"),
}
# A page with this in it asks a server for everything that a browser can ask for.
GREEDY = """
<html><head>
<meta http-equiv="refresh" content="0; url={url}/refresh">
<link rel="stylesheet" href="{url}/sheet"><LINK rel=icon href="{url}/icon"><link rel="preconnect" href="{url}">
<style>@import "{url}/import"; body {{ background: url({url}/background) }}
@font-face {{ font-family: f; src: url({url}/font) }} p {{ font-family: f }}</style>
<base href="{url}/">
</head><body><p id="body">Hello</p>
<img src="{url}/img" srcset="{url}/srcset 2x"><img src="relative"><video src="{url}/video" autoplay></video>
<iframe src="{url}/iframe"></iframe><object data="{url}/object"></object><embed src="{url}/embed">
<script>document.getElementById("body").textContent = "script"; fetch("{url}/fetch")</script>
<img src="x" onerror="fetch('{url}/onerror')"><svg><image href="{url}/svg"/></svg>
<form id="form" action="{url}/form"></form><script>document.getElementById("form").submit()</script>
<a href="{url}/link">link</a>
</body></html>
"""


@pytest.fixture(scope="module")
def browser():
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def show(browser, tmp_path):
    """Return a function that shows a page in Chromium."""
    with new_context(browser, viewport={"width": 1000, "height": 800}) as context:

        def show(page):
            file = tmp_path / "message.html"
            file.write_text(page, encoding="utf-8")
            shown = context.new_page()
            shown.goto(file.as_uri())
            return shown

        yield show


@pytest.fixture
def web_server():
    """Its address, and the paths that were requested."""
    requested = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requested.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}", requested
        server.shutdown()


def mail(**given):
    return MailMessage(
        **{"from_email": "Reports <reports@corp.test>", "to": "bob@corp.test", "subject": "Sales"} | given
    )


def page(message, **options):
    return page_of(bytes_of(message, eight_bit=True, utf8=True), message.recipients, **options)


def related(html, *pictures):
    """Return a message with HTML and pictures (type, Content-ID, content)."""
    message = EmailMessage()
    message["Subject"], message["To"] = "Chart", "bob@corp.test"
    message.set_content("As text")
    message.add_alternative(html, subtype="html")
    for kind, content_id, data in pictures:
        message.get_body(("html",)).add_related(data, *kind.split("/"), cid=f"<{content_id}>", filename="chart.png")
    message.add_attachment(b"a,b\n", maintype="text", subtype="csv", filename="figures.csv")
    return message.as_bytes().replace(b"\n", b"\r\n")


def rows(shown, table):
    return [row.locator("td, th").all_inner_texts() for row in shown.locator(f"#{table} tr").all()]


def test_page_shows_header_recipients_texts_and_attachments(show):
    message = mail(
        to='"Döe, John" <john@corp.test>; bob@Corp.test',
        cc="carol@corp.test",
        bcc="boss@corp.test",
        subject="Grüße",
        text="Hello 日本\n",
        html="<p>Hello <b>日本</b></p>",
        priority="High",
        attachments=[Attachment(b"x" * 1234, "Übersicht.csv"), Attachment(b"", "empty")],
    )
    shown = show(page(message))

    assert shown.title() == "Grüße"
    assert rows(shown, "recipients") == [
        ["To", "john@corp.test"],
        ["To", "bob@Corp.test"],
        ["Cc", "carol@corp.test"],
        ["hidden (Bcc)", "boss@corp.test"],
    ]
    fields = dict(rows(shown, "header"))
    assert fields["From"] == "Reports <reports@corp.test>"
    assert "Döe, John" in fields["To"]
    assert (fields["Importance"], fields["Message-ID"]) == ("high", message.message_id)
    assert "Bcc" not in fields
    assert shown.frame_locator("#html").locator("b").inner_text() == "日本"
    assert shown.locator("#text").inner_text() == "Hello 日本\n"
    assert rows(shown, "attachments") == [
        ["Übersicht.csv", "text/csv", "1,234 bytes", ""],
        ["empty", "application/octet-stream", "0 bytes", ""],
    ]


def test_page_has_only_what_the_message_has(show):
    shown = show(page(mail(text="Hello")))

    assert [shown.locator(f"#{part}").count() for part in ("text", "html", "attachments")] == [1, 0, 0]
    assert "Settings" not in shown.locator("body").inner_text()


def test_pictures_are_in_their_places(show):
    html = (
        '<img id="named" src="cid:chart%40corp.test"><img id="plain" src="CID:other@corp.test">'
        '<div id="css" style="background-image: url(cid:chart@corp.test)">-</div><img id="missing" src="cid:nowhere">'
    )
    content = related(html, ("image/png", "chart@corp.test", PIXEL), ("image/png", "other@corp.test", PIXEL))
    shown = show(page_of(content, ["bob@corp.test"]))

    frame = shown.frame_locator("#html")
    for name in ("named", "plain"):
        frame.locator(f"#{name}").wait_for()
        assert frame.locator(f"#{name}").get_attribute("src").startswith("data:image/png;base64,")
        box = frame.locator(f"#{name}").bounding_box()
        assert (box["width"], box["height"]) == (1, 1)
    assert "data:image/png" in frame.locator("#css").get_attribute("style")
    assert frame.locator("#missing").get_attribute("src") == "cid:nowhere"
    assert shown.locator("#text").inner_text() == "As text\n"
    assert [(row[0], row[3]) for row in rows(shown, "attachments")] == [
        ("chart.png", "shown in the HTML"),
        ("chart.png", "shown in the HTML"),
        ("figures.csv", ""),
    ]


def test_only_images_are_shown_in_the_html():
    content = related('<img src="cid:page">', ("text/html", "page", b"<script></script>"))

    assert "data:" not in re.sub("img-src data:", "", page_of(content, []))


def test_all_pictures_of_a_srcset_are_in_their_places():
    page = page_of(related('<img srcset="cid:a@x, cid:a@x 2x">', ("image/png", "a@x", b"1")), [])

    assert "srcset=&#34;data:image/png;base64,MQ==, data:image/png;base64,MQ== 2x&#34;" in page


def test_page_of_greedy_html_requests_nothing_and_runs_no_script(show, web_server):
    """The same HTML on a page of its own, opened later, requests all."""
    url, requested = web_server
    greedy = GREEDY.format(url=f"{url}/mail")
    shown = show(page(mail(html=greedy)))
    frame = shown.frame_locator("#html")
    assert frame.locator("#body").inner_text() == "Hello"
    frame.get_by_role("link").click()
    assert "<link" not in page(mail(html=greedy)).lower()

    show(GREEDY.format(url=f"{url}/page"))
    assert wait_until(lambda: {"/page/img", "/page/sheet", "/page/import"} <= {*requested}), requested
    assert [path for path in requested if path.startswith("/mail/")] == []


@pytest.mark.parametrize(
    "attack", ['"><script>document.title="run"</script>', "</title></pre></iframe><b id=attack>"]
)
def test_everything_is_escaped(show, attack):
    message = mail(
        subject=attack,
        text=attack,
        html=f"<p>{attack}</p>",
        headers={"X-Attack": attack},
        attachments=Attachment(b"", f"{attack}.csv"),
    )
    shown = show(page(message, settings=[attack]))

    assert shown.title() == attack
    assert shown.locator("#attack").count() == 0
    assert shown.locator("h1").inner_text() == attack
    assert shown.locator("#text").inner_text() == attack
    assert shown.locator(".settings li").inner_text() == attack
    assert rows(shown, "attachments")[0][0].endswith(f"{attack[1:]}.csv")


class Elements(HTMLParser):
    """The start tags of a page."""

    def __init__(self, page):
        super().__init__()
        self.names = []
        self.sources = []
        self.hidden = 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.sources += [value for name, value in attrs if name == "srcdoc"]
        self.hidden += ("class", "hidden") in attrs


@given(messages())
def test_page_of_any_message_has_only_its_own_elements_and_shows_who_is_hidden(message):
    elements = Elements(page(message))

    assert {*elements.names} <= OWN_ELEMENTS
    assert len(elements.sources) == elements.names.count("iframe") == bool(message.html)
    assert elements.hidden == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"Subject: \xff\xfe\r\nTo: \xff\r\n\r\n\xff",
        b'Content-Type: text/html; charset="unknown"\r\n\r\n<p>H\xc3\xbc</p>',
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nTo: a\r\n\r\nx",
    ],
)
def test_page_of_an_odd_message_can_be_written(content):
    assert page_of(content, ["bob@corp.test"]).encode().startswith(b"<!DOCTYPE html>")
