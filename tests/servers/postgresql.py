"""PostgreSQL for one Airflow; the data are gone with the server."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.processes import LOOPBACK, free_ports, running

if TYPE_CHECKING:
    from collections.abc import Iterator

# Debian's package makes this user, since the server refuses to run as root.
_USER = "postgres"
_SETTINGS = {"listen_addresses": LOOPBACK, "unix_socket_directories": "", "fsync": "off", "max_connections": "300"}


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Run a server during the block; yield the address of its database: user, host, port and name."""
    (port,) = free_ports(1)
    as_user = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"] if os.geteuid() == 0 else []
    with TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        if as_user:
            shutil.chown(folder, _USER, _USER)
        data = folder / "data"
        options = ["--username=airflow", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        initialize: list[str | Path] = [*as_user, _program("initdb"), f"--pgdata={data}", *options]
        subprocess.run(initialize, check=True, capture_output=True)
        settings = [f"--{key}={value}" for key, value in _SETTINGS.items()]
        command: list[str | Path] = [*as_user, _program("postgres"), "-D", data, "-p", str(port), *settings]
        with running(command, port=port, env={}, output=folder / "output.log"):
            yield f"airflow@{LOOPBACK}:{port}/postgres"


def _program(name: str) -> Path:
    """Return the path of a program of the newest PostgreSQL, where Debian installs it."""
    return max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
