"""Hypothesis strategies for the parts of messages."""

from hypothesis import strategies as st

from airflow_smtp_cm.mail.addresses import Address

controls = st.sampled_from([*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029", "\ud800"])
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
_ascii = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)

addresses = st.builds(Address, lines, _ascii, _domains | _literals)
plain_addresses = st.builds(Address, lines, _words, _domains)  # no quotes, no literals
