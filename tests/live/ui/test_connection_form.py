"""Airflow's form for a connection of the type SMTP Connection Manager, in a browser."""

from itertools import groupby

import pytest
from playwright.sync_api import expect

from airflow_smtp_cm.connection_manager.fields import CONNECTION_FIELDS
from tests.live.ui.pages import STANDARD, ConnectionList
from tests.servers.people import ALICE

SSIS = "SMTP connection manager"
WINDOWS = "Windows authentication"
SECTIONS = {name: list(fields) for name, fields in groupby(CONNECTION_FIELDS, lambda field: field.section)}


@pytest.fixture
def new(page):
    """The form of a new connection."""
    return ConnectionList(page).add("mail")


def test_fields_of_ssis_come_first(new):
    assert new.sections() == [STANDARD, SSIS, "TLS", WINDOWS, "Defaults", "Advanced", "Extra Fields JSON"]
    assert new.labels(STANDARD) == ["Description", "SMTP server", "User", "Password", "Port"]
    assert new.labels(SSIS) == ["Use Windows Authentication", "Enable SSL", "Timeout", "Connection string"]
    assert new.field(SSIS, "Use Windows Authentication").value() is False
    assert new.field(SSIS, "Enable SSL").value() is True


def test_every_field_has_its_label_help_and_default(new):
    """The form shows what the table of fields contains."""
    for section, fields in SECTIONS.items():
        assert new.labels(section) == [field.label for field in fields]
        for field in fields:
            shown = new.field(section, field.label)
            default = field.default or (False if field.type == "boolean" else "")
            assert shown.value() == field.choices.get(default, default), field.name
            expect(shown.help).to_have_text(field.description)


def test_every_label_fits_on_one_line(page, new, picture):
    page.set_viewport_size({"width": 1280, "height": 1600})  # the pictures show the whole form
    new.fill(STANDARD, {"SMTP server": "mail.example.com", "User": r"CORP\airflow", "Password": ALICE.password})
    for section in (STANDARD, *SECTIONS):
        for label in new.labels(section):
            assert new.field(section, label).lines_of_label() == 1, label
        picture(f"connection-form-{section.lower().replace(' ', '-')}", new.dialog)


def test_saved_values_are_shown_again_and_can_be_edited(page, airflow, mail_server):
    """A secret is shown as a mask, and is not changed when the mask is saved."""
    filled_in = {
        STANDARD: {
            "Description": "Filled in by hand",
            "SMTP server": mail_server.host,
            "User": ALICE.down_level,
            "Password": ALICE.password,
            "Port": str(mail_server.port),
        },
        SSIS: {"Use Windows Authentication": True, "Timeout": "15"},
        "TLS": {"Server name": mail_server.server_name, "CA bundle": mail_server.ca_bundle},
        WINDOWS: {"Mechanism": "NTLM only"},
        "Defaults": {"From": "reports@corp.test"},
        "Advanced": {"Pipelining": False, "Total timeout": "60.5"},
    }
    connections = ConnectionList(page)
    form = connections.add("by_hand")
    for section, values in filled_in.items():
        form.fill(section, values)
    form.save()

    form = connections.edit("by_hand")
    for section, values in filled_in.items():
        for label, value in values.items():
            assert form.field(section, label).value() == ("***" if label == "Password" else value), label
    expect(form.field(STANDARD, "Password").text).to_have_attribute("type", "password")
    form.fill("Defaults", {"From": "other@corp.test"})
    form.save()

    form = connections.edit("by_hand")
    assert form.field("Defaults", "From").value() == "other@corp.test"
    form.close()
    expect(connections.test("by_hand")).to_contain_text("NTLM")
    airflow.api.delete("/api/v2/connections/by_hand").raise_for_status()
