"""A browser for the running Airflow: it starts when the first test uses it, and runs until the last test ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.browser import TIMEOUT, chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize

    from airflow_smtp_cm.testing import SmtpTestServer
    from tests.live.standalone import Standalone


@pytest.fixture(scope="package")
def browser(mail_server: SmtpTestServer) -> Iterator[Browser]:  # noqa: ARG001 - see below
    """Chromium."""
    # From here on this thread runs Playwright's event loop and no other, so the mail server must already run.
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def context(browser: Browser, airflow: Standalone) -> Iterator[BrowserContext]:
    """The browser context of all pages, which share its cache."""
    size: ViewportSize = {"width": 1280, "height": 640}
    with browser.new_context(base_url=airflow.url, viewport=size, locale="en-US") as context:
        context.set_default_timeout(TIMEOUT)
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of Airflow's UI."""
    with context.new_page() as page:
        yield page


class Picture(Protocol):
    """The function that ``picture`` returns."""

    def __call__(self, name: str, shown: Page | Locator) -> None: ...


@pytest.fixture
def picture() -> Picture:
    """A function that saves a picture for the documentation, in the folder ``SCREENSHOTS`` of the environment."""

    def picture(name: str, shown: Page | Locator) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            shown.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")

    return picture
