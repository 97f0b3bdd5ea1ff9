"""Addresses of a server as a client meets them: listening, closed, or silent."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def infos(*addresses: str, port: int) -> list[tuple[Any, ...]]:
    """Return what ``socket.getaddrinfo`` returns for a name with these addresses."""
    families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
    return [
        (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
        for family, address in zip(families, addresses, strict=True)
    ]


def resolving_to(*addresses: str) -> Callable[..., list[tuple[Any, ...]]]:
    """Return a ``socket.getaddrinfo`` for which every name has these addresses."""
    return lambda _host, port, *_args, **_keywords: infos(*addresses, port=port)


@contextmanager
def silent(address: str, port: int) -> Iterator[None]:
    """Drop all attempts to connect to this address during the block, as a firewall does.

    Linux drops them while a listener's queue is full: it holds one connection more than its length.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((address, port))
        listener.listen(0)
        stack.enter_context(socket.socket()).connect((address, port))
        yield
