"""Network, mounts and host name of their own for servers that need well-known ports or system folders; root only."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

T = TypeVar("T")

_libc = ctypes.CDLL(None, use_errno=True)  # Python below 3.12 has no os.setns()
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1

# Names the host, mounts its arguments over each other by pairs, and holds the namespaces until standard input ends.
_HOLD = """
set -e
! mountpoint --quiet / || mount --make-rprivate /  # in a chroot, it is no mount
hostname "$1"; shift
while [ $# != 0 ]; do
    [ ! -d "$1" ] || mkdir -p "$2"
    mount --bind "$1" "$2"
    shift 2
done
echo ready
exec cat
"""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Namespaces that exist until the end of their block."""

    process: int  # it holds them, and runs in them

    @property
    def launcher(self) -> tuple[str, ...]:
        """What must precede a command that is to run inside."""
        namespaces = ("--net", "--mount", "--uts")
        return ("nsenter", "--target", str(self.process), *namespaces, "--root", "--wdns=/", "--")

    def run(self, *command: str) -> str:
        """Run a command inside, and return its standard output.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        return subprocess.run([*self.launcher, *command], capture_output=True, check=True, text=True).stdout

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Use the network inside in this thread, and in threads that it starts meanwhile; files are as outside."""
        with Path("/proc/thread-self/ns/net").open() as ours, Path(f"/proc/{self.process}/ns/net").open() as theirs:
            _use_network(theirs.fileno())
            try:
                yield
            finally:
                _use_network(ours.fileno())

    @contextmanager
    def running(self, server: AbstractContextManager[T]) -> Iterator[T]:
        """Start a server inside, and run it during the block."""
        with ExitStack() as stack:
            with self.inside():
                started = stack.enter_context(server)
            yield started


@contextmanager
def new_namespaces(host_name: str, mounts: Mapping[Path, str]) -> Iterator[Namespaces]:
    """Create namespaces for the block: loopback is the only network.

    Args:
        host_name: the name of the machine in them.
        mounts: files and folders, and the paths that they have there.
    """
    with subprocess.Popen(
        ["unshare", "--net", "--mount", "--uts", "--propagation", "unchanged", "sh", "-c", _HOLD, "hold", host_name]
        + [str(path) for pair in mounts.items() for path in pair],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches only the tests
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "ready\n"
        namespaces = Namespaces(holder.pid)
        with namespaces.inside(), socket.socket() as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
        yield namespaces


def _use_network(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")
