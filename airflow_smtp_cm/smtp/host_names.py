"""The names of the server, as the DNS, its certificate and its service principal name have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import idna

from airflow_smtp_cm.smtp.errors import SettingsError

if TYPE_CHECKING:
    from airflow_smtp_cm.smtp.settings import Settings


def ascii_name(name: str) -> str:
    """Return a host name or an address in ASCII: with A-labels of IDNA 2008, as in the domain of a mail address.

    Raises:
        SettingsError: the name is not valid.
    """
    try:
        # Python's codec converts by IDNA 2003; of ASCII, it only checks the labels.
        encoded = name.encode("idna") if name.isascii() else idna.encode(name, uts46=True)
    except UnicodeError as error:
        raise SettingsError(f"{name!r} is not a valid server name: {error}.") from error
    return encoded.decode("ascii")


def peer_name(settings: Settings) -> str:
    """Return the server's name in its certificate and SPN.

    A final dot, which excludes the search domains of the DNS, is not part of the name (RFC 6066, section 3; the
    Kerberos libraries remove it, too), nor is the zone of a link-local address, which has a meaning on this machine
    only (RFC 4007, section 11.2).

    Raises:
        SettingsError: the name is not valid.
    """
    name, _, _ = (settings.server_name or settings.host).partition("%")
    return ascii_name(name).removesuffix(".")
