"""The report: complete, for people and for programs, and without secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePath

from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.model import ConnectionManager, Executable, Package, Unreadable
from airflow_smtp_cm.ssis.reading.reader import read
from airflow_smtp_cm.ssis.writing.findings import About, Status
from airflow_smtp_cm.ssis.writing.report import Report
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

    assert report(converted, unreadable=[broken]).as_text() == (
        "Project Shop (shop)\n"
        "\n"
        "Package Orders (Orders.dtsx): orders.py\n"
        "  Converted\n"
        "    Package.ConnectionManagers[Mail]: Connection mail.\n"
        "    Package\\Tell ops: Task tell_ops.\n"
        "  Manual\n"
        "    Package\\Each\\Load: Data Flow task: replace the placeholder each.load.\n"
        "    Package\\Each: Foreach Loop container: the group each runs once. "
        "Map it (expand) over the items of the loop.\n"
        "    Package: MaxErrorCount is 3. In Airflow the first failure counts.\n"
        "  Skipped\n"
        "    Package\\Each: ForEachEnumerator: Files\n"
        "\n"
        "Unreadable files\n"
        "  x.dtsx: It is encrypted. Decrypt it.\n"
        "\n"
        "1 packages: 1 DAGs, 1 connections; "
        "2 converted, 3 manual, 1 skipped; 1 unreadable files.\n"
    )


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
            },
            {"status": "converted", "about": "mail", "place": "Package\\Send", "text": "Task send."},
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
    findings = Converted(
        package(
            mail(), managers=(SMTP, database), secrets=("Package\\Fetch",), configurations=("Servers: D:\\s.xml",)
        )
    ).findings()

    assert findings == [
        "Package\\Fetch: It contains a password or another secret, which was not copied.",
        "Package.ConnectionManagers[DB]: It contains a password or another secret, which was not copied.",
        (
            "Package: The package configuration Servers: D:\\s.xml may set variables and properties when the package "
            "starts."
        ),
    ]


def test_every_object_of_the_packages_is_in_the_report():
    """Executables, connection managers, variables and parameters; containers and packages are in the DAG."""
    files = made()
    for one in read([packages.HERE], on_file=lambda _: None):
        for each in getattr(one, "packages", ()):
            missing = {
                place
                for place in (
                    *(leaf.ref_id for leaf in leaves(each)),
                    *(manager.ref_id for manager in (*each.connection_managers, *one.connection_managers)),
                    *(f"@[$Package::{parameter.name}]" for parameter in each.parameters),
                    *(f"@[$Project::{parameter.name}]" for parameter in one.parameters),
                    *(f"@[User::{variable.name}]" for variable in each.root.variables),
                )
                if place not in files["report.txt"]
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
