"""A browser for the running Airflow: it starts when the first test uses it, and runs until the last test ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.chromium import new_context, running_chromium, save_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize

    from airflow_smtp_cm.testing import SmtpTestServer
    from tests.live.standalone import Standalone


@pytest.fixture(scope="package")
def browser(mail_server: SmtpTestServer) -> Iterator[Browser]:  # noqa: ARG001 - see below
    """Chromium."""
    # From here on this thread runs Playwright's event loop and no other, so the mail server must already run.
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def context(browser: Browser, airflow: Standalone) -> Iterator[BrowserContext]:
    """The browser context of all pages, which share its cache."""
    size: ViewportSize = {"width": 1280, "height": 640}
    with new_context(browser, base_url=airflow.url, viewport=size, locale="en-US") as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of Airflow's UI."""
    with context.new_page() as page:
        yield page


@pytest.fixture
def picture() -> Callable[[str, Page | Locator], None]:
    """A function that saves a picture for the documentation."""
    return save_picture
