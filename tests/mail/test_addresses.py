"""Lines of addresses: usual spellings are parsed without guessing, and malformed items are reported."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_smtp_cm.mail.addresses import Address, parse_line, parse_lines, parse_sender, phrase
from airflow_smtp_cm.mail.errors import InvalidAddress
from tests.fuzz.addresses import check
from tests.mail.strategies import addresses, controls, invisible, white_space


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        (" ; , ;", []),
        ("a@x", [("", "a", "x")]),
        ("<a@x>", [("", "a", "x")]),
        ("a@x; b@y", [("", "a", "x"), ("", "b", "y")]),
        ("a@x,b@y;", [("", "a", "x"), ("", "b", "y")]),
        ("Name <a@x>", [("Name", "a", "x")]),
        ("Jürgen Müller <a@x>", [("Jürgen Müller", "a", "x")]),
        ('"Doe, John" <j@x>; b@y', [("Doe, John", "j", "x"), ("", "b", "y")]),
        (r'"John \"J\" Doe" <j@x>', [('John "J" Doe', "j", "x")]),
        ("John Q. Public <j@x>", [("John Q. Public", "j", "x")]),
        ("j@x <j@x>", [("j@x", "j", "x")]),
        ("'j@x' <j@x>", [("'j@x'", "j", "x")]),
        ("O'Brien <o'brien@x>", [("O'Brien", "o'brien", "x")]),
        ("[Extern] Doe <j@x>", [("[Extern] Doe", "j", "x")]),
        ('"a b"@x', [("", "a b", "x")]),
        ('"a;b,c@d"@x', [("", "a;b,c@d", "x")]),
        ('N <"a b"@x>', [("N", "a b", "x")]),
        ("a@[192.0.2.1]", [("", "a", "[192.0.2.1]")]),
        ("a@[IPv6:2001:db8::1], b@y", [("", "a", "[IPv6:2001:db8::1]"), ("", "b", "y")]),
        ("a@x (a comment; with, separators)", [("", "a", "x")]),
        ("(one (inside) another) a@x", [("", "a", "x")]),
        ("a(comment)@(comment)(another)x (comment) (another)", [("", "a", "x")]),
        ("Doe John (IT) <j@x>", [("Doe John (IT)", "j", "x")]),
        ("a@sub_domain.x-y.example", [("", "a", "sub_domain.x-y.example")]),
        ("jürgen@x", [("", "jürgen", "x")]),
        ("a..b@x; a.@x, N <a...b..@x>", [("", "a..b", "x"), ("", "a.", "x"), ("N", "a...b..", "x")]),
        ("\N{NO-BREAK SPACE}a@x ;\N{NO-BREAK SPACE}b@y", [("", "a", "x"), ("", "b", "y")]),
        ("\r\n\ta@x \r\n;\tb@y\n,\nc@z\n", [("", "a", "x"), ("", "b", "y"), ("", "c", "z")]),
        ("Ann\t<a@x>", [("Ann", "a", "x")]),
        ('"Doe, Ann"\r\n <\ta@x\n>\n; <\na@x >', [("Doe, Ann", "a", "x"), ("", "a", "x")]),
        ("\N{ZERO WIDTH NO-BREAK SPACE}a@x", [("", "a", "x")]),
        ("\N{ZERO WIDTH NO-BREAK SPACE}Ann <a@x>\N{ZERO WIDTH SPACE}\r\n", [("Ann", "a", "x")]),
        ('\N{WORD JOINER}"Doe, Ann" <a@x>;\N{SOFT HYPHEN}', [("Doe, Ann", "a", "x")]),
        ("Ann <\N{LEFT-TO-RIGHT MARK}a@x\N{RIGHT-TO-LEFT MARK}>", [("Ann", "a", "x")]),
        ("(comment) \N{ZERO WIDTH SPACE}a@x", [("", "a", "x")]),
        ("(comment)\N{ZERO WIDTH SPACE}(another)a@x(comment)\N{ZERO WIDTH SPACE}()", [("", "a", "x")]),
        *[
            (f"{name} <a@x>", [(name, "a", "x")])  # names may contain them
            for name in ("\u2764\ufe0f\u200d\U0001f525", "Jean\N{NO-BREAK SPACE}Paul", "A\N{SOFT HYPHEN}nn")
        ],
    ],
)
def test_reads(line, expected):
    assert parse_line(line) == tuple(Address(*parts) for parts in expected)


@pytest.mark.parametrize(
    ("line", "item", "reason"),
    [
        ("john", "john", "double quotes"),
        ("a@x; john", "john", "double quotes"),
        ("Doe, John <j@x>", "Doe", "double quotes"),
        ("Undisclosed recipients:;", "Undisclosed recipients:", "double quotes"),
        ("a@x b@y", "a@x b@y", "semicolons"),
        ("<a@x> b@y", "<a@x> b@y", "semicolons"),
        ("A <a@x> <b@y>", "A <a@x> <b@y>", "semicolons"),
        ("a@b@x", "a@b@x", "semicolons"),
        ("John a@x", "John a@x", '"John a"'),
        ("<a,b@x>; c@y", "<a,b@x>", '"a,b"'),
        ("@x", "@x", 'The part before the "@" is empty'),
        ('""@x', '""@x', 'The part before the "@" is empty'),
        (".a@x", ".a@x", '".a"'),
        ("..@x", "..@x", '".."'),
        ("a. b@x", "a. b@x", '"a. b"'),
        ("a\N{NO-BREAK SPACE}b@x", "a<U+00A0>b@x", "invisible character U+00A0 NO-BREAK SPACE"),
        ('"a\N{NO-BREAK SPACE}b"@x', '"a<U+00A0>b"@x', "invisible character U+00A0 NO-BREAK SPACE"),
        ("a\N{ZERO WIDTH SPACE}@x", "a<U+200B>@x", "invisible character U+200B ZERO WIDTH SPACE. Remove it"),
        ("Ann <a\N{RIGHT-TO-LEFT MARK}@x>", "Ann <a<U+200F>@x>", "invisible character U+200F RIGHT-TO-LEFT MARK"),
        ("a@exam\N{SOFT HYPHEN}ple.com", "a@exam<U+00AD>ple.com", "invisible character U+00AD SOFT HYPHEN"),
        ("a@x\N{ZERO WIDTH NO-BREAK SPACE}.com", "a@x<U+FEFF>.com", "invisible character U+FEFF ZERO WIDTH NO"),
        ("a\N{ZERO WIDTH JOINER}b@x", "a<U+200D>b@x", "invisible character U+200D ZERO WIDTH JOINER"),
        ("a\U000e1000\N{ZERO WIDTH NON-JOINER}b@x", "a\U000e1000<U+200C>b@x", "invisible character U+200C"),
        ("\u2764\ufe0f@x", "\u2764<U+FE0F>@x", "invisible character U+FE0F VARIATION SELECTOR-16"),
        ("a@x\U000e0fffy", "a@x<U+E0FFF>y", "invisible character U+E0FFF."),
        (
            "a@x\nb@y\n",
            "a@x<U+000A>b@y",
            "control character U+000A. Separate addresses by semicolons, not by line ends.",
        ),
        ("a\r\nRCPT TO:<b@y>@x", "a<U+000D><U+000A>RCPT TO:<b@y>@x", "control character U+000D"),
        ("Ann\tDoe <a@x>", "Ann<U+0009>Doe <a@x>", "control character U+0009"),
        ("Ann <a@\nx>", "Ann <a@<U+000A>x>", "control character U+000A"),
        ('"Ann\n" <a@x>', '"Ann<U+000A>" <a@x>', "control character U+000A"),
        ("\N{LINE SEPARATOR}a@x", "<U+2028>a@x", "control character U+2028"),
        ("=?utf-8?q?a=40y?=@x", "=?utf-8?q?a=40y?=@x", "contains an encoded word"),
        ('"=?utf-8?b?YUB5?="@x', '"=?utf-8?b?YUB5?="@x', "contains an encoded word"),
        ("a@x\x1c", "a@x<U+001C>", "control character U+001C"),
        ("Sales: a@x", "Sales: a@x", '"Sales: a"'),
        ("a@", "a@", 'domain "" is not valid'),
        ("a@x.", "a@x.", 'domain "x." is not valid'),
        ("a@x..y", "a@x..y", "is not valid"),
        ("a@-x", "a@-x", "is not valid"),
        ("a@x/y", "a@x/y", "is not valid"),
        ("'a@x'", "'a@x'", "is not valid"),
        ("a@[192.0.2.256]", "a@[192.0.2.256]", "not an address literal"),
        ("a@[IPv6:1::2::3]", "a@[IPv6:1::2::3]", "not an address literal"),
        ("a@[IPv6:fe80::1%a>b]", "a@[IPv6:fe80::1%a>b]", "is not valid"),
        ("a@[x]", "a@[x]", "is not valid"),
        ('"Doe <j@x>; b@y', '"Doe <j@x>; b@y', 'The " is not closed'),
        ("Doe <j@x", "Doe <j@x", "The < is not closed"),
        ("Doe j@x>", "Doe j@x>", "is not valid"),
        ("a@x (b", "a@x (b", "The ( is not closed"),
        ("Kolleg(inn)en, Anna <a@x>", "Kolleg(inn)en", "double quotes"),
        ("a@x(comment)b@y", "a@x(comment)b@y", "separate addresses by semicolons"),
        ("a(comment)b@x", "a(comment)b@x", "A comment, in brackets,"),
        ("a.(comment)(another)b@x", "a.(comment)(another)b@x", "A comment, in brackets,"),
        ("N <a@x(comment).y>", "N <a@x(comment).y>", "A comment, in brackets,"),
        ("a@☃.example", "a@☃.example", "IDNA 2008"),
        ("a@-ü.example", "a@-ü.example", "IDNA 2008"),
    ],
)
def test_rejects_a_malformed_item_and_names_it(line, item, reason):
    """The text has the meaning of SSIS's own warning."""
    with pytest.raises(InvalidAddress) as caught:
        parse_line(line)
    (problem,) = caught.value.problems
    assert problem.startswith(
        f'The address "{item}" is malformed. It is either missing the "@" symbol or is not valid. '
    )
    assert reason in problem


def test_names_every_malformed_item_of_every_line():
    with pytest.raises(InvalidAddress) as caught:
        parse_lines(["a@x; b", "c@y", "d, e@z, f@"])
    assert [problem.split('"')[1] for problem in caught.value.problems] == ["b", "d", "f@"]


def test_several_lines_and_addresses_become_one_list():
    known = Address("B", "b", "y")
    assert parse_lines(["a@x; c@z", known]) == (Address("", "a", "x"), Address("", "c", "z"), known)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("john@x", Address("", "john", "x")),
        (" <john@x>;\n", Address("", "john", "x")),
        ("Doe, John <john@x>", Address("Doe, John", "john", "x")),
        ("\ufeffDoe, John (IT)\t<john@x> ;\r\n", Address("Doe, John (IT)", "john", "x")),
        ("Doe; John <john@x> (comment)", Address("Doe; John", "john", "x")),
        ("[Extern] Müller, Jörg <joerg@x>", Address("[Extern] Müller, Jörg", "joerg", "x")),
        ("\u2764\ufe0f, \u2764\ufe0f\r\n<john@x>", Address("\u2764\ufe0f, \u2764\ufe0f", "john", "x")),
        (r"CORP\Doe, John <john@x>", Address(r"CORP\Doe, John", "john", "x")),
        ('"Doe, John" <john@x>', Address("Doe, John", "john", "x")),
        ("; , John <john@x>", Address("John", "john", "x")),
        (", <john@x>", Address("", "john", "x")),
    ],
)
def test_a_line_that_names_one_sender_is_not_split(line, expected):
    """Active Directory has names of the form ``Doe, John``, and System.Net.Mail reads them so, too."""
    assert parse_sender(line) == expected
    assert parse_sender(str(expected)) == expected


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "No sender is specified."),
        (" ; \n", "No sender is specified."),
        ("a@x, John <b@x>", "2 senders are specified; a message has one."),
        ("Doe, John <a@x>, <b@x>", "2 senders are specified; a message has one."),
        ("Doe, John <a@x>, Eve", "double quotes"),
        ("Doe, John <a@x> Eve", "There is text after the >"),
        ("Doe, John <a@x", "The < is not closed"),
        ("Doe,\nJohn <a@x>", "control character U+000A"),
        ('Doe, "John <a@x>', 'The " is not closed'),
        ("a@, John <b@x>", 'domain "" is not valid'),
    ],
)
def test_a_sender_is_exactly_one_valid_address(line, problem):
    with pytest.raises(InvalidAddress) as caught:
        parse_sender(line)
    assert problem in str(caught.value)


names = st.text(st.sampled_from("Do,;. ()[]\\'é") | st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=40)


@given(names.filter(lambda name: not {*name} & {*'"<>@'}), addresses)
def test_every_name_without_quotes_is_the_name_of_a_sender(name, address):
    read = parse_sender(f"{name} <{address.addr_spec}>")
    assert read.addr_spec == address.addr_spec
    assert read == parse_sender(str(read))


@pytest.mark.parametrize("nothing", [None, "", [], [""], ["", " ; "], "\ufeff", "\u200b;\u00a0, \r\n"])
def test_no_line_yields_no_address(nothing):
    assert parse_lines(nothing) == ()


@pytest.mark.parametrize(
    ("domain", "ascii_domain"),
    [
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("MÜNCHEN.de", "xn--mnchen-3ya.de"),
        ("straße.example", "xn--strae-oqa.example"),  # in IDNA 2003, it was strasse
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("\N{FULLWIDTH LATIN SMALL LETTER A}b.com", "ab.com"),
        ("Example.COM", "Example.COM"),
    ],
)
def test_a_unicode_domain_becomes_ascii(domain, ascii_domain):
    (address,) = parse_line(f"a@{domain}")
    assert address.addr_spec == f"a@{ascii_domain}"


def test_a_joiner_is_accepted_where_the_words_of_its_script_need_it():
    """RFC 5892, appendix A; IDNA 2008 has the same rule for domains."""
    persian = "\u0646\u0627\u0645\u0647\N{ZERO WIDTH NON-JOINER}\u0627\u06cc"
    sinhala = "\u0dc1\u0dca\N{ZERO WIDTH JOINER}\u0dbb\u0dd3"
    read = parse_line(f"{persian}@{persian}.com; {sinhala}@{sinhala}.com")
    assert [address.local_part for address in read] == [persian, sinhala]
    assert [address.domain for address in read] == ["xn--mgba3gch31f060k.com", "xn--10cl1a0b660p.com"]


@pytest.mark.parametrize(
    ("decomposed", "composed"),
    [
        ("ju\u0308rgen", "j\u00fcrgen"),
        ("e\u0323\u0302", "\u1ec7"),
        ("\u1100\u1161", "\uac00"),
        ("\u212a", "K"),  # KELVIN SIGN
        ("\u037e", '";"'),  # GREEK QUESTION MARK
        ("u\u0308" * 32, "\u00fc" * 32),  # longer than 64 bytes before its composition
    ],
)
def test_a_local_part_is_sent_composed(decomposed, composed):
    """RFC 6532, section 3.1."""
    for address in (*parse_line(f"{decomposed}@x"), Address("", decomposed, "x")):
        assert address.addr_spec == f"{composed}@x"
        assert address == parse_line(f"{composed}@x")[0]


@pytest.mark.parametrize(
    ("local_part", "written"),
    [
        ("a.b", "a.b"),
        ("a.", '"a."'),
        ("a..b", '"a..b"'),
        ("a b", '"a b"'),
        ('a"b', r'"a\"b"'),
        ("jürgen.m", "jürgen.m"),
    ],
)
def test_a_local_part_is_quoted_unless_it_is_a_dot_atom(local_part, written):
    """Python before 3.11.5 (gh-106052) must read the pattern as later ones do."""
    assert Address("", local_part, "x").addr_spec == f"{written}@x"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("John Doe", "John Doe"),
        ("John  Doe", '"John  Doe"'),
        (" John", '" John"'),
        ("John ", '"John "'),
        ("John Q. Doe", '"John Q. Doe"'),
        ("John (IT)", '"John (IT)"'),
        ("Jürgen", '"Jürgen"'),
        ("", '""'),
    ],
)
def test_a_name_is_quoted_unless_it_is_plain_words(name, written):
    assert phrase(name) == written


def test_lengths_are_limited_as_in_rfc_5321():
    with pytest.raises(InvalidAddress, match="longer than 64 bytes"):
        parse_line(f"{'a' * 65}@x")
    with pytest.raises(InvalidAddress, match="longer than 64 bytes"):
        parse_line(f"{'ü' * 33}@x")
    with pytest.raises(InvalidAddress, match="longer than 64 bytes"):
        parse_line(f"{'u' + chr(0x308) * 1000}@x")
    assert parse_line(f"{'a' * 64}@{'.'.join(['d' * 47, 'd' * 47, 'd' * 47, 'd' * 45])}")  # 254 bytes
    with pytest.raises(InvalidAddress, match="longer than 254 bytes"):
        parse_line(f"{'a' * 64}@{'.'.join(['d' * 47, 'd' * 47, 'd' * 47, 'd' * 46])}")
    with pytest.raises(InvalidAddress, match="is not valid"):
        parse_line(f"a@{'d' * 64}")


@pytest.mark.parametrize("domain", ["d." * 128, "ü" * 1_000_000, "exa" + "\N{SOFT HYPHEN}" * 256 + "mple.com"])
def test_a_domain_that_is_too_long_is_rejected_before_its_conversion(domain):
    """The time of the conversion grows with the square of the length, and it drops invisible characters."""
    with pytest.raises(InvalidAddress, match="longer than 255 bytes"):
        parse_line(f"a@{domain}")


def test_an_address_built_from_its_parts_follows_the_same_rules():
    for parts in [
        ("", "a", "x> SIZE=1"),
        ("", "a\r\nRCPT TO:<b@y>", "x"),
        ("N\r\nBcc: b@y", "a", "x"),
        ("", "a", ""),
    ]:
        with pytest.raises(InvalidAddress):
            Address(*parts)


@given(st.text(st.sampled_from("ab@x.,;:<>()[]\"\\' \t\r\nü☃\ud800") | st.characters(), max_size=40))
@example('"\\"' * 1000)
@example("(" * 1000)
@example("<" * 1000)
def test_any_line_is_parsed_or_rejected(line):
    """No other exception is raised; a parsed address can be written, parsed again and sent."""
    check(line)


@given(st.lists(addresses), st.sampled_from([";", ",", " ; ", ", ", ";;"]))
def test_a_written_address_is_parsed_as_the_same(known, separator):
    assert parse_line(separator.join(map(str, known)) + separator) == tuple(known)


@given(addresses, controls, st.data())
def test_a_control_character_is_rejected_in_any_place_inside_an_address(address, control, data):
    """In its name, and in the address itself."""
    name, spec = phrase(address.display_name), address.addr_spec
    place = data.draw(st.integers(1, len(spec) - 1))
    lines = [f"{name} <{spec[:place]}{control}{spec[place:]}>"]
    if len(name) > 1:
        place = data.draw(st.integers(1, len(name) - 1))
        lines.append(f"{name[:place]}{control}{name[place:]} <{spec}>")
    for line in lines:
        for parse in (parse_line, parse_sender):
            with pytest.raises(InvalidAddress, match=f"U\\+{ord(control):04X}"):
                parse(line)


margins = st.text(white_space | invisible, max_size=5)


@given(st.lists(st.tuples(margins, addresses, margins)), st.sampled_from(";,"))
def test_white_space_and_invisible_characters_around_addresses_are_removed(items, separator):
    line = separator.join(f"{before}{address}{after}" for before, address, after in items)
    assert parse_line(line) == tuple(address for _, address, _ in items)


@given(addresses, margins, margins, st.text(white_space, max_size=5))
def test_white_space_and_invisible_characters_are_also_removed_at_angle_brackets(address, before, after, space):
    (read,) = parse_line(f"Ann{space}<{before}{address.addr_spec}{after}>{before}")
    assert read == Address("Ann", address.local_part, address.domain)


@given(addresses, invisible, st.data())
def test_an_invisible_character_inside_an_address_is_rejected_and_named(address, character, data):
    spec = address.addr_spec
    place = data.draw(st.integers(1, len(spec) - 1))
    for line in (spec[:place] + character + spec[place:], f"Ann <{spec[:place]}{character}{spec[place:]}>"):
        with pytest.raises(InvalidAddress, match=f"U\\+{ord(character):04X}") as caught:
            parse_line(line)
        assert character not in str(caught.value)
