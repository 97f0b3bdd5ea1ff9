"""The servers that the clients send to: Postfix, its smtp-sink, and our own fast sink; they discard the mail."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.workers import FOLDER
from tests.servers.certificates import make_certificates
from tests.servers.kdc import running_kdc
from tests.servers.postfix import running_postfix
from tests.servers.processes import LOOPBACK, free_ports, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.servers.certificates import Certificates
    from tests.servers.kdc import Kdc
    from tests.servers.postfix import Postfix

_SERVERS = [Path("/usr/lib/postfix/sbin/master"), Path("/usr/sbin/krb5kdc"), Path("/usr/sbin/saslpasswd2")]
SMTP_SINK = Path("/usr/sbin/smtp-sink")
HERE = Path(__file__).parent


class Unavailable(Exception):
    """A program that a case needs is not installed."""


@contextmanager
def smtp_sink(*options: str) -> Iterator[int]:
    """Run smtp-sink, which offers PIPELINING and 8BITMIME and discards the mail; yield its port."""
    if not SMTP_SINK.exists():
        raise Unavailable("smtp-sink (as root, tests/install_servers.sh installs Postfix)")
    (port,) = free_ports(1)
    command: list[str | Path] = [SMTP_SINK, *options, "-u", getpass.getuser(), f"{LOOPBACK}:{port}", "100"]
    with running(command, port=port, env={}, output=FOLDER / "sinks.log"):
        yield port


@contextmanager
def fast_sink(*keywords: str) -> Iterator[int]:
    """Run the fast sink, which offers PIPELINING, CHUNKING, 8BITMIME and the keywords; yield its port."""
    (port,) = free_ports(1)
    offered = ("PIPELINING", "8BITMIME", "CHUNKING", *keywords)
    with running([*_fast_sink(), str(port), *offered], port=port, env={}, output=FOLDER / "sinks.log"):
        yield port


@contextmanager
def delaying_sink(seconds: float) -> Iterator[int]:
    """Run the sink that delays each final reply; yield its port."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.delaying_sink", str(port), str(seconds)]
    with running(command, port=port, env={}, output=FOLDER / "sinks.log"):
        yield port


@dataclass(frozen=True, slots=True)
class Servers:
    """The running Postfix and KDC."""

    kdc: Kdc
    postfix: Postfix
    certificates: Certificates


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Run Postfix and a KDC, with files in the folder, which every user must be able to read."""
    if os.geteuid() != 0 or not all(file.exists() for file in _SERVERS):
        raise Unavailable("Postfix and krb5-kdc, which run as root (tests/install_servers.sh installs them)")
    certificates = make_certificates(folder / "certificates")
    with running_kdc(folder / "kdc") as kdc, running_postfix(folder / "postfix", kdc, certificates) as postfix:
        yield Servers(kdc, postfix, certificates)


def _fast_sink() -> Sequence[str | Path]:
    compiler = shutil.which("gcc")
    if compiler is None:
        raise Unavailable("gcc, which compiles the fast sink")
    program = FOLDER / "fast_sink"
    subprocess.run([compiler, "-O2", "-o", program, HERE / "fast_sink.c"], check=True)
    return [program]
