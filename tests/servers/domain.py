r"""An Active Directory domain for the tests: Samba's domain controller, its accounts, and servers that belong to it.

Its realm has the same name as the MIT realm of ``kdc``, whose place it takes for those who are inside its namespaces.
Unlike that one it knows ``CORP\alice`` and UPNs with another suffix, and has the policies of Windows.
"""

from __future__ import annotations

import base64
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.servers.namespaces import new_namespaces
from tests.servers.people import ALICE, BOB, DOMAIN, MAIL_DOMAIN, MAIL_HOST, MALLORY, PEGGY, REALM, TRUDY, User
from tests.servers.processes import LOOPBACK, running, wait_until
from tests.servers.realm import krb5_conf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.servers.namespaces import Namespaces

# alice's user principal name: as in most companies, its suffix is the mail domain and not the realm.
UPN = "alice.liddell@mail.corp.example"
FRED = User("Fred Mc Kay", "Pässwörd-Ж-日本-1!")
# A member of Protected Users, who may not use NTLM.
GRETA = User("greta", "Fifth-User-5!")
# A member of so many groups that the ticket is as large as tickets get.
OSCAR = User("oscar", "Sixth-User-6!")
GROUPS = 900

_BASE = ",".join(f"DC={part}" for part in MAIL_DOMAIN.split("."))
_HOST = "dc1"
_LOCKOUT_THRESHOLD = 100  # without one, failed logins are not counted
_ENABLED, _DISABLED = 512, 514  # userAccountControl
_LONG_AGO = 125_000_000_000_000_000  # 1997, in Windows' time
_KERBEROS_PORT = 88
# The least with which logins work; winbindd judges NTLM.
_SERVICES = "rpc, ldap, cldap, kdc, winbindd, dns"


@dataclass(frozen=True, slots=True)
class Domain:
    """A running domain.

    Attributes:
        krb5_conf: what KRB5_CONFIG must name.
        server_keytab: the keys of the mail server, SMTPSVC/``MAIL_HOST``.
        namespaces: where the domain can be reached; the world cannot.
    """

    folder: Path
    krb5_conf: Path
    server_keytab: Path
    namespaces: Namespaces

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
        """What must precede the command of a server that asks winbind."""
        return self.namespaces.launcher

    def failed_logins(self, user: User) -> int:
        """Return how many logins with a wrong password the domain has counted since the last successful one."""
        entry = _run(
            ["ldbsearch", "-H", f"{self.folder}/private/sam.ldb", f"(sAMAccountName={user.name})", "badPwdCount"]
        )
        return next(int(line.split()[1]) for line in entry.splitlines() if line.startswith("badPwdCount:"))


@contextmanager
def running_domain(folder: Path) -> Iterator[Domain]:
    """Set up the domain in a new folder, and run its controller during the block."""
    folder.mkdir()
    (folder / "hosts").write_text(f"{LOOPBACK} localhost {_HOST}.{MAIL_DOMAIN} {_HOST} {MAIL_HOST}\n")
    (folder / "resolv.conf").write_text(f"search {MAIL_DOMAIN}\nnameserver {LOOPBACK}\n")
    (folder / "krb5.conf").write_text(krb5_conf(folder, kdc=LOOPBACK))
    mounts = {folder / name: f"/etc/{name}" for name in ("hosts", "resolv.conf", "krb5.conf")}
    for name in ("run", "lib", "log"):
        (folder / "system" / name).mkdir(parents=True)
        mounts[folder / "system" / name] = "/run/samba" if name == "run" else f"/var/{name}/samba"
    with new_namespaces(_HOST, mounts) as namespaces:
        domain = Domain(folder, folder / "krb5.conf", folder / "server.keytab", namespaces)
        _provision(domain)
        controller = running(
            [*domain.launcher, "samba", "--foreground", "--no-process-group", "-s", folder / "etc/smb.conf"],
            port=_KERBEROS_PORT,
            env={},
            output=folder / "output.log",
        )
        ping = [*domain.launcher, "wbinfo", "--ping-dc"]
        with namespaces.running(controller):
            # winbindd, which judges NTLM, is a process of its own, and the last to be ready.
            if not wait_until(lambda: subprocess.run(ping, check=False, capture_output=True).returncode == 0):
                raise AssertionError("winbindd does not reach its domain controller")
            yield domain


def _provision(domain: Domain) -> None:
    folder = domain.folder
    options = {
        "interfaces": "lo",
        "bind interfaces only": "yes",
        "ntlm auth": "ntlmv2-only",
        "prefork children": "1",
        "server services": _SERVICES,
    }
    _run(
        [
            *domain.launcher,
            *["samba-tool", "domain", "provision", "-s", os.devnull, "--targetdir", str(folder), "--server-role=dc"],
            *[f"--realm={REALM}", f"--domain={DOMAIN}", f"--host-name={_HOST}", f"--host-ip={LOOPBACK}"],
            *[f"--option={name}={value}" for name, value in options.items()],
        ]
    )
    (folder / "accounts.ldif").write_text("\n".join(_changes()))
    _run([*domain.launcher, "ldbmodify", "-H", str(folder / "private/sam.ldb"), str(folder / "accounts.ldif")])
    export = ["samba-tool", "domain", "exportkeytab", str(domain.server_keytab), f"--principal=SMTPSVC/{MAIL_HOST}"]
    _run([*domain.launcher, *export, "-s", str(folder / "etc/smb.conf")])


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _changes() -> Iterator[str]:
    yield f"dn: {_BASE}\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: {_LOCKOUT_THRESHOLD}\n"
    yield _account(ALICE, f"userPrincipalName: {UPN}")
    for user in (BOB, FRED, GRETA, OSCAR):
        yield _account(user)
    yield f"dn: CN=Protected Users,CN=Users,{_BASE}\nchangetype: modify\nadd: member\nmember: {_dn(GRETA)}\n"
    yield _account(MALLORY, control=_DISABLED)
    yield _account(TRUDY, "pwdLastSet: 0")
    yield _account(PEGGY, f"accountExpires: {_LONG_AGO}")
    yield _account(User("svc-mail", "Service-Pass-1!"), f"servicePrincipalName: SMTPSVC/{MAIL_HOST}")
    for number in range(GROUPS):
        yield f"dn: CN=group{number},CN=Users,{_BASE}\nchangetype: add\nobjectClass: group\nmember: {_dn(OSCAR)}\n"


def _account(user: User, *attributes: str, control: int = _ENABLED) -> str:
    password = base64.b64encode(f'"{user.password}"'.encode("utf-16-le")).decode()
    lines = [
        f"dn: {_dn(user)}",
        "changetype: add",
        "objectClass: user",
        f"sAMAccountName: {user.name}",
        f"unicodePwd:: {password}",
        f"userAccountControl: {control}",
        *attributes,
    ]
    return "".join(f"{line}\n" for line in lines)


def _dn(user: User) -> str:
    return f"CN={user.name},CN=Users,{_BASE}"
