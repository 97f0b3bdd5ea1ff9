"""The form for Airflow below 3.2: the table of the metadata in WTForms' terms, for what Airflow 2.11 does with it."""

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
    """What a browser sends."""

    def getlist(self, name):
        return [self[name]] if name in self else []


@pytest.fixture
def connection_type():
    (found,) = get_provider_info()["connection-types"]
    return found


@pytest.fixture
def make_form(monkeypatch):
    """A class with the fields, as Airflow makes it."""
    monkeypatch.setitem(sys.modules, "airflow.www", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "airflow.www.views", SimpleNamespace(SENSITIVE_FIELD_PLACEHOLDER=UNCHANGED))
    return type("ConnectionForm", (Form,), connection_form_widgets())


def test_it_is_the_form_of_the_metadata(make_form, connection_type):
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


def test_airflow_knows_the_kinds_of_fields():
    """Of others, it shows none at all; it takes for secret what is a PasswordField."""
    kinds = {name: field.field_class for name, field in connection_form_widgets().items()}

    assert set(kinds.values()) == {StringField, PasswordField}
    assert {name for name, kind in kinds.items() if kind is PasswordField} == {"client_key_password"}


@pytest.mark.parametrize("name", ["enable_ssl", "tls_mode", "mechanism", "channel_binding"])
def test_choices_are_a_drop_down_with_labels(make_form, name):
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
def test_what_is_stored_is_shown(make_form, stored):
    """Airflow's own way to fill in the form; from a URI or from JSON it may come in any of these shapes."""
    form = make_form()
    form.enable_ssl.data = stored

    assert '<option value="false" selected>' in form.enable_ssl()
    assert '<option value="true">' in form.enable_ssl()


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize(("sent", "meant"), [("true", True), ("false", False)])
def test_what_a_switch_sends_is_understood(make_form, name, sent, meant):
    form = make_form(Posted({name: sent}))

    assert form.validate(), form.errors
    assert FIELDS[name].read(form[name].data) is meant


def test_value_that_is_no_choice_is_refused(make_form):
    form = make_form(Posted(tls_mode="opportunistic"))

    assert not form.validate()
    assert "starttls, implicit" in form.errors["tls_mode"][0]


def test_form_of_another_type_is_valid(make_form):
    """Airflow validates the fields of all types, and those of this one are then missing."""
    form = make_form(Posted(conn_id="other"))

    assert form.validate(), form.errors


def test_stored_secret_is_not_in_the_page_and_survives(make_form):
    """Airflow would take an empty one for removed."""
    form = make_form()
    form.client_key_password.data = "hunter2"
    shown = form.client_key_password()

    assert "hunter2" not in shown
    assert f'value="{UNCHANGED}"' in shown
    assert 'type="password"' in shown


def test_typed_secret_survives_a_mistake_elsewhere(make_form):
    """The form comes back with what was typed."""
    form = make_form(Posted(client_key_password="hunter2", tls_mode="opportunistic"))

    assert 'value="hunter2"' in form.client_key_password()


def test_secret_that_is_not_there_is_empty(make_form):
    assert 'value=""' in make_form().client_key_password()


def test_import_needs_no_wtforms():
    """Only an Airflow that asks for the form brings it."""
    code = "import sys, airflow_smtp_cm.hooks.connection_form; print('wtforms' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "False"
