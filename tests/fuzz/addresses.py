"""Any line of addresses, or of a sender: a parsed address can be written, parsed again and sent to a server."""

from __future__ import annotations

from contextlib import suppress
from unicodedata import is_normalized

from airflow_smtp_cm.characters.control import forbidden
from airflow_smtp_cm.characters.invisible import is_invisible
from airflow_smtp_cm.mail.addresses import Address, parse_line, parse_sender
from airflow_smtp_cm.mail.errors import InvalidAddress
from airflow_smtp_cm.smtp.commands import rcpt_command
from tests.fuzz import inputs

JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # some words need them


def check(line: str) -> None:
    """Check a line."""
    with suppress(InvalidAddress):
        sender = parse_sender(line)
        assert parse_sender(str(sender)) == sender
        _check_on_the_wire(sender)
    try:
        read = parse_line(line)
    except InvalidAddress as error:
        assert error.problems
        assert not any(forbidden(character) or is_invisible(character) for character in "".join(error.problems))
        return
    assert parse_line("; ".join(map(str, read))) == read
    for address in read:
        _check_on_the_wire(address)


def _check_on_the_wire(address: Address) -> None:
    raw = rcpt_command(address.addr_spec, None).encode()
    assert raw.isascii() or not address.local_part.isascii()
    assert raw.startswith(b"RCPT TO:<")
    assert raw.endswith(b"@" + address.domain.encode() + b">\r\n")
    assert not forbidden(raw.decode().removesuffix("\r\n"))
    assert is_normalized("NFC", address.local_part)
    assert not any(is_invisible(character) and character not in JOINERS for character in raw.decode())


def one_input(data: bytes) -> None:
    check(inputs.text(data))
