"""Headers with a structure: names are encoded, and addresses, URLs and identifiers are not."""

import email
import re
from email import policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.mail import Address, InvalidMessage, MailMessage
from tests.mail.reading import bytes_of, seen_by_python, seen_by_rust
from tests.mail.strategies import lines, plain_addresses

ADDRESSES = [
    *("Author", "Disposition-Notification-To", "Errors-To", "Mail-Followup-To", "Mail-Reply-To", "Original-From"),
    *("Resent-Bcc", "Resent-Cc", "Resent-From", "Resent-Reply-To", "Resent-Sender", "Resent-To"),
    *("Return-Receipt-To", "X-Confirm-Reading-To"),
]
URLS = ["Archived-At", *(f"List-{name}" for name in ("Archive", "Help", "Owner", "Post", "Subscribe", "Unsubscribe"))]
IDENTIFIERS = ["In-Reply-To", "References", "Resent-Message-ID", "Original-Message-ID", "Supersedes"]
TOKENS = [
    *("Auto-Submitted", "Precedence", "Sensitivity", "List-Unsubscribe-Post", "Disposition-Notification-Options"),
    *("Expires", "Reply-By", "Return-Path", "Accept-Language", "X-Auto-Response-Suppress", "Thread-Index"),
]
LONG_URL = f"<https://corp.example/{'a' * 900}>"


def message(name, value):
    return MailMessage(from_email="a@x", to="b@y", headers={name: value})


def field(name, value, *, utf8=False):
    """Return the value of a header as it is sent, with its folding."""
    head = bytes_of(message(name, value), utf8=utf8).partition(b"\r\n\r\n")[0].decode()
    (found,) = re.findall(rf"^{name}: ([^\r]*(?:\r\n [^\r]*)*)", head, re.MULTILINE)
    return found


def problem_with(name, value):
    with pytest.raises(InvalidMessage) as caught:
        message(name, value)
    (problem,) = caught.value.problems
    prefix = f'headers: The value of "{name}": '
    assert problem.startswith(prefix)
    return problem.removeprefix(prefix)


def decoded(value):
    """Return the value of a header as text, as Python's ``email`` reads it."""
    return str(email.message_from_string(f"X: {value}\r\n\r\n", policy=policy.default)["X"])


# --- addresses


@pytest.mark.parametrize("name", [*ADDRESSES, "DISPOSITION-notification-to"])
@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("Jörg <j@corp.example>", "=?utf-8?b?SsO2cmc=?= <j@corp.example>"),
        ("j@corp.example", "j@corp.example"),
        ("\ufeffj@corp.example\u200b\u00a0", "j@corp.example"),
        ('"Doe, Jörg" <j@x>; Ann <a@münchen.de>', "=?utf-8?q?Doe=2C_J=C3=B6rg?= <j@x>, Ann <a@xn--mnchen-3ya.de>"),
    ],
)
def test_names_are_encoded_and_addresses_are_not(name, value, written):
    assert field(name, value).replace("\r\n", "") == written


@pytest.mark.parametrize(
    ("value", "reason"),
    [("Jörg", 'The address "Jörg" is malformed.'), ("j\u200b@x", "U+200B"), (" ; ", "It contains no address.")],
)
def test_a_header_of_addresses_has_addresses(value, reason):
    assert reason in problem_with("Errors-To", value)


@given(st.lists(plain_addresses, min_size=1, max_size=4))
def test_addresses_are_read_back(known):
    """Both parsers read the field, under a name by which they know it as a field of addresses."""
    value = field("Disposition-Notification-To", "; ".join(map(str, known)))
    assert value.isascii()
    raw = f"From: a@x\r\nTo: {value}\r\n\r\n".encode()
    meant = [("".join(address.display_name.split()), address.addr_spec) for address in known]
    for seen in (seen_by_python(raw), seen_by_rust(raw)):
        assert [("".join(name.split()), spec) for name, spec in seen.to] == meant


def test_an_address_in_a_header_may_need_smtputf8():
    made = message("Errors-To", "jürgen@x; a@x")
    assert made.utf8_addresses == (Address("", "jürgen", "x"),)
    assert field("Errors-To", "ju\u0308rgen@x", utf8=True) == "jürgen@x"


# --- URLs


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("<https://corp.example/leave?id=1&x=a,b>", "<https://corp.example/leave?id=1&x=a,b>"),
        ("<mailto:l@x?subject=leave>,<https://x/>", "<mailto:l@x?subject=leave>, <https://x/>"),
        ("(by mail) <mailto:l@x> (fast), <https://x/>", "(by mail) <mailto:l@x> (fast), <https://x/>"),
        ("<mailto:l@x> (für \\(alle\\))", "<mailto:l@x> (=?utf-8?b?ZsO8ciAoYWxsZSk=?=)"),
        ("<https://x/=?utf-8?q?a?=>", "<https://x/=?utf-8?q?a?=>"),
        (f"{LONG_URL},<mailto:l@x>", f"{LONG_URL},\r\n <mailto:l@x>"),
        (f"<mailto:l@x>, {LONG_URL}", f"<mailto:l@x>,\r\n {LONG_URL}"),
    ],
)
def test_urls_are_folded_between_them_and_never_encoded(name, value, written):
    assert field(name, value) == written


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "It is empty."),
        ("https://corp.example/", "is not a list of URLs in angle brackets"),
        ("<https://x/> <https://y/>", "is not a list of URLs in angle brackets"),
        ("<https://x/>,", "is not a list of URLs in angle brackets"),
        ("<https://x/", "is not a list of URLs in angle brackets"),
        ("\ufeff<https://x/>", '"<U+FEFF><https://x/>" is not a list of URLs'),
        ("(NO)", "is not a list of URLs in angle brackets"),
        ("NO", "is not a list of URLs in angle brackets"),
        ("<https://x/ü>", '"<https://x/ü>" is not a URL.'),
        ("<https://x/a b>", '"<https://x/a b>" is not a URL.'),
        ("<www.corp.example>", "It needs a scheme"),
        (f"<https://x/{'a' * 980}>", "is longer than 998 bytes, and cannot be folded."),
    ],
)
def test_a_header_of_urls_has_urls_in_angle_brackets(value, reason):
    assert reason in problem_with("List-Unsubscribe", value)


@pytest.mark.parametrize(("value", "written"), [("NO", "NO"), ("NO (für alle)", "NO (=?utf-8?b?ZsO8ciBhbGxl?=)")])
def test_list_post_may_be_no(value, written):
    """RFC 2369, section 3.4."""
    assert field("List-Post", value) == written


urls = st.builds(
    "<{}:{}>".format,
    st.sampled_from(["https", "mailto", "ftp", "X-a+b.c"]),
    st.text(st.sampled_from(",;%()=?@/\"\\'") | st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
    .map(lambda text: re.sub("[<>]", "", text))
    .filter(bool),
)


@given(st.lists(urls, min_size=1, max_size=5), st.sampled_from([",", ", ", " ,  "]))
def test_urls_are_read_back(known, separator):
    value = separator.join(known)
    made = message("List-Unsubscribe", value)
    raw = bytes_of(made)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    unfolded = re.sub(r"\r\n", "", field("List-Unsubscribe", value))
    assert unfolded.split(", ") == ", ".join(known).split(", ")
    for seen in (seen_by_python(raw, "List-Unsubscribe"), seen_by_rust(raw, "List-Unsubscribe")):
        assert seen.own_header == ", ".join(known)


@given(st.sampled_from([*ADDRESSES, *URLS, *IDENTIFIERS, *TOKENS, "List-Id", "Keywords"]), lines | st.text())
def test_any_value_is_rejected_or_written_without_another_header(name, value):
    try:
        made = message(name, value)
    except InvalidMessage:
        return
    raw = bytes_of(made, utf8=True)
    head = raw.partition(b"\r\n\r\n")[0].decode()
    names = [line.partition(":")[0] for line in head.split("\r\n") if not line.startswith(" ")]
    assert names.count(name) == 1
    assert len(names) == len(bytes_of(message("X-Own", "a")).partition(b"\r\n\r\n")[0].decode().split("\r\n"))
    assert all(line.strip() and len(line.encode()) <= 998 for line in head.split("\r\n"))
    if name in {*URLS, *IDENTIFIERS, *TOKENS}:
        outside_comments = re.sub(r"\(=\?.*?\?=\)", "", field(name, value), flags=re.DOTALL)
        assert outside_comments.isascii()
        assert "=?utf-8?" not in outside_comments or "=?utf-8?" in value


# --- names of lists, identifiers, tokens, phrases


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("<reports.corp.example>", "<reports.corp.example>"),
        ("Reports <reports.corp.example>", "Reports <reports.corp.example>"),
        ("Größe der Liste <reports.corp.example>", "=?utf-8?b?R3LDtsOfZSBkZXIgTGlzdGU=?= <reports.corp.example>"),
        ('"Reports, all" <reports.corp.example>', '"Reports, all" <reports.corp.example>'),
        ('"Größe, alle" <r.x>', "=?utf-8?b?R3LDtsOfZSwgYWxsZQ==?= <r.x>"),
    ],
)
def test_the_name_of_a_list_is_encoded_and_its_id_is_not(value, written):
    assert field("List-Id", value) == written


@pytest.mark.parametrize("value", ["reports.corp.example", "<größe.x>", "A <a b>", "<a> <b>", '"A <a.x>'])
def test_the_id_of_a_list_is_ascii_in_angle_brackets(value):
    assert problem_with("List-Id", value).endswith("is not of the form Name <list.example.com>.")


@given(lines.filter(lambda text: text.strip() and not re.search(r'[<>"\\]', text)))
def test_the_name_of_a_list_is_read_back(name):
    written = field("List-Id", f"{name} <r.example>")
    assert written.isascii()
    read = decoded(written)
    assert read.endswith("<r.example>")
    assert "".join(read.removesuffix("<r.example>").replace('"', "").split()) == "".join(name.split())


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_identifiers_are_folded_at_blanks(name):
    one, long = "<1@x>", f"<{'a' * 900}@x>"
    assert field(name, f"{one}  {one}") == f"{one} {one}"
    assert field(name, f"{one} {long} {one}") == f"{one}\r\n {long}\r\n {one}"
    assert problem_with(name, f"<{'a' * 1000}@x>").endswith("is longer than 998 bytes, and cannot be folded.")


@pytest.mark.parametrize("name", [*IDENTIFIERS, *TOKENS])
def test_identifiers_and_tokens_are_ascii(name):
    assert field(name, "=?utf-8?q?a?=") == "=?utf-8?q?a?="
    assert "has characters that are not ASCII" in problem_with(name, "größe")
    assert problem_with(name, " ") == "It is empty."


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("sales, big report", "sales , big report"),
        ('Größe, "a, b", "ä, b"', '=?utf-8?b?R3LDtsOfZQ==?= , "a, b" , =?utf-8?b?w6QsIGI=?='),
    ],
)
def test_each_keyword_is_encoded_for_itself(value, written):
    assert field("Keywords", value) == written


@pytest.mark.parametrize(("value", "reason"), [('a, "b', 'The " is not closed.'), (" , ", "It contains no phrase.")])
def test_keywords_are_phrases(value, reason):
    assert problem_with("Keywords", value) == reason


def test_all_other_headers_are_text():
    assert decoded(field("X-Own", "Größe <a@x>, <https://x/ü>")) == ("Größe <a@x>, <https://x/ü>")


def test_all_problems_with_headers_are_reported_at_once():
    with pytest.raises(InvalidMessage) as caught:
        MailMessage(
            from_email="a@x", to="b@y", headers={"Errors-To": "a; b", "List-Help": "c", "References": "ä", "X": "ä"}
        )
    assert [problem.split('"')[1] for problem in caught.value.problems] == [
        *("Errors-To", "Errors-To", "List-Help", "References")
    ]


def test_a_long_thread_index_is_not_encoded():
    """Outlook could not read it. A conversation of 120 messages has one of this length."""
    index = "AbcD" * 235
    assert field("Thread-Index", index) == index
