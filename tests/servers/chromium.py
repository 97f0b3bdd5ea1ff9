"""Chromium without a screen, driven by Playwright."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect, sync_playwright

from tests.servers.processes import PATIENCE_SECONDS
from tests.servers.requirements import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Locator, Page

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
_TIMEOUT = PATIENCE_SECONDS * 1000  # milliseconds


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Run Chromium; until it ends, this thread can run no other event loop than Playwright's."""
    require("chromium")
    expect.set_options(timeout=_TIMEOUT)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS, timeout=_TIMEOUT) as browser,
    ):
        yield browser


@contextmanager
def new_context(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """Open a context whose pages wait as long as the tests do for anything; the options are Playwright's."""
    with browser.new_context(**options) as context:
        context.set_default_timeout(_TIMEOUT)
        yield context


def save_picture(name: str, shown: Page | Locator) -> None:
    """Save a picture for the documentation, in the folder ``SCREENSHOTS`` of the environment, if it is set."""
    if folder := os.environ.get("SCREENSHOTS"):
        shown.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")
