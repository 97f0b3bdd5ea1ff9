"""A Kerberos realm for the tests: MIT's KDC, its accounts, keytabs and ticket caches. Any user may run it."""

from __future__ import annotations

import itertools
import os
import struct
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.people import ALICE, BOB, MAIL_DOMAIN, MAIL_HOST, MALLORY, PEGGY, REALM, TRUDY, WALTER, User
from tests.servers.processes import LOOPBACK, free_ports, running
from tests.servers.realm import krb5_conf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SERVICES = tuple(f"{service}/{MAIL_HOST}" for service in ("SMTPSVC", "smtp", "host"))
# The KDC issues tickets for it, and no server has its key.
KEYLESS_SERVICE = f"SMTPSVC/other.{MAIL_DOMAIN}"

# The times of a ticket in a ticket cache: login, start, end, end of renewal.
_TIMES = struct.Struct(">4I")
_LONG_AGO = 1_000_000_000  # 9 Sep 2001


@dataclass(frozen=True, slots=True)
class Kdc:
    """A running KDC.

    Attributes:
        folder: the folder of all its files.
        krb5_conf: what KRB5_CONFIG must name; without KRB5CCNAME, a process that uses it has no ticket.
        server_keytab: the keys of ``SERVICES``.
        alice_keytab: alice's keys; her password stays valid.
    """

    folder: Path
    krb5_conf: Path
    server_keytab: Path
    alice_keytab: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    @property
    def acceptor_environment(self) -> dict[str, str]:
        """The environment variables that a server needs to check tickets."""
        return {
            "KRB5_CONFIG": str(self.krb5_conf),
            "KRB5_KTNAME": str(self.server_keytab),
            "KRB5RCACHENAME": "none:",
        }

    @property
    def launcher(self) -> Sequence[str]:
        """What must precede the command of a server of this realm."""
        return ()

    def ticket(self, user: User = ALICE, *, lifetime: str = "1h") -> str:
        """Log in with the user's password, and return the name of a new ticket cache, ``FILE:/...``.

        Raises:
            subprocess.CalledProcessError: the KDC refused; ``stderr`` has the reason.
        """
        cache = f"FILE:{self.folder / f'{user.name}-{next(self._numbers)}.ccache'}"
        subprocess.run(
            ["kinit", "-c", cache, "-l", lifetime, user.principal],
            input=f"{user.password}\n",
            env={**os.environ, "KRB5_CONFIG": str(self.krb5_conf)},
            text=True,
            capture_output=True,
            check=True,
        )
        return cache

    def expired_ticket(self, user: User = ALICE) -> str:
        """Return the name of a new ticket cache whose ticket has expired, by the times in the cache."""
        import krb5  # noqa: PLC0415 - part of an extra that most tests do not need

        name = self.ticket(user)
        cache = krb5.cc_resolve(krb5.init_context(), name.encode())
        valid = max((entry.times for entry in cache), key=lambda times: times.endtime)
        past = (_LONG_AGO, _LONG_AGO, _LONG_AGO + 3600, 0)
        file = Path(name.removeprefix("FILE:"))
        file.write_bytes(file.read_bytes().replace(_TIMES.pack(*valid), _TIMES.pack(*past)))
        return name


@contextmanager
def running_kdc(folder: Path, interface: str = LOOPBACK, port: int | None = None) -> Iterator[Kdc]:
    """Set up the realm in a new folder, and run its KDC during the block.

    It listens on the interface, which must include 127.0.0.1, and the port; by default a free one.
    """
    folder.mkdir()
    kdc = Kdc(folder, folder / "krb5.conf", folder / "server.keytab", folder / "alice.keytab")
    port = port or free_ports(1)[0]
    kdc.krb5_conf.write_text(krb5_conf(folder, kdc=f"{LOOPBACK}:{port}"))
    (folder / "kdc.conf").write_text(_kdc_conf(folder, f"{interface}:{port}"))
    env = {"KRB5_CONFIG": str(kdc.krb5_conf), "KRB5_KDC_PROFILE": str(folder / "kdc.conf")}
    _administer(["kdb5_util", "-r", REALM, "create", "-s", "-P", "master-key"], env)
    _administer(["kadmin.local", "-r", REALM], env, "\n".join(_accounts(kdc)))
    for keytab in (kdc.server_keytab, kdc.alice_keytab):
        keytab.chmod(0o644)  # the mail servers run as other users
    with running(
        ["/usr/sbin/krb5kdc", "-r", REALM, "-P", folder / "pid", "-n"],
        port=port,
        env=env,
        output=folder / "output.log",
        logs=[folder / "kdc.log"],
    ):
        yield kdc


def _administer(command: list[str], env: dict[str, str], stdin: str | None = None) -> None:
    subprocess.run(
        [f"/usr/sbin/{command[0]}", *command[1:]],
        input=stdin,
        env={**os.environ, **env},
        text=True,
        capture_output=True,
        check=True,
    )


def _accounts(kdc: Kdc) -> Iterator[str]:
    for user in (ALICE, BOB):
        yield f"addprinc -pw {user.password} {user.name}"
    yield f"addprinc -pw {MALLORY.password} -allow_tix {MALLORY.name}"
    yield f"addprinc -pw {PEGGY.password} -expire yesterday {PEGGY.name}"
    yield f"addprinc -pw {TRUDY.password} -pwexpire yesterday {TRUDY.name}"
    name = WALTER.name.replace("@", "\\@")  # a part of the name, not the realm
    yield f"addprinc -pw {WALTER.password} {name}"
    for service in (*SERVICES, KEYLESS_SERVICE):
        yield f"addprinc -randkey {service}"
    for service in SERVICES:
        yield f"ktadd -k {kdc.server_keytab} {service}"
    yield f"ktadd -norandkey -k {kdc.alice_keytab} {ALICE.name}"


def _kdc_conf(folder: Path, address: str) -> str:
    return f"""\
[kdcdefaults]
    kdc_listen = {address}
    kdc_tcp_listen = {address}
[realms]
    {REALM} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/kadm5.acl
        max_life = 10h
        max_renewable_life = 7d
        supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
    }}
[logging]
    kdc = FILE:{folder}/kdc.log
"""
