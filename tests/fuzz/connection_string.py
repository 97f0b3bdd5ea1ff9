"""Any connection string: it is parsed and can be written, or all its problems are reported."""

from __future__ import annotations

from airflow_smtp_cm.connection_manager.connection_string import ConnectionString
from airflow_smtp_cm.smtp.errors import SettingsError
from tests.fuzz import inputs


def check(text: str) -> None:
    """Check a text."""
    try:
        parsed = ConnectionString.parse(text)
    except SettingsError as error:
        assert error.problems
        return
    silent = {"use_windows_authentication": False, "enable_ssl": False}
    assert ConnectionString.parse(str(parsed)).properties() == silent | parsed.properties()


def one_input(data: bytes) -> None:
    check(inputs.text(data))
