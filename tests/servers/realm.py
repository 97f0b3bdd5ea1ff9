"""What a mail server needs of the realm whose tickets it checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tests.servers.people import MAIL_DOMAIN, REALM

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Realm(Protocol):
    """A running realm: ``Kdc`` or ``Domain``."""

    @property
    def server_keytab(self) -> Path:
        """The keys of the mail server."""

    @property
    def acceptor_environment(self) -> dict[str, str]:
        """The environment variables that a server needs to check tickets."""

    @property
    def launcher(self) -> Sequence[str]:
        """What must precede the command of a server of this realm."""


def krb5_conf(folder: Path, *, kdc: str) -> str:
    """Return the configuration of Kerberos for the realm, with files of the folder; ``kdc`` is the KDC's address."""
    return f"""\
[libdefaults]
    default_realm = {REALM}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    # no forward and no reverse lookup of the host in a service principal
    dns_canonicalize_hostname = false
    rdns = false
    # a server accepts any host for which its keytab has a key
    ignore_acceptor_hostname = true
    udp_preference_limit = 1
    # the tests must not use tickets or keys of the user who runs them
    default_ccache_name = FILE:{folder}/none.ccache
    default_client_keytab_name = FILE:{folder}/none.keytab
[realms]
    {REALM} = {{
        kdc = {kdc}
    }}
[domain_realm]
    .{MAIL_DOMAIN} = {REALM}
"""
