"""Images that HTML names by their paths."""

import pytest

from airflow_smtp_cm.mail import InvalidAttachment
from airflow_smtp_cm.mail.embedding import embed_images
from tests.mail.pictures import PNG, references
from tests.mail.test_mime import message
from tests.mail.test_related import inline_parts


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, with images."""
    monkeypatch.chdir(tmp_path)
    for name in ("charts/sales.png", "charts/May & June.png", "logos/sales.png", "100%.png", "a b.svg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(PNG + name.encode())
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def sent(html):
    """Return the contents of the images that the sent HTML names, in order."""
    html, images = embed_images(html)
    parts, shown = inline_parts(message(html=html, attachments=images))
    return [parts[content_id].get_content().removeprefix(PNG).decode() for content_id in references(shown)]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("charts/sales.png", "charts/sales.png"),
        ("./charts/sales.png", "charts/sales.png"),
        ("charts/May%20%26%20June.png", "charts/May & June.png"),
        ("charts/May &amp; June.png", "charts/May & June.png"),
        (" charts/sales.png\n", "charts/sales.png"),
        ("100%.png", "100%.png"),
        ("a%20b.svg", "a b.svg"),
    ],
)
def test_an_image_with_a_path_is_part_of_the_html(source, path):
    assert sent(f'<p>a</p><img width=9 src="{source}" alt="A">') == [path]


def test_a_path_may_be_absolute(folder):
    assert sent(f"<img src={folder}/charts/sales.png>") == ["charts/sales.png"]


def test_images_of_one_name_are_told_apart_and_each_is_sent_once():
    html = '<img src="charts/sales.png"><img src="logos/sales.png"><img src="charts/sales.png">'
    assert len(embed_images(html)[1]) == 2
    assert sent(html) == ["charts/sales.png", "logos/sales.png", "charts/sales.png"]


@pytest.mark.parametrize(
    "html",
    [
        '<img src="https://corp.example/a.png">',
        '<img src="//corp.example/a.png">',
        '<img src="data:image/png;base64,AAAA">',
        '<img src="cid:sales.png">',
        '<img src="file:///charts/sales.png">',
        "<img alt=charts/sales.png>",
        '<a href="charts/sales.png">',
        '<img data-src="charts/sales.png">',
        '<p>&lt;img src="charts/sales.png"&gt;',
        '<!-- <img src="charts/sales.png"> -->',
    ],
)
def test_everything_else_stays(html):
    assert embed_images(html) == (html, ())


def test_every_image_that_cannot_be_embedded_is_an_error():
    html = "".join(
        f'<img src="{source}">'
        for source in ("charts/nowhere.png", "secret.txt", "folder.png", "C:\\a.png", "", "secret.txt", "empty.png")
    )
    with pytest.raises(InvalidAttachment) as caught:
        embed_images(html)
    missing = "does not exist or you do not have permissions to access the file."
    assert caught.value.problems == (
        f'<img src="charts/nowhere.png">: Either the file "charts/nowhere.png" {missing}',
        '<img src="secret.txt">: By its name it is not an image, but text/plain. Only images are embedded.',
        '<img src="folder.png">: "folder.png" is not a file (but a folder, for instance) and cannot be attached.',
        f'<img src="C:\\a.png">: Either the file "C:\\a.png" {missing}',
        '<img src="">: It names no file.',
        '<img src="empty.png">: The file is empty (0 bytes).',
    )
