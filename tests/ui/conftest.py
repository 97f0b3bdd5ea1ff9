"""A browser before a running Airflow: both start when a test first asks for them, and run until the last is done."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from playwright.sync_api import expect, sync_playwright

from airflow_smtp_cm.testing import SmtpTestServer
from tests.servers.people import ALICE
from tests.servers.requirements import require
from tests.ui.standalone import running_airflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize

    from tests.ui.standalone import Standalone

_CHROMIUM = "/usr/bin/chromium"
_FLAGS = (
    "--no-sandbox",  # it refuses to run as root with it
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE = 30_000  # milliseconds, for whatever a page waits for


@pytest.fixture(scope="package")
def mail_server() -> Iterator[SmtpTestServer]:
    """The server that lets alice in; it knows her by NTLM."""
    with SmtpTestServer(users={ALICE.down_level: ALICE.password}) as server:
        yield server


@pytest.fixture(scope="package")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """A running Airflow."""
    require("chromium")
    with running_airflow(tmp_path_factory.mktemp("airflow")) as airflow:
        yield airflow


@pytest.fixture(scope="package")
def browser(mail_server: SmtpTestServer) -> Iterator[Browser]:  # noqa: ARG001 - see below
    """Chromium."""
    require("chromium")
    expect.set_options(timeout=_PATIENCE)
    # From here on this thread runs Playwright's event loop, and can run no other: the mail server has to stand.
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS) as browser,
    ):
        yield browser


@pytest.fixture(scope="package")
def context(browser: Browser, airflow: Standalone) -> Iterator[BrowserContext]:
    """What the pages share: a cache, for one."""
    size: ViewportSize = {"width": 1280, "height": 640}
    with browser.new_context(base_url=airflow.url, viewport=size, locale="en-US") as context:
        context.set_default_timeout(_PATIENCE)
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of Airflow's UI."""
    with context.new_page() as page:
        yield page


class Connect(Protocol):
    """What ``connect`` returns."""

    def __call__(self, conn_id: str, **changes: Any) -> dict[str, Any]: ...


@pytest.fixture
def connect(airflow: Standalone, mail_server: SmtpTestServer) -> Iterator[Connect]:
    """A function that adds a connection to the mail server by the REST API, for the time of the test."""
    conn_ids = []

    def connect(conn_id: str, **changes: Any) -> dict[str, Any]:
        extra = {
            "use_windows_authentication": True,
            "enable_ssl": True,
            "server_name": mail_server.server_name,
            "ca_bundle": mail_server.ca_bundle,
            "from_email": "Reports <reports@corp.test>",
        }
        connection = {
            "connection_id": conn_id,
            "conn_type": "smtp_cm",
            "host": mail_server.host,
            "port": mail_server.port,
            "login": ALICE.down_level,
            "password": ALICE.password,
        } | changes
        connection["extra"] = json.dumps(extra | changes.get("extra", {}))
        airflow.api.post("/api/v2/connections", json=connection).raise_for_status()
        conn_ids.append(conn_id)
        return connection

    yield connect
    for conn_id in conn_ids:
        airflow.api.delete(f"/api/v2/connections/{conn_id}").raise_for_status()


class Picture(Protocol):
    """What ``picture`` returns."""

    def __call__(self, name: str, shown: Page | Locator) -> None: ...


@pytest.fixture
def picture() -> Picture:
    """A function that saves a picture for the documentation, in the folder ``SCREENSHOTS`` of the environment."""

    def picture(name: str, shown: Page | Locator) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            shown.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")

    return picture
