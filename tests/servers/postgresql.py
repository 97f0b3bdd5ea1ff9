"""PostgreSQL for one Airflow; the data are gone with the server."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.processes import LOOPBACK, free_ports, running, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

# Debian's package makes this user, since the server refuses to run as root.
_USER = "postgres"
_SETTINGS = {"unix_socket_directories": "", "fsync": "off", "max_connections": "300"}


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Run a server during the block; yield the address of its database: user, host, port and name."""
    (port,) = free_ports(1)
    with new_data() as data, serving(data, port):
        yield f"airflow@{LOOPBACK}:{port}/postgres"


@contextmanager
def new_data() -> Iterator[Path]:
    """Create the data of a server, with the user ``airflow`` and the database ``postgres``, for the block."""
    with TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, _USER, _USER)
        data = folder / "data"
        options = ["--username=airflow", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        command: list[str | Path] = [*_as_user(), _program("initdb"), f"--pgdata={data}", *options]
        subprocess.run(command, check=True, capture_output=True)
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")
        yield data


@contextmanager
def serving(data: Path, port: int, interface: str = LOOPBACK) -> Iterator[None]:
    """Run a server of the data during the block; it listens on the interface, which must include 127.0.0.1."""
    settings = [f"--{key}={value}" for key, value in {**_SETTINGS, "listen_addresses": interface}.items()]
    command: list[str | Path] = [*_as_user(), _program("postgres"), "-D", data, "-p", str(port), *settings]
    is_ready: list[str | Path] = [_program("pg_isready"), "--quiet", f"--host={LOOPBACK}", f"--port={port}"]
    stop: list[str | Path] = [*_as_user(), _program("pg_ctl"), "stop", "--silent", f"--pgdata={data}", "--mode=fast"]
    with running(command, port=port, env={}, output=data.parent / "output.log"):
        wait_until(lambda: subprocess.run(is_ready, check=False).returncode == 0)
        try:
            yield
        finally:
            # SIGTERM alone lets PostgreSQL wait for its clients.
            subprocess.run(stop, check=False, capture_output=True)


def _as_user() -> list[str]:
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"] if os.geteuid() == 0 else []


def _program(name: str) -> Path:
    """Return the path of a program of the newest PostgreSQL, where Debian installs it."""
    return max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
