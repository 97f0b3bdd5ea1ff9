"""Machines that are connected by a switch; each is a set of namespaces, and none is reached from outside."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.servers.namespaces import new_namespaces
from tests.servers.people import MAIL_DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.servers.namespaces import Namespaces

_NETWORK = "10.77.0"
_INTERFACE = "eth0"
_BRIDGE = "switch"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine with one network interface.

    Attributes:
        name: its host name.
        address: its IPv4 address.
        namespaces: where its processes run.
    """

    name: str
    address: str
    namespaces: Namespaces

    @contextmanager
    def unplugged(self) -> Iterator[None]:
        """Take the machine's network away for the block."""
        self.namespaces.run("ip", "link", "set", _INTERFACE, "down")
        try:
            yield
        finally:
            self.namespaces.run("ip", "link", "set", _INTERFACE, "up")


@dataclass(frozen=True, kw_only=True)
class Network:
    """The machines, by name, and their switch."""

    machines: Mapping[str, Machine]
    _switch: Namespaces

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]

    @contextmanager
    def cut(self, *names: str) -> Iterator[None]:
        """Let no packet pass between these machines during the block; both reach all others."""
        self._isolate(names, "on")
        try:
            yield
        finally:
            self._isolate(names, "off")

    def _isolate(self, names: tuple[str, ...], state: str) -> None:
        for name in names:
            self._switch.run("bridge", "link", "set", "dev", name, "isolated", state)


@contextmanager
def new_network(folder: Path, mounts: Mapping[str, Mapping[Path, str]]) -> Iterator[Network]:
    """Create the machines for the block. Each knows the others as NAME and NAME.corp.test.

    Args:
        folder: the folder for the file of their names.
        mounts: the machines' names, and for each the files and folders that it has under other paths.
    """
    addresses = {name: f"{_NETWORK}.{number}" for number, name in enumerate(mounts, 1)}
    hosts = folder / "hosts"
    lines = ["127.0.0.1 localhost", *(f"{at} {name}.{MAIL_DOMAIN} {name}" for name, at in addresses.items())]
    hosts.write_text("".join(f"{line}\n" for line in lines))
    with ExitStack() as stack:
        switch = stack.enter_context(new_namespaces(_BRIDGE, {}))
        switch.run("ip", "link", "add", _BRIDGE, "type", "bridge")
        switch.run("ip", "link", "set", _BRIDGE, "up")
        machines = {}
        for name, address in addresses.items():
            namespaces = stack.enter_context(new_namespaces(name, {hosts: "/etc/hosts", **mounts[name]}))
            peer = ["peer", "name", _INTERFACE, "netns", str(namespaces.process)]
            switch.run("ip", "link", "add", name, "type", "veth", *peer)
            switch.run("ip", "link", "set", name, "master", _BRIDGE, "up")
            namespaces.run("ip", "address", "add", f"{address}/24", "dev", _INTERFACE)
            namespaces.run("ip", "link", "set", _INTERFACE, "up")
            machines[name] = Machine(name=name, address=address, namespaces=namespaces)
        yield Network(machines=machines, _switch=switch)
