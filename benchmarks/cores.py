"""One core for the client and another for the server, so that they do not compete for one."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALL = sorted(os.sched_getaffinity(0))
SERVERS = _ALL[0]
CLIENTS = _ALL[-1]


@contextmanager
def on(core: int) -> Iterator[None]:
    """Pin to the core all processes that the block starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
