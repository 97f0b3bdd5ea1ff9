"""What must stand before a test module is imported: Airflow's environment, and the fixtures of the real servers."""

import os
import tempfile

import pytest

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
