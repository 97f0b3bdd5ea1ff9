"""Any line of addresses: a parsed address can be written, parsed again and sent to a server."""

from __future__ import annotations

from unicodedata import is_normalized

from airflow_smtp_cm.characters.control import forbidden
from airflow_smtp_cm.characters.invisible import is_invisible
from airflow_smtp_cm.mail.addresses import parse_line
from airflow_smtp_cm.mail.errors import InvalidAddress
from airflow_smtp_cm.smtp.commands import rcpt_command
from tests.fuzz import inputs

JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # some words need them


def check(line: str) -> None:
    """Check a line."""
    try:
        read = parse_line(line)
    except InvalidAddress as error:
        assert error.problems
        assert not any(forbidden(character) or is_invisible(character) for character in "".join(error.problems))
        return
    assert parse_line("; ".join(map(str, read))) == read
    for address in read:
        raw = rcpt_command(address.addr_spec, None).encode()
        assert raw.isascii() or not address.local_part.isascii()
        assert raw.startswith(b"RCPT TO:<")
        assert raw.endswith(b"@" + address.domain.encode() + b">\r\n")
        assert not forbidden(raw.decode().removesuffix("\r\n"))
        assert is_normalized("NFC", address.local_part)
        assert not any(is_invisible(character) and character not in JOINERS for character in raw.decode())


def one_input(data: bytes) -> None:
    check(inputs.text(data))
