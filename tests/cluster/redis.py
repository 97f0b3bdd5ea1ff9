"""Debian's Redis, the broker of Celery."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.processes import ALL_INTERFACES, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PORT = 6379


@contextmanager
def running_redis(folder: Path) -> Iterator[None]:
    """Run the server during the block, on all interfaces; its data stay in the folder for the next start."""
    folder.mkdir(exist_ok=True)
    options = {"--port": str(PORT), "--bind": ALL_INTERFACES, "--protected-mode": "no", "--dir": str(folder)}
    command = ["/usr/bin/redis-server", *(text for pair in options.items() for text in pair)]
    with running(command, port=PORT, env={}, output=folder / "output.log"):
        yield
