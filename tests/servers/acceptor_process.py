"""Starts ``acceptor``, the server that enforces channel bindings, and reads its log. Any user may run it."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.servers.people import NTLM_USERS
from tests.servers.processes import free_ports, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.certificates import Certificate
    from tests.servers.realm import Realm

# Channel bindings: "off" ignores them, "allow" rejects wrong ones, "require" rejects missing ones, too.
Bindings = Literal["off", "allow", "require"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One AUTH, as the acceptor logged it.

    Attributes:
        mechanism: NTLM, GSSAPI or GSS-SPNEGO.
        ok: whether the login was accepted.
        user: the user, if known.
        inner: object identifier of the mechanism that was negotiated, if known.
        bound: whether the client sent the right channel bindings.
        error: why the login was rejected.
    """

    mechanism: str
    ok: bool
    user: str | None
    inner: str | None
    bound: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Acceptor:
    """A running acceptor: STARTTLS on ``port``; alice and bob can log in."""

    port: int
    log: Path

    def logins(self) -> list[Login]:
        """Return all logins so far, accepted and rejected."""
        return [Login(**json.loads(line)) for line in self.log.read_text().splitlines()]


@contextmanager
def running_acceptor(folder: Path, realm: Realm, certificate: Certificate, bindings: Bindings) -> Iterator[Acceptor]:
    """Run an acceptor during the block, with its own folder for its files."""
    folder.mkdir(exist_ok=True)
    users = folder / "users"
    users.write_text(NTLM_USERS)
    log = folder / "logins"
    log.touch()
    (port,) = free_ports(1)
    arguments = {
        "--port": port,
        "--certificate": certificate.chain,
        "--key": certificate.key,
        "--bindings": bindings,
        "--log": log,
    }
    program = Path(__file__).with_name("acceptor.py")
    with running(
        # -P: modules beside it must not be importable as top-level modules
        [*realm.launcher, sys.executable, "-P", program, *(str(part) for pair in arguments.items() for part in pair)],
        port=port,
        env={"NTLM_USER_FILE": str(users), **realm.acceptor_environment},
        output=folder / "output.log",
    ):
        yield Acceptor(port, log)
