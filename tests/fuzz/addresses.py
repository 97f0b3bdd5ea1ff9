"""Any line of addresses: a parsed address can be written, parsed again and sent to a server."""

from __future__ import annotations

from airflow_smtp_cm.mail.addresses import parse_line
from airflow_smtp_cm.mail.control_characters import forbidden
from airflow_smtp_cm.mail.errors import InvalidAddress
from airflow_smtp_cm.smtp.commands import rcpt_command
from tests.fuzz import inputs


def check(line: str) -> None:
    """Check a line."""
    try:
        read = parse_line(line)
    except InvalidAddress as error:
        assert error.problems
        assert not forbidden("".join(error.problems))
        return
    assert parse_line("; ".join(map(str, read))) == read
    for address in read:
        raw = rcpt_command(address.addr_spec, None).encode()
        assert raw.isascii() or not address.local_part.isascii()
        assert raw.startswith(b"RCPT TO:<")
        assert raw.endswith(b"@" + address.domain.encode() + b">\r\n")
        assert not forbidden(raw.decode().removesuffix("\r\n"))


def one_input(data: bytes) -> None:
    check(inputs.text(data))
