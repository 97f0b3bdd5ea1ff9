"""A new connection to Postfix for every message: unencrypted, with STARTTLS, and with NTLM or Kerberos login."""

from __future__ import annotations

import ssl
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cases import Case
from benchmarks.cases.rates import measure_rates
from benchmarks.job import Job, Server
from benchmarks.rounds import OURS
from benchmarks.workers import start

if TYPE_CHECKING:
    from benchmarks.bed import Bed

_WITH_LOGIN = (OURS, f"{OURS}-async")  # the other clients do not support these logins
_ALL = (*_WITH_LOGIN, "hook", "smtplib", "aiosmtplib", "nodemailer")

_FEWEST = 10


def _measure(name: str, clients: tuple[str, ...], bed: Bed) -> None:
    _, way = name.split("/")
    server = Server(
        port=bed.sink("postfix"), starttls=way != "plain", login=way if way in {"ntlm", "kerberos"} else None
    )
    environment = {**bed.environment, **login_environment(bed)}
    with ExitStack() as started:
        runners = {client: runner for client in clients if (runner := start(client, environment))}
        for runner in runners.values():
            started.enter_context(closing(runner))
        measure_rates(bed, name, runners, Job(server=server, messages=_FEWEST, reconnect=True))


def login_environment(bed: Bed) -> dict[str, str]:
    """Return environment variables for STARTTLS and Kerberos with Postfix: a trust store, and a ticket.

    The store includes the system's authorities, because loading them takes time.

    Raises:
        Unavailable: see ``Bed.servers``.
    """
    authority = bed.servers.certificates.authority
    trusted = bed.folder / "trusted.pem"
    of_system = ssl.get_default_verify_paths().cafile
    trusted.write_bytes(authority.read_bytes() + (Path(of_system).read_bytes() if of_system else b""))
    return {
        "SSL_CERT_FILE": str(trusted),
        "NODE_EXTRA_CA_CERTS": str(authority),
        "KRB5_CONFIG": str(bed.servers.kdc.krb5_conf),
        "KRB5CCNAME": bed.servers.kdc.ticket(),
    }


def _case(name: str, clients: tuple[str, ...], *, in_quick: bool = False) -> Case:
    return Case(name, partial(_measure, name, clients), in_quick)


CASES = (
    _case("connect/plain", _ALL),
    _case("connect/starttls", _ALL, in_quick=True),
    _case("connect/ntlm", _WITH_LOGIN),
    _case("connect/kerberos", _WITH_LOGIN),
)
