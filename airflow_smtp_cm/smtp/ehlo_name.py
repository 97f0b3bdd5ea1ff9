"""The client's name in EHLO: the machine's full name, else an address literal (RFC 5321, section 4.1.4)."""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import partial
from typing import TYPE_CHECKING

from airflow_smtp_cm.smtp.effects import Call
from airflow_smtp_cm.smtp.errors import TimedOut
from airflow_smtp_cm.smtp.phase import Phase

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.effects import Steps

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_FULL_NAME = re.compile(rf"(?=.{{1,255}}$)(?:{_LABEL}\.)+(?![0-9]+$){_LABEL}")  # no top-level domain is a number
# Names that many machines have for themselves, such as localhost.localdomain; servers reject them.
_NAME_OF_ANY_MACHINE = re.compile(r"(?:.+\.)?local(?:host|domain)[46]?", re.IGNORECASE)

# The full name of this machine, by its host name: the DNS is asked once, also if it does not answer in time.
_full_names: dict[str, str] = {}


def ehlo_name(local_address: str) -> Steps[str]:
    """Return the machine's fully qualified name, else an address literal.

    The DNS is asked only if the machine's host name has no domain, and for no longer than ``Phase.CONNECT`` may last.

    Args:
        local_address: the connection's address on this machine; it is used unless the machine is called by another.
    """
    name = socket.gethostname()
    if "." not in name:
        name = yield from _full_name(name)
    if _FULL_NAME.fullmatch(name) and not _NAME_OF_ANY_MACHINE.fullmatch(name):
        return name
    address = name if _is_address_of_one_machine(name) else local_address
    address, _, _ = address.partition("%")  # an IPv6 scope has a meaning on this machine only
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _full_name(name: str) -> Steps[str]:
    if name not in _full_names:
        try:
            _full_names[name] = yield Call(partial(socket.getfqdn, name), Phase.CONNECT)
        except TimedOut:
            _full_names[name] = name
    return _full_names[name]


def _is_address_of_one_machine(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
