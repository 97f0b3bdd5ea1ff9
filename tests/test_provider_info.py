"""The provider's metadata: valid by Airflow's schemas, consistent with the code, quick to import."""

import json
import subprocess
import sys
import tomllib
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import redact
from airflow.providers_manager import ProvidersManager

from airflow_smtp_cm.connection_manager import SmtpConnectionManager
from airflow_smtp_cm.connection_manager.fields import CONNECTION_FIELDS
from airflow_smtp_cm.get_provider_info import get_provider_info

SCHEMAS = Path(airflow.__file__).parent
PROPERTIES = {item.name: item.default for item in fields(SmtpConnectionManager)}


@pytest.fixture
def connection_type():
    (found,) = get_provider_info()["connection-types"]
    return found


def test_metadata_are_valid_by_airflows_schema():
    jsonschema.validate(get_provider_info(), json.loads((SCHEMAS / "provider_info.schema.json").read_text()))


def test_connection_type_is_valid_by_airflows_stricter_schema(connection_type):
    schema = json.loads((SCHEMAS / "provider.yaml.schema.json").read_text())

    jsonschema.validate([connection_type], schema["properties"]["connection-types"])


def test_metadata_are_plain_json():
    assert json.loads(json.dumps(get_provider_info())) == get_provider_info()


def test_airflow_shows_the_form(connection_type):
    """The form is that of the metadata, or that of the hook below 3.2."""
    manager = ProvidersManager()
    ours = [name for name in manager.connection_form_widgets if name.startswith("extra__smtp_cm__")]

    assert [name.removeprefix("extra__smtp_cm__") for name in ours] == list(connection_type["conn-fields"])
    assert manager.hooks["smtp_cm"].hook_name == "SMTP Connection Manager"
    assert manager.field_behaviours["smtp_cm"]["relabeling"] == {"host": "SMTP server", "login": "User"}


def test_fields_of_ssis_come_first(connection_type):
    section = "SMTP connection manager"

    assert [
        (name, item["label"], item["schema"]["section"])
        for name, item in list(connection_type["conn-fields"].items())[:5]
    ] == [
        ("use_windows_authentication", "Use Windows Authentication", section),
        ("enable_ssl", "Enable SSL", section),
        ("timeout", "Timeout", section),
        ("connection_string", "Connection string", section),
        ("tls_mode", "TLS mode", "TLS"),
    ]


def test_no_field_is_required(connection_type):
    """The form cannot be saved while a field without "null" is empty."""
    for name, item in connection_type["conn-fields"].items():
        assert "null" in item["schema"]["type"], name


def test_every_field_has_a_description(connection_type):
    for name, item in connection_type["conn-fields"].items():
        assert item["description"], name


def test_fields_of_a_section_are_together(connection_type):
    sections = [item["schema"]["section"] for item in connection_type["conn-fields"].values()]
    changes = [section for before, section in zip([..., *sections], sections, strict=False) if section != before]

    assert len(changes) == len(set(changes))


def test_default_of_the_form_is_the_default_of_the_property(connection_type):
    """A switch that is on by default must be shown as on. Only Enable SSL has a safer default in the form."""
    shown = {
        name: item["schema"].get("default", False if "boolean" in item["schema"]["type"] else None)
        for name, item in connection_type["conn-fields"].items()
    }

    assert shown.pop("enable_ssl") is True
    assert shown.pop("connection_string") is None
    assert shown == {name: PROPERTIES[name] for name in shown}


def test_defaults_are_among_the_choices(connection_type):
    for name, item in connection_type["conn-fields"].items():
        if "enum" in item["schema"]:
            assert item["schema"]["default"] in item["schema"]["enum"], name


def test_every_choice_has_a_label(connection_type):
    choices = {
        name: item["schema"] for name, item in connection_type["conn-fields"].items() if "enum" in item["schema"]
    }

    assert choices.keys() == {"tls_mode", "mechanism", "channel_binding"}
    for name, schema in choices.items():
        assert list(schema["values_display"]) == schema["enum"], name


def test_secret_is_hidden_by_the_form_and_redacted_by_airflow(connection_type):
    """The form uses the format, Airflow's API and logs use the name."""
    secrets = {
        name for name, item in connection_type["conn-fields"].items() if item["schema"].get("format") == "password"
    }

    assert secrets == {"client_key_password"}
    for name in secrets:
        assert redact({name: "hunter2"}) == {name: "***"}


def test_every_property_can_be_set_somewhere(connection_type):
    standard = {"name", "description", "smtp_server", "port", "username", "password"}
    of_machine_or_site = {"ccache", "message_policy"}
    settable = connection_type["conn-fields"].keys() - {"connection_string"}

    assert settable == PROPERTIES.keys() - standard - of_machine_or_site


def test_labels_are_short_enough_for_the_form(connection_type):
    labels = [item.label for item in CONNECTION_FIELDS]
    labels += connection_type["ui-field-behaviour"]["relabeling"].values()

    assert [label for label in labels if len(label) > 26] == []


def test_named_modules_exist(connection_type):
    info = get_provider_info()
    modules = [connection_type["hook-class-name"].rpartition(".")[0]]
    modules += [
        module for kind in ("operators", "hooks") for entry in info[kind] for module in entry["python-modules"]
    ]

    assert [module for module in modules if find_spec(module) is None] == []


def test_package_name_is_that_of_the_distribution():
    """Airflow rejects a provider whose package-name is not that of its distribution."""
    pyproject = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())

    assert get_provider_info()["package-name"] == pyproject["project"]["name"]


def test_import_is_quick():
    """Airflow imports it whenever it starts."""
    code = (
        "import sys, airflow_smtp_cm.get_provider_info as info; info.get_provider_info();"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "airflow_smtp_cm" in run.stdout.split()
    assert {"airflow", "spnego", "ssl", "cryptography", "asyncio", "email"}.isdisjoint(run.stdout.split())
