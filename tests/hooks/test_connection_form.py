"""The form for Airflow below 3.2: the fields of the metadata as WTForms' fields, as Airflow 2.11 uses them."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from wtforms import Form, PasswordField, StringField

from airflow_smtp_cm.connection_manager.fields import CONNECTION_FIELDS
from airflow_smtp_cm.get_provider_info import get_provider_info
from airflow_smtp_cm.hooks.connection_form import connection_form_widgets, ui_field_behaviour

FIELDS = {item.name: item for item in CONNECTION_FIELDS}
SWITCHES = [item.name for item in CONNECTION_FIELDS if item.type == "boolean"]
UNCHANGED = "What means to Airflow that a secret stays as it is"


class Posted(dict):
    """The values that a browser posts."""

    def getlist(self, name):
        return [self[name]] if name in self else []


@pytest.fixture
def connection_type():
    (found,) = get_provider_info()["connection-types"]
    return found


@pytest.fixture
def make_form(monkeypatch):
    """A form class with the fields, made as Airflow makes it."""
    monkeypatch.setitem(sys.modules, "airflow.www", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "airflow.www.views", SimpleNamespace(SENSITIVE_FIELD_PLACEHOLDER=UNCHANGED))
    return type("ConnectionForm", (Form,), connection_form_widgets())


def test_fields_are_those_of_the_metadata(make_form, connection_type):
    form = make_form()
    metadata = connection_type["conn-fields"]

    assert [field.name for field in form] == list(metadata)
    assert [(field.label.text, field.description) for field in form] == [
        (item["label"], item["description"]) for item in metadata.values()
    ]
    shown = {field.name: FIELDS[field.name].read(field.data) for field in form}
    assert shown == {
        name: item["schema"].get("default", False if name in SWITCHES else None) for name, item in metadata.items()
    }


def test_standard_fields_are_those_of_the_metadata(connection_type):
    metadata = connection_type["ui-field-behaviour"]

    assert ui_field_behaviour() == {name.replace("-", "_"): value for name, value in metadata.items()}


def test_airflow_supports_the_classes_of_the_fields():
    """If any other class is used, it shows no field. A PasswordField is a secret for it."""
    kinds = {name: field.field_class for name, field in connection_form_widgets().items()}

    assert set(kinds.values()) == {StringField, PasswordField}
    assert {name for name, kind in kinds.items() if kind is PasswordField} == {"client_key_password"}


@pytest.mark.parametrize("name", ["enable_ssl", "tls_mode", "mechanism", "channel_binding"])
def test_choices_are_a_drop_down_list_with_labels(make_form, name):
    schema = get_provider_info()["connection-types"][0]["conn-fields"][name]["schema"]
    choices = schema.get("values_display", {"true": "On", "false": "Off"})
    default = str(schema["default"]).lower()

    options = [
        f'<option value="{value}"{" selected" if value == default else ""}>{label}</option>'
        for value, label in choices.items()
    ]
    assert (
        make_form()[name]() == f'<select class="form-control" id="{name}" name="{name}">{"".join(options)}</select>'
    )


def test_labels_are_text_and_not_html(make_form):
    form = make_form()
    form.enable_ssl.id = '"><script>'

    assert "<script>" not in form.enable_ssl()


@pytest.mark.parametrize("stored", ["false", "False", False])
def test_stored_values_are_shown(make_form, stored):
    """The form is filled in as Airflow does it; values from a URI or from JSON can have any of these types."""
    form = make_form()
    form.enable_ssl.data = stored

    assert '<option value="false" selected>' in form.enable_ssl()
    assert '<option value="true">' in form.enable_ssl()


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize(("sent", "meant"), [("true", True), ("false", False)])
def test_values_that_a_switch_sends_are_understood(make_form, name, sent, meant):
    form = make_form(Posted({name: sent}))

    assert form.validate(), form.errors
    assert FIELDS[name].read(form[name].data) is meant


def test_value_that_is_not_a_choice_is_invalid(make_form):
    form = make_form(Posted(tls_mode="opportunistic"))

    assert not form.validate()
    assert "starttls, implicit" in form.errors["tls_mode"][0]


def test_form_of_another_type_is_valid(make_form):
    """Airflow validates the fields of all types, but only those of the other type are posted."""
    form = make_form(Posted(conn_id="other"))

    assert form.validate(), form.errors


def test_stored_secret_is_not_in_the_page_and_is_kept(make_form):
    """An empty value would remove it."""
    form = make_form()
    form.client_key_password.data = "hunter2"
    shown = form.client_key_password()

    assert "hunter2" not in shown
    assert f'value="{UNCHANGED}"' in shown
    assert 'type="password"' in shown


def test_typed_secret_is_kept_if_another_field_is_invalid(make_form):
    """The form is shown again with the typed values."""
    form = make_form(Posted(client_key_password="hunter2", tls_mode="opportunistic"))

    assert 'value="hunter2"' in form.client_key_password()


def test_missing_secret_is_empty(make_form):
    assert 'value=""' in make_form().client_key_password()


def test_import_needs_no_wtforms():
    """Only an Airflow that calls for the form has it installed."""
    code = "import sys, airflow_smtp_cm.hooks.connection_form; print('wtforms' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "False"
