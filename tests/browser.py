"""Chromium, without a window, for tests of pages."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright

from tests.servers.processes import PATIENCE_SECONDS
from tests.servers.requirements import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

#: Milliseconds, for every wait of a page.
TIMEOUT = PATIENCE_SECONDS * 1000

_CHROMIUM = "/usr/bin/chromium"
_FLAGS = (
    "--no-sandbox",  # with the sandbox it does not run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium. Until the end, this thread runs Playwright's event loop and no other."""
    require("chromium")
    expect.set_options(timeout=TIMEOUT)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS) as browser,
    ):
        yield browser
