"""SMTP connection managers converted to Airflow connections."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePath

import pytest

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.model import ConnectionManager, Parameter
from airflow_smtp_cm.ssis.writing.findings import Status
from tests.ssis.building import SMTP, Converted, mail, package, variable
from tests.ssis.golden import GOLDEN

STRING = "SmtpServer={};UseWindowsAuthentication={};EnableSsl={};"


def manager(name="Mail", string=SMTP.connection_string, **given):
    return replace(SMTP, name=name, connection_string=string, **given)


def connections(*managers, **given):
    return Converted(package(mail(), managers=managers, **given)).connections


def test_airflow_imports_all_connections(migrated_db, tmp_path):
    """With its own command, into a new database; the connections there are those of the packages."""
    shutil.copy(migrated_db, tmp_path)
    airflow = Path(sys.executable).with_name("airflow")
    own = os.environ | {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__UNIT_TEST_MODE": "False"}
    for command in (
        ["connections", "import", GOLDEN / "connections.json"],
        ["connections", "export", tmp_path / "out.json"],
    ):
        done = subprocess.run([airflow, *command], env=own, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    exported = json.loads((tmp_path / "out.json").read_text())
    agreed = json.loads((GOLDEN / "connections.json").read_text())

    assert exported.keys() == agreed.keys()
    for conn_id, connection in agreed.items():
        extra = json.loads(exported[conn_id].pop("extra") or "{}")
        assert extra == connection.pop("extra", {}), conn_id
        assert {name: value for name, value in exported[conn_id].items() if value} == connection, conn_id


def test_the_connection_has_the_settings_of_the_string():
    found = connections(
        manager("Plain", STRING.format("a.example", "False", "False")),
        manager("Full", STRING.format("B.example", "True", "True") + "Timeout=22000;", description="Exchange"),
        manager("Bare", "c.example"),
    )

    assert found == {
        "plain": {"conn_type": "smtp_cm", "host": "a.example"},
        "full": {
            "conn_type": "smtp_cm",
            "description": "Exchange",
            "host": "B.example",
            "extra": {
                "use_windows_authentication": True,
                "enable_ssl": True,
                "timeout": 22.0,
                "connection_string": "SmtpServer=B.example;",
            },
        },
        "bare": {"conn_type": "smtp_cm", "host": "c.example"},
    }


def test_the_same_manager_in_several_packages_is_one_connection():
    other = package(mail(), managers=(manager(),))
    converted = Converted(package(mail()), replace(other, root=replace(other.root, name="Other")))

    assert list(converted.connections) == ["mail"]


def test_the_same_name_with_other_settings_is_another_connection_and_reported():
    theirs = package(mail(), managers=(manager(string=STRING.format("b.example", "False", "False")),))
    converted = Converted(package(mail()), replace(theirs, source=PurePath("Night Run.dtsx")))

    assert list(converted.connections) == ["mail", "night_run_mail"]
    assert 'smtp_conn_id="night_run_mail"' in converted.source
    findings = "\n".join(converted.findings())
    assert 'The id of its connection is "night_run_mail": "mail" belongs to' in findings


def test_expressions_are_evaluated_once_and_reported_with_their_variables():
    expressions = {"SmtpServer": '"relay." + @[User::Domain]', "EnableSsl": "1 == 1"}
    converted = Converted(
        package(
            mail(),
            managers=(manager(expressions=expressions),),
            variables=(variable("Domain", "corp.example"),),
        )
    )

    assert converted.connections["mail"]["host"] == "relay.corp.example"
    assert converted.connections["mail"]["extra"] == {"enable_ssl": True}
    assert any("evaluated once with the stored values of @[User::Domain]" in line for line in converted.findings())


def test_the_parameters_of_a_project_override_stored_settings():
    given = Parameter(name="CM.Mail.SmtpServer", data_type=DataType.WSTR, value="deployed.example")
    theirs = replace(package(mail(), managers=()), connection_parameters=())
    converted = Converted(theirs, connection_managers=(SMTP,), connection_parameters=(given,))

    assert converted.connections["mail"]["host"] == "deployed.example"


@pytest.mark.parametrize(
    "string",
    [
        "SmtpServer=a.example;UserName=joe;Password=hunter2;",
        "SmtpServer=a.example;pwd=hun;hunter2;Port=25;",
        "SmtpServer=a.example;x hunter2",
    ],
)
def test_unknown_keys_of_a_connection_string_are_reported_and_not_copied(string):
    converted = Converted(package(mail(), managers=(manager(string=string),)))

    assert converted.connections["mail"]["host"] == "a.example"
    assert any("has keys that SSIS does not support" in line for line in converted.findings())
    assert "hunter2" not in repr((converted.connections, converted.report, converted.source))
    assert "joe" not in repr((converted.connections, converted.report, converted.source))


def test_a_password_in_an_expression_is_not_copied():
    secret = {
        "ConnectionString": '"SmtpServer=a.example;Password=hunter2;" + @[User::Nowhere]',
        "Password": '"hunter2"',
    }
    converted = Converted(package(mail(), managers=(manager(expressions=secret),)))

    assert "hunter2" not in repr((converted.connections, converted.report, converted.source))


def test_missing_settings_of_a_connection_are_reported():
    found = "\n".join(
        Converted(
            package(
                mail(),
                managers=(
                    manager("No server", STRING.format("", "False", "False")),
                    manager("With a scheme", STRING.format("smtp://a.example", "False", "False")),
                    manager("Windows", STRING.format("a.example", "True", "False")),
                ),
            )
        ).findings()
    )

    assert 'Complete the connection "no_server": The Simple Mail Transfer Protocol (SMTP) server is not' in found
    assert "without a port or a scheme: set the port of the Airflow connection" in found
    assert 'Set login and password, or a keytab, in the connection "windows"' in found


def test_a_port_in_the_server_name_becomes_that_of_the_connection_and_is_reported():
    converted = Converted(package(mail(), managers=(manager(string=STRING.format("a.example:587", "True", "True")),)))

    assert converted.connections["mail"] == {
        "conn_type": "smtp_cm",
        "host": "a.example",
        "port": 587,
        "extra": {"use_windows_authentication": True, "enable_ssl": True},
    }
    assert any("Its SmtpServer includes the port 587" in line for line in converted.findings())


@pytest.mark.parametrize(
    ("string", "problem"),
    [
        ("SmtpServer=a.example;EnableSsl=True;Timeout=0;", "Timeout"),
        ("SmtpServer=a.example;EnableSsl=True;UseWindowsAuthentication=SSPI;", "UseWindowsAuthentication"),
        ("SmtpServer=a.example;EnableSsl=True;Timeout=1;Timeout=2", "Timeout is in the connection string"),
    ],
)
def test_an_invalid_setting_does_not_affect_the_others(string, problem):
    """Especially EnableSsl: without it, mail would be sent unencrypted."""
    converted = Converted(package(mail(), managers=(manager(string=string),)))

    assert converted.connections["mail"] == {
        "conn_type": "smtp_cm",
        "host": "a.example",
        "extra": {"enable_ssl": True},
    }
    assert any(f"Not in the connection: {problem}" in line for line in converted.findings())


def test_a_timeout_of_less_than_a_second_is_kept_and_reported():
    """It has no effect in SSIS, and none here."""
    string = STRING.format("a.example", "False", "True") + "Timeout=22;"
    converted = Converted(package(mail(), managers=(manager(string=string),)))

    assert converted.connections["mail"]["extra"] == {"enable_ssl": True, "timeout": 0.022}
    assert any(
        "Its Timeout is less than a second and has no effect" in line for line in converted.findings(Status.SKIPPED)
    )


def test_managers_of_other_vendors_are_reported_and_not_converted():
    other = ConnectionManager(
        ref_id="Package.ConnectionManagers[Cloud]",
        dtsid="{C}",
        name="Cloud",
        creation_name="SMTP (KingswaySoft)",
        connection_string="Username=;SmtpServer=a.example;SmtpServerPort=25",
    )
    converted = Converted(package(mail(), managers=(SMTP, other)))

    assert list(converted.connections) == ["mail"]
    assert any("It is of type SMTP (KingswaySoft), not SSIS's own" in line for line in converted.findings())


def test_an_unused_manager_becomes_a_connection_and_is_reported():
    idle = replace(manager("Idle"), ref_id="Package.ConnectionManagers[Idle]", dtsid="{I}")
    converted = Converted(package(mail(), managers=(SMTP, idle)))

    assert list(converted.connections) == ["mail", "idle"]
    assert "Package.ConnectionManagers[Idle]: No mail uses it: is it needed?" in converted.findings()
