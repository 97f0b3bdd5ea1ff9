"""What a mail server needs of the realm whose tickets it checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

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
