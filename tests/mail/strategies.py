"""Hypothesis strategies for the parts of messages."""

from hypothesis import strategies as st

from airflow_smtp_cm.mail.addresses import Address

controls = st.sampled_from([*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029", "\ud800"])
# The bounds of each group of invisible characters, and those that people meet.
invisible = st.sampled_from(
    "\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180f\u2000\u200b\u200c\u200d\u200e\u200f\u202a"
    "\u202e\u202f\u205f\u2060\u2064\u2065\u2066\u206f\u3000\u3164\ufe00\ufe0f\ufeff\uffa0\ufff0\ufff8\U0001bca0"
    "\U0001d173\U000e0000\U000e0020\U000e007f\U000e0100\U000e0fff"
)
white_space = st.sampled_from(" \t\r\n")
_printable = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
_awkward = st.sampled_from(" \";,\\<>@()=?_'%*&/.:|~ä日🙂")

lines = st.text(_awkward | _printable, max_size=150)
bodies = st.text(
    st.sampled_from("a .\r\n\t=-ü日") | st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    max_size=300,
)
file_names = st.text(_awkward | _printable, min_size=1, max_size=120).filter(str.strip)

_domains = st.sampled_from(["x", "example.com", "Mail.Example.COM", "my_host.local", "münchen.de", "例え.テスト"])
_literals = st.sampled_from(["[192.0.2.1]", "[IPv6:2001:db8::1]"])
_words = st.text("aZ09.!#$%&'*+/=^_`{|}~-", min_size=1, max_size=30).filter(lambda text: all(text.split(".")))
_ascii = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30).filter(
    lambda text: "=?" not in text
)

addresses = st.builds(Address, lines, _ascii, _domains | _literals)
plain_addresses = st.builds(Address, lines, _words, _domains)  # no quotes, no literals
