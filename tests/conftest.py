"""Sets Airflow's environment before a test module is imported, and has the fixtures that many modules use."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from tests.servers.people import ALICE

if TYPE_CHECKING:
    from collections.abc import Generator

# The tests use the same examples every time, without a deadline. ``make fuzz`` uses random ones.
settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search",
    settings.get_profile("default"),  # not Hypothesis's profile for CI, which is derandomized
    max_examples=2_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")

# What the user has set for Airflow, proxies and colours is not for the tests.
_USERS = {"http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "force_color", "py_colors"}
for _name in list(os.environ):
    if _name.startswith("AIRFLOW") or _name.lower() in _USERS:
        del os.environ[_name]
os.umask(0o022)  # servers read their files as other users

_airflow_home = tempfile.TemporaryDirectory(prefix="airflow-home-", ignore_cleanup_errors=True)

# Airflow reads these once, when it is imported.
os.environ["AIRFLOW_HOME"] = _airflow_home.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"

pytest_plugins = ["tests.servers.fixtures"]

# The property of a test whose value is shown at the end of pytest's output.
SHOWN_AT_THE_END = "shown at the end"


@pytest.hookimpl(trylast=True)  # after Hypothesis has read its options
def pytest_configure(config: pytest.Config) -> None:
    config.add_cleanup(_airflow_home.cleanup)
    if settings().derandomize:
        # Else constants of the modules that the tests before happened to load would be among the examples.
        providers._get_local_constants = providers.Constants


def pytest_collection_finish() -> None:
    # Airflow's modules stay in memory. To search them for garbage again and again took a tenth of the time.
    gc.freeze()
    gc.set_threshold(20_000)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for text in (value for name, value in report.user_properties if name == SHOWN_AT_THE_END):
            terminalreporter.write_line(text)


@pytest.fixture
def define(monkeypatch):
    """Return a function that defines an Airflow connection; without an id, the default connection."""

    def define(text: str, conn_id: str = "smtp_cm_default") -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)

    return define


@pytest.fixture
def server(define):
    """A server in this process, with an account of alice; the connections smtp_cm_default and mail point to it."""
    from airflow_smtp_cm.testing import SmtpTestServer  # noqa: PLC0415 - most tests do not need it

    with SmtpTestServer(users={ALICE.down_level: ALICE.password}) as server:
        for conn_id in ("smtp_cm_default", "mail"):
            define(server.airflow_connection(), conn_id)
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape captured output that is not UTF-8, because pytest-xdist cannot transfer it."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def migrated_db(tmp_path_factory) -> Path:
    """Airflow's database as ``airflow db migrate`` creates it, for copies; created once for all pytest processes."""
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "migrated"
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "done").exists():
            airflow = Path(sys.executable).with_name("airflow")
            environment = os.environ | {"AIRFLOW_HOME": str(home)}
            subprocess.run([airflow, "db", "migrate"], env=environment, check=True, capture_output=True)
            (home / "done").touch()
    return home / "airflow.db"


@pytest.fixture(scope="session")
def airflow_db(migrated_db) -> Path:
    """The database of the Airflow in this process."""
    return Path(shutil.copy(migrated_db, _airflow_home.name))


@pytest.fixture(scope="session")
def dags(airflow_db):
    """The DAGs of the tests and the examples, by id."""
    from tests.airflow_versions import DAG_TEST_NEEDS_FILES, load_dags  # noqa: PLC0415 - after the environment is set

    root, folder = Path(__file__).parent.parent, airflow_db.parent / ("dags" if DAG_TEST_NEEDS_FILES else "loaded")
    folder.mkdir(exist_ok=True)
    for name in ("tests/dags", "example_dags"):
        (folder / name.replace("/", "_")).symlink_to(root / name)
    return load_dags(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need Kerberos bindings, which are not installed with every Airflow; slow modules first."""
    slow = set()
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if {"kdc", "domain"}.intersection(fixtures):
            item.add_marker("kerberos")
        if "migrated_db" in fixtures:
            slow.add(item.path)
    # So that at the end no process runs a slow module while the others have nothing to do.
    items.sort(key=lambda item: item.path not in slow)
