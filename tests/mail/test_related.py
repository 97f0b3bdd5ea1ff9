"""Attachments that the HTML names: which are inline, their Content-IDs, and what three parsers read."""

import base64
import email
import json
import os
import re
import subprocess
import tracemalloc
from dataclasses import replace
from email import policy
from html import escape, unescape
from pathlib import Path
from urllib.parse import quote, unquote

import fast_mail_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.mail import InvalidAttachment, InvalidMessage
from airflow_smtp_cm.mail.html_references import replace_content_ids, replace_image_sources
from airflow_smtp_cm.mail.related import relate
from tests.mail.pictures import PNG, png, references
from tests.mail.reading import bytes_of
from tests.mail.strategies import file_names
from tests.mail.test_mime import message, tree, written

ROOT = Path(__file__).parents[2]


def inline_parts(made):
    """Return the inline parts by their Content-IDs, and the HTML."""
    read = written(made)
    parts = {part["Content-ID"]: part for part in read.walk() if part.get_content_disposition() == "inline"}
    return parts, read.get_body(("html",)).get_content()


# --- structure


@pytest.mark.parametrize(
    ("fields", "structure"),
    [
        (
            {"text": "a", "attachments": [png(), png("data.csv", b"1")]},
            (
                "mixed",
                ("related", ("alternative", "text/plain 7bit", "text/html 7bit"), "image/png base64"),
                "text/csv base64",
            ),
        ),
        ({"text": "a", "attachments": png()},
         ("related", ("alternative", "text/plain 7bit", "text/html 7bit"), "image/png base64")),
        ({"attachments": [png("data.csv", b"1"), png()]},
         ("mixed", ("related", "text/html 7bit", "image/png base64"), "text/csv base64")),
        ({"attachments": png()}, ("related", "text/html 7bit", "image/png base64")),
    ],
)  # fmt: skip
def test_an_attachment_that_the_html_names_is_related_to_it(fields, structure):
    """The nesting of [MS-OXCMAIL], section 2.1.3.3.6."""
    assert tree(written(message(html='<img src="cid:sales.png">', **fields))) == structure


@pytest.mark.parametrize(("text", "root"), [("a", "multipart/alternative"), (None, "text/html")])
def test_related_has_the_type_of_its_root(text, root):
    read = written(message(text=text, html='<img src="cid:sales.png">', attachments=png()))
    assert read["Content-Type"].params["type"] == root == next(read.iter_parts()).get_content_type()


def test_an_inline_part_has_the_fields_that_readers_need():
    parts, html = inline_parts(message(html='<img src="cid:sales.png">', attachments=png()))
    ((content_id, part),) = parts.items()
    assert references(html) == [content_id]
    assert part["Content-Disposition"] == 'inline; filename="sales.png"'
    assert part["Content-Type"] == 'image/png; name="sales.png"'
    assert part.get_content() == PNG


def test_an_attachment_that_the_html_does_not_name_is_attached_as_before():
    fields = {"html": "<p>See sales.png, cid:sales.png</p>", "attachments": png(content_id="logo@x")}
    (part,) = written(message(**fields)).iter_attachments()
    assert part.get_content_disposition() == "attachment"
    assert part["Content-ID"] is None


def test_without_html_nothing_is_inline():
    (part,) = written(message(text='<img src="cid:sales.png">', attachments=png())).iter_attachments()
    assert part.get_content_disposition() == "attachment"


def test_inline_parts_are_in_the_order_in_which_they_are_named():
    made = message(html='<img src="cid:b.png"><img src="cid:a.png">', attachments=[png("a.png"), png("b.png")])
    assert [part.get_filename() for part in inline_parts(made)[0].values()] == ["b.png", "a.png"]


def test_a_part_that_is_named_twice_is_sent_once():
    parts, html = inline_parts(message(html='<img src="cid:sales.png"><img src="cid:sales.png">', attachments=png()))
    assert references(html) == [*parts, *parts]


# --- Content-IDs


def test_a_content_id_is_a_msg_id_that_no_other_message_has():
    made = [message(html='<img src="cid:sales.png">', attachments=png()) for _ in range(2)]
    ids = [content_id for each in made for content_id in inline_parts(each)[0]]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"<[0-9a-f]+@[0-9a-f]{32}>", content_id) for content_id in ids)


def test_an_own_content_id_in_the_form_of_a_msg_id_is_sent():
    made = message(html='<img src="cid:logo%2B1@corp.example">', attachments=png(content_id="logo+1@corp.example"))
    parts, html = inline_parts(made)
    assert list(parts) == references(html) == ["<logo+1@corp.example>"]


def test_another_own_content_id_is_only_a_name_in_the_html():
    parts, html = inline_parts(message(html='<img src="cid:logo">', attachments=png(content_id="logo")))
    assert list(parts) == references(html) != ["<logo>"]


def test_content_ids_tell_two_attachments_of_one_name_apart():
    files = [png(content=b"first", content_id="may"), png(content=b"second", content_id="june")]
    parts, html = inline_parts(message(html='<img src="cid:june"><img src="cid:may">', attachments=files))
    assert [parts[content_id].get_content() for content_id in references(html)] == [b"second", b"first"]


@pytest.mark.parametrize("content_id", ["", "a b", "<a@x>", "ä", "a\r\nBcc: c@x", "a" * 256])
def test_a_content_id_that_is_not_valid_in_a_header_or_url_is_rejected(content_id):
    with pytest.raises(InvalidAttachment, match="is not a content_id"):
        png(content_id=content_id)


def test_a_message_made_from_another_is_complete():
    made = message(html='<img src="cid:sales.png">', attachments=png())
    parts, html = inline_parts(replace(made, subject="Again"))
    assert references(html) == list(parts)


# --- references


@pytest.mark.parametrize(
    "html",
    [
        '<img src="cid:{}">',
        "<IMG SRC = 'CID:{}'>",
        '<table><td background=" cid:{} ">',
        '<td style="background: url(&quot;cid:{}&quot;) no-repeat">',
        '<!--[if mso]><v:fill type="tile" src="cid:{}"/><![endif]-->',
        '<![if !mso]><img src="cid:{}"><![endif]>',
        '<!--[if !mso]><!--><img src="cid:{}"><!--<![endif]-->',
        '<!--[if !mso]> <!---> <img src="cid:{}"><!-- <![endif]-->',
        '<!-- closed so --!><img src="cid:{}">',
        '<td width="100"" background="cid:{}">',
        '<img alt="19" monitor" src="cid:{}">',
        '<img = src="cid:{}">',
        '<b <img src="cid:{}">',
        "<img alt=it's src=\"cid:{}\">",
        '<a title="<img>" href="cid:{}">',
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["sales.png", "May%20%26%20June.png", "May &amp; June.png", "ümlaut.png"])
def test_a_name_is_found_wherever_html_has_a_url(html, name):
    attachments = [png("sales.png"), png("May & June.png"), png("ümlaut.png")]
    made = message(html=html.format(name), attachments=attachments)
    ((content_id, part),), sent = inline_parts(made)[0].items(), inline_parts(made)[1]
    assert part.get_filename() == unquote(unescape(name))
    assert references(unescape(sent)) == [content_id]


@pytest.mark.parametrize("tag", ["{}", "<{}", "<a {}", "<a {}>", "<a x='{}'>", "<a " + "x='<a \" ' " * 50_000 + "{}"])
def test_every_tag_is_read_once(tag):
    """Else the time would grow with the square of the length: 100,000 characters would take a minute."""
    html = tag.format("x" * 100_000)
    assert replace_content_ids(f'{html} <img src="cid:a">', str.upper).startswith(html)


def test_a_style_sheet_names_without_entities():
    html = "<style type=text/css>td { background: url( 'cid:May & June.png' ); color: red }</style>"
    parts, sent = inline_parts(message(html=html, attachments=png("May & June.png")))
    assert references(sent) == list(parts)


def test_srcset_may_name_several():
    made = message(html='<img srcset="cid:a.png, cid:b.png 2x">', attachments=[png("a.png"), png("b.png")])
    parts, html = inline_parts(made)
    assert references(html.replace(",", " ")) == list(parts)


@pytest.mark.parametrize(
    "html",
    [
        '<p>The form cid:x is a URL, as in "cid:x".</p>',
        "<!-- <img src='cid:x'> --><p>cid:",
        "<!-- cid: never closed <img src='cid:x'>",
        "<![x]><p>cid:",
        "a < b, c > cid:x <",
        '<img src="cid:x',
        '<a href="https://x.example/?q=cid:x">',
    ],
)
def test_text_and_comments_name_nothing(html):
    assert relate(html, ()).html == html


@given(st.text(st.sampled_from("<>\"'=/ !-[]acidsrgtyle:(){};&\n") | st.characters(), max_size=200))
def test_all_other_characters_stay_as_they_are(html):
    assert replace_image_sources(html, lambda source: source) == html
    assert replace_content_ids(html, lambda name: name).lower().count("cid:") == html.lower().count("cid:")


@pytest.mark.parametrize(
    "html", ["<a x=", "<a x='\"", "<a<", "<!--", "<style>", "<i style=\"url('cid:", "x" * 99, "<a " + "x" * 99 + " "]
)
def test_hostile_html_takes_time_in_proportion_to_its_length(html):
    """If the search began again at each tag, this would take hours."""
    html = f"<p {html * (1_000_000 // len(html))}"
    assert replace_content_ids(html, lambda name: name) == html


# --- errors


def problems(html, *attachments):
    with pytest.raises(InvalidMessage) as caught:
        message(html=html, attachments=attachments)
    return caught.value.problems


def test_a_name_without_an_attachment_is_an_error_that_lists_the_attachments():
    assert problems('<img src="cid:a.png"><img src="cid:a.png">', png("b.png"), png("c.png")) == (
        'html: The HTML names "cid:a.png", but no attachment has this name. The attachments are "b.png", "c.png".',
    )
    (problem,) = problems('<img src="cid:a.png">')
    assert problem.endswith("The message has no attachments.")
    (problem,) = problems('<img src="cid:a.png">', *(png(f"{number}.png") for number in range(12)))
    assert problem.endswith('"9.png" and 2 more.')


def test_a_name_of_two_attachments_is_an_error_with_advice():
    (problem,) = problems('<img src="cid:sales.png">', png(), png())
    assert '"cid:sales.png", and 2 attachments have this name. Give each its own content_id' in problem


def test_an_empty_picture_is_an_error():
    assert problems('<img src="cid:sales.png">', png(content=b"")) == (
        'html: The attachment that the HTML names "cid:sales.png" is empty (0 bytes).',
    )


def test_control_characters_in_a_name_are_visible_in_the_error():
    (problem,) = problems('<img src="cid:a\r\nb\u200b">')
    assert "cid:a<U+000D><U+000A>b<U+200B>" in problem


def test_it_is_reported_with_the_other_problems():
    with pytest.raises(InvalidMessage) as caught:
        message(to="bob", html='<img src="cid:a.png">')
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["to", "html"]


# --- sending


@pytest.mark.parametrize("binary", [False, True])
def test_memory_does_not_depend_on_the_size_of_a_picture(tmp_path, binary):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(20 * 1024 * 1024)
    tracemalloc.start()
    try:
        made = message(html='<img src="cid:large.png">', attachments=path)
        content = made.content(eight_bit=True, binary=binary, utf8=False)
        sent = sum(map(len, content.chunks()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent == content.size > path.stat().st_size
    assert peak < 2 * 1024 * 1024


def test_an_inline_part_is_sent_unchanged_with_binarymime():
    made = message(html='<img src="cid:sales.png">', attachments=png())
    assert tree(written(made, binary=True)) == ("related", "text/html 7bit", "image/png binary")
    assert PNG in bytes_of(made, binary=True)


# --- what readers see


def seen_by_python(data):
    read = email.message_from_bytes(data, policy=policy.default)
    assert not [defect for part in read.walk() for defect in part.defects]
    files = [part for part in read.walk() if part.get_content_disposition()]
    return read.get_body(("html",)).get_content(), [
        (
            part["Content-Disposition"].params["filename"],
            part.get_content_disposition(),
            part["Content-ID"],
            part.get_payload(decode=True),
        )
        for part in files
    ]


def seen_by_rust(data):
    leaves = [part for part in fast_mail_parser.walk(fast_mail_parser.parse_email_tree(data)) if not part.children]
    html = next(part.content.decode() for part in leaves if part.content_type == "text/html")
    return html, [
        (part.filename, part.disposition, part.headers.get("Content-ID", [None])[0], part.content)
        for part in leaves
        if not part.content_type.startswith("text/")
    ]


@pytest.fixture(scope="module")
def seen_by_node():
    """The mailparser of npm, in one process for all messages."""
    modules = ROOT / ".build" / "node" / "node_modules"
    if not (modules / "mailparser").exists():
        pytest.skip("npm's mailparser is not installed; make test installs it if there is npm")
    program = Path(__file__).with_name("mailparser.js")
    environment = {**os.environ, "NODE_PATH": str(modules)}
    command = ["node", str(program)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    ) as node:

        def seen_by_node(data):
            node.stdin.write(base64.b64encode(data).decode() + "\n")
            mail = json.loads(node.stdout.readline())
            return mail["html"], [
                (part["name"], part["disposition"], part.get("cid") and f"<{part['cid']}>",
                 base64.b64decode(part["content"]))
                for part in mail["attachments"]
            ]  # fmt: skip

        yield seen_by_node
        node.stdin.close()


def test_three_parsers_read_pictures_and_attachments_alike(seen_by_node):
    files = [
        png("a.png"),
        png("Grüße & 日本.png"),
        png("c.png", content_id="logo@corp.example"),
        png("d.bin", b"\0d"),
    ]
    html = '<p>ä</p><img src="cid:a.png"><img src="cid:Grüße &amp; 日本.png"><img src="cid:logo@corp.example">'
    data = bytes_of(message(text="ä", html=html, attachments=files), eight_bit=True)

    shown, parts = seen_by_python(data)
    assert [part[:2] for part in parts] == [
        ("a.png", "inline"), ("Grüße & 日本.png", "inline"), ("c.png", "inline"), ("d.bin", "attachment")
    ]  # fmt: skip
    assert references(shown) == [part[2] for part in parts[:3]]
    assert seen_by_rust(data) == (shown, parts)
    assert seen_by_node(data) == (shown, parts)


@given(st.lists(file_names, min_size=1, max_size=4, unique=True), st.booleans(), st.booleans())
def test_any_file_name_may_be_named_in_html(names, encoded, binary):
    encoded_names = [quote(name) if encoded or name != name.strip() else name for name in names]
    html = "".join(f'<img src="cid:{escape(name)}">' for name in encoded_names)
    attachments = [png(name, bytes([number])) for number, name in enumerate(names, 1)]
    data = bytes_of(message(html=html, attachments=attachments), binary=binary)

    shown, parts = seen_by_python(data)
    assert references(shown) == [content_id for _, _, content_id, _ in parts]
    assert [(name, content) for name, _, _, content in parts] == [
        (name, bytes([number])) for number, name in enumerate(names, 1)
    ]
    assert seen_by_rust(data)[1] == parts
