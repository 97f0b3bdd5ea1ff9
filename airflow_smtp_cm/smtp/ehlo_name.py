"""The client's name in EHLO: the machine's full name, else an address literal (RFC 5321, section 4.1.4)."""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import cache

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_FULL_NAME = re.compile(rf"(?=.{{1,255}}$)(?:{_LABEL}\.)+(?![0-9]+$){_LABEL}")  # no top-level domain is a number
# Names that many machines have for themselves, such as localhost.localdomain; servers reject them.
_NAME_OF_ANY_MACHINE = re.compile(r"(?:.+\.)?local(?:host|domain)[46]?", re.IGNORECASE)


def ehlo_name(local_address: str) -> str:
    """Return the machine's fully qualified name, else an address literal.

    Args:
        local_address: the connection's address on this machine; it is used unless the machine is called by another.
    """
    name = _host_name()
    if _FULL_NAME.fullmatch(name) and not _NAME_OF_ANY_MACHINE.fullmatch(name):
        return name
    address = name if _is_address_of_one_machine(name) else local_address
    address, _, _ = address.partition("%")  # an IPv6 scope has a meaning on this machine only
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


@cache
def _host_name() -> str:
    name = socket.gethostname()
    return name if "." in name else socket.getfqdn(name)  # this asks the DNS, which may be slow


def _is_address_of_one_machine(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
