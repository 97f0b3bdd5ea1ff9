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
    from tests.servers.kdc import Kdc

# What becomes of channel bindings: "off" never looks at them, "allow" refuses wrong ones, "require" missing ones too.
Bindings = Literal["off", "allow", "require"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One AUTH, as the acceptor saw it.

    Attributes:
        mechanism: NTLM, GSSAPI or GSS-SPNEGO.
        ok: whether it was let in.
        user: who logged in, once that is known.
        inner: object identifier of the mechanism that did the work, once that is known.
        bound: whether the right channel bindings came with it.
        error: why it was not let in.
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
        """Return all logins so far, good and bad."""
        return [Login(**json.loads(line)) for line in self.log.read_text().splitlines()]


@contextmanager
def running_acceptor(folder: Path, kdc: Kdc, certificate: Certificate, bindings: Bindings) -> Iterator[Acceptor]:
    """Run an acceptor for the duration of the block, with a folder of its own for its files."""
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
        # -P: its neighbours are not to be found as top-level modules
        [sys.executable, "-P", program, *(str(part) for pair in arguments.items() for part in pair)],
        port=port,
        env={"NTLM_USER_FILE": str(users), **kdc.acceptor_environment},
        output=folder / "output.log",
    ):
        yield Acceptor(port, log)
