"""What must stand before a test module is imported: Airflow's environment, and the fixtures of the real servers."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.servers.people import ALICE

_airflow_home = tempfile.TemporaryDirectory(prefix="airflow-home-", ignore_cleanup_errors=True)

# Airflow reads these once, when it is first imported.
os.environ["AIRFLOW_HOME"] = _airflow_home.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"

for _name in ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy"):
    os.environ.pop(_name, None)
    os.environ.pop(_name.upper(), None)

pytest_plugins = ["tests.servers.fixtures"]


def pytest_configure(config: pytest.Config) -> None:
    config.add_cleanup(_airflow_home.cleanup)


@pytest.fixture
def define(monkeypatch):
    """Return a function that defines an Airflow connection, by default the default one."""

    def define(text: str, conn_id: str = "smtp_cm_default") -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)

    return define


@pytest.fixture
def server(define):
    """A server in this process, where alice has an account; the connections smtp_cm_default and mail lead to it."""
    from airflow_smtp_cm.testing import SmtpTestServer  # noqa: PLC0415 - most tests need none of it

    with SmtpTestServer(users={ALICE.down_level: ALICE.password}) as server:
        for conn_id in ("smtp_cm_default", "mail"):
            define(server.airflow_connection(), conn_id)
        yield server


@pytest.fixture(scope="session")
def airflow_db() -> Path:
    """Airflow's database, new; and the DAGs where Airflow looks for them."""
    home, root = Path(_airflow_home.name), Path(__file__).parent.parent
    (home / "dags").mkdir(exist_ok=True)
    for folder in ("tests/dags", "example_dags"):
        (home / "dags" / folder.replace("/", "_")).symlink_to(root / folder)
    airflow = Path(sys.executable).with_name("airflow")
    subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True)
    return home / "airflow.db"


@pytest.fixture(scope="session")
def dags(airflow_db):
    """Those DAGs, by id."""
    from tests.airflow_versions import load_dags  # noqa: PLC0415 - when its environment stands

    return load_dags(airflow_db.parent / "dags")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs Kerberos bindings, which are not installed beside every Airflow."""
    for item in items:
        if "kdc" in getattr(item, "fixturenames", ()):
            item.add_marker("kerberos")
