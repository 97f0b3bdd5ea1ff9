"""The report: complete, for people and for programs, and without secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePath

import pytest

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.model import (
    Configuration,
    ConfigurationType,
    ConnectionManager,
    Executable,
    Package,
    Parameter,
    Unreadable,
)
from airflow_smtp_cm.ssis.reading.reader import read
from airflow_smtp_cm.ssis.writing.findings import About, Findings, Status
from airflow_smtp_cm.ssis.writing.overview import work_by_kind
from airflow_smtp_cm.ssis.writing.report import PackageReport, ProjectReport, Report
from airflow_smtp_cm.ssis.writing.report_text import as_text
from tests.ssis import packages
from tests.ssis.building import SMTP, Converted, arrow, mail, package, task
from tests.ssis.golden import made
from tests.ssis.test_reader_secrets import STAND_INS


def report(*converted, unreadable=()):
    return Report([one.report for one in converted], list(unreadable), ["mail"])


def test_the_text_lists_the_findings_of_each_package():
    loop = Executable(
        ref_id="Package\\Each",
        name="Each",
        kind=Kind.FOREACH_LOOP,
        type="STOCK:FOREACHLOOP",
        properties={"ForEachEnumerator": "Files"},
        executables=(task("Load", "Package\\Each"),),
    )
    converted = Converted(package(mail("Tell ops"), loop, properties={"MaxErrorCount": "3"}))
    broken = Unreadable(source=PurePath("x.dtsx"), why="It is encrypted.", what_to_do="Decrypt it.")

    assert as_text(report(converted, unreadable=[broken])) == (
        "Files that were not converted\n"
        "  x.dtsx: It is encrypted. Decrypt it.\n"
        "\n"
        "Manual work by kind\n"
        "  1 Data Flow task: placeholders\n"
        "  1 loop: map the groups\n"
        "  1 property: decide whether the difference to SSIS matters\n"
        "\n"
        "Project Shop (shop)\n"
        "\n"
        "Package Orders (Orders.dtsx): orders.py, runs after 3 steps\n"
        "  Package\\Each\\Load: Data Flow task: replace the placeholder each.load.\n"
        "  Package\\Each: Foreach Loop container: the group each runs once. "
        "Map it (expand) over the items of the loop.\n"
        "  Package: MaxErrorCount is 3. In Airflow the first failure counts.\n"
        "  Converted: connection (1), mail (1)\n"
        "  Skipped: loop (1)\n"
        "\n"
        "Packages: 1 (runs as is: 0, runs after manual steps: 1, sends no mail: 0). DAGs: 1. Connections: 1. "
        "Files not converted: 1.\n"
        "All findings, what was converted and skipped included: --format html or --format json.\n"
    )


def windows(name="Mail"):
    """An SMTP connection manager that authenticates as the account of the process."""
    string = "SmtpServer=mail.corp.example;UseWindowsAuthentication=True;EnableSsl=False;"
    return replace(SMTP, ref_id=f"Package.ConnectionManagers[{name}]", name=name, connection_string=string)


def to_parameter(value):
    """A package with a mail to the address in a parameter."""
    parameter = Parameter(name="To", data_type=DataType.WSTR, value=value)
    return package(mail(expressions={"ToLine": "@[$Package::To]"}), parameters=(parameter,))


def test_what_blocks_mail_comes_first():
    """Connections without identity, mails to complete, secrets; the same connection in many packages is one line."""
    lost = mail(expressions={"ToLine": "@[User::Nowhere]"})
    many = [replace(package(lost, managers=(windows(),)), source=PurePath(f"{n}.dtsx")) for n in range(3)]
    first = replace(many[0], secrets=("Package\\Fetch",))
    text = as_text(report(Converted(first, *many[1:])))

    identity = (
        "SSIS authenticates as the account that runs the package. Set login and password, or a keytab, in the "
        'connection "mail", or give the workers a Kerberos ticket.'
    )
    unknown = (
        "The expression of ToLine has no counterpart: There is no @[User::Nowhere] here "
        "(at character 1 of the expression @[User::Nowhere])"
    )
    assert text.splitlines()[:11] == [
        "Before mail is sent",
        "  Connections to complete",
        f"    0.dtsx: Package.ConnectionManagers[Mail] and 2 more: {identity}",
        "  Mails that are disabled until they are completed",
        "    0.dtsx: Package\\Send and 2 more: Nothing is sent until you write to and remove its disable.",
        "  Expressions to write",
        f"    0.dtsx: Package\\Send and 2 more: {unknown}",
        "  Secrets that were not copied",
        "    0.dtsx: Package\\Fetch: A password or another secret was not copied.",
        "",
        "Manual work by kind",
    ]


def test_the_work_is_counted_by_kind_the_most_frequent_first():
    converted = Converted(package(mail(), task("A"), task("B"), properties={"MaxErrorCount": "3"}))

    assert work_by_kind(report(converted)) == [
        "2 Data Flow tasks: placeholders",
        "1 property: decide whether the difference to SSIS matters",
    ]


def test_packages_without_mail_are_only_counted():
    """Their secrets and properties are no work for mail."""
    converted = Converted(package(task("Load"), managers=(), secrets=("Package\\Fetch",)))
    text = as_text(report(converted))

    assert text.startswith("Packages: 1 (runs as is: 0, runs after manual steps: 0, sends no mail: 1). DAGs: 0.")


@pytest.mark.parametrize(
    ("made", "label"),
    [
        (package(mail()), "runs as is"),
        (package(mail(), task("Load")), "runs after 1 step"),
        (package(mail(), managers=(windows("Mail"),)), "runs after 1 step"),
        (to_parameter("ops@corp.example"), "runs as is"),
        (to_parameter(None), "runs after 1 step"),
        (package(task("Load")), "sends no mail"),
        (package(task("Tell", mailer="SmtpClient")), "no DAG: 1 step"),
    ],
)
def test_a_package_has_a_state(made, label):
    (one,) = Converted(made).report.reported()

    assert one.label == label


def test_connections_of_the_project_are_steps_of_its_packages():
    shared = replace(windows(), ref_id="Project.ConnectionManagers[Mail]")
    (one,) = Converted(package(mail(), managers=()), connection_managers=(shared,)).report.reported()

    assert [step.place for step in one.steps] == ["Project.ConnectionManagers[Mail]"]


def test_every_kind_of_finding_has_a_line():
    findings = Findings()
    for about in About:
        findings.manual(about, "Package", "Do it.")
    one = PackageReport("Orders", PurePath("Orders.dtsx"), "orders", "orders.py", tuple(findings))

    assert len(work_by_kind(Report([ProjectReport("", PurePath(), (), (one,))]))) == len(About)


def test_scripts_that_send_mail_are_reported_even_without_a_dag():
    converted = Converted(package(task("Tell ops", mailer="SmtpClient"), managers=()))

    assert converted.source == ""
    (finding,) = converted.findings()
    assert finding == (
        "Package\\Tell ops: It sends mail without a Send Mail task, by SmtpClient: write a SendMailOperator. "
        "If it logs in, put login and password into a connection."
    )


def test_the_json_has_the_same_findings():
    found = json.loads(report(Converted(package(mail()))).as_json())

    assert found.keys() == {"summary", "connections", "projects", "unreadable"}
    assert found["summary"] == {
        "packages": 1,
        "dags": 1,
        "connections": 1,
        "converted": 2,
        "manual": 0,
        "skipped": 0,
        "unreadable": 0,
        "states": {"runs as is": 1, "runs after manual steps": 0, "sends no mail": 0},
    }
    (of_project,) = found["projects"]
    assert of_project.keys() == {"name", "source", "findings", "packages"}
    (of_package,) = of_project["packages"]
    assert of_package == {
        "name": "Orders",
        "source": "Orders.dtsx",
        "dag_id": "orders",
        "file": "orders.py",
        "findings": [
            {
                "status": "converted",
                "about": "connection",
                "place": "Package.ConnectionManagers[Mail]",
                "text": "Connection mail.",
                "blocks": False,
            },
            {
                "status": "converted",
                "about": "mail",
                "place": "Package\\Send",
                "text": "Task send.",
                "blocks": False,
            },
        ],
    }


def test_a_package_without_mail_is_reported_without_a_dag():
    converted = Converted(package(task("Load")))

    assert converted.source == ""
    assert converted.report.packages[0].dag_id is None
    assert "Package: It has no Send Mail task: no DAG is written." in converted.findings(Status.SKIPPED)


def test_a_constraint_without_a_target_is_reported():
    (finding,) = Converted(package(mail(), constraints=(arrow("Send", "Gone"),))).findings()

    assert finding.endswith("It leads from Package\\Send to Package\\Gone, one of which does not exist.")


def test_packages_with_the_same_file_name_become_separate_dags():
    twice = Converted(package(mail()), replace(package(mail()), source=PurePath("old/Orders.dtsx")))

    assert [one.dag_id for one in twice.report.packages] == ["orders", "shop_orders"]


def test_a_dag_has_the_id_of_the_file_and_the_display_name_of_the_package():
    """Copies have the same name, and so have packages that were never renamed: Package."""
    copied = Converted(replace(package(mail()), source=PurePath("Load Prices.dtsx")))

    assert [one.dag_id for one in copied.report.packages] == ["load_prices"]
    assert 'dag_display_name="Orders"' in copied.source


def test_secrets_and_configurations_are_reported():
    database = ConnectionManager(
        ref_id="Package.ConnectionManagers[DB]", dtsid="{D}", name="DB", creation_name="OLEDB", has_secret=True
    )
    servers = Configuration(name="Servers", type=ConfigurationType.CONFIG_FILE, location="D:\\s.xml")
    findings = Converted(
        package(mail(), managers=(SMTP, database), secrets=("Package\\Fetch",), configurations=(servers,))
    ).findings()

    assert findings == [
        "Package\\Fetch: A password or another secret was not copied.",
        "Package.ConnectionManagers[DB]: A password or another secret was not copied.",
        (
            "Package.Configurations[Servers]: The configuration file D:\\s.xml may set variables and properties when "
            "the package starts. It was not read, so the stored values are in the DAG: pass the file with "
            "--configuration."
        ),
    ]


def test_every_object_of_the_packages_is_in_the_report():
    """Executables, connection managers, variables and parameters; containers and packages are in the DAG."""
    report = json.loads(made()["report.json"])
    owners = [*report["projects"], *(package for project in report["projects"] for package in project["packages"])]
    findings = "\n".join(f"{one['place']}: {one['text']}" for owner in owners for one in owner["findings"])
    for one in read([packages.HERE], on_file=lambda _: None):
        for each in getattr(one, "packages", ()):
            missing = {
                place
                for place in (
                    *(leaf.ref_id for leaf in leaves(each)),
                    *(manager.ref_id for manager in (*each.connection_managers, *one.connection_managers)),
                    *(f"@[$Package::{parameter.name}]" for parameter in each.parameters),
                    *(f"@[$Project::{parameter.name}]" for parameter in one.parameters),
                    *(f"Package: @[User::{variable.name}]" for variable in each.root.variables),
                )
                if place not in findings
            }
            assert missing == set(), each.root.name


def leaves(package: Package):
    def within(executable):
        for one in (*executable.executables, *(e for h in executable.event_handlers for e in h.executables)):
            if not one.executables:
                yield one
            yield from within(one)

    return within(package.root)


def test_no_secret_of_the_packages_is_in_any_file():
    files = made()

    assert [(name, secret) for name, content in files.items() for secret in STAND_INS if secret in content] == []


def test_the_kinds_of_findings_are_documented():
    text = (Path(__file__).parents[2] / "docs" / "import.md").read_text()

    assert [kind.value for kind in (*About, *Status) if f"`{kind.value}`" not in text] == []
