"""The mail of the example DAG with a chart, as Chromium shows it. Its picture is in the documentation."""

import base64

from tests.servers.chromium import new_context, running_chromium, save_picture


def _page_of(message):
    """Return the HTML of a mail with its inline parts in it, as a mail program shows it."""
    html = message.get_body(("html",)).get_content()
    for part in message.walk():
        if part.get_content_disposition() == "inline":
            content = base64.b64encode(part.get_content()).decode()
            url = f"data:{part.get_content_type()};base64,{content}"
            html = html.replace(f"cid:{part['Content-ID'].strip('<>')}", url)
    return html


def test_the_chart_is_shown_inside_the_table(dags, smtp_cm_server):
    assert dags["sales_chart"].test().state == "success"
    (received,) = smtp_cm_server.outbox

    with running_chromium() as browser, new_context(browser, viewport={"width": 680, "height": 640}) as context:
        page = context.new_page()
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        page.set_content(_page_of(received.message))
        image = page.locator("td > img")
        assert image.evaluate("image => [image.complete, image.naturalWidth, image.naturalHeight]") == [
            True,
            1248,
            624,
        ]
        assert image.evaluate("image => image.width") == 624
        assert [url for url in requests if not url.startswith("data:")] == []
        save_picture("mail-with-chart", page.locator("table").first)
