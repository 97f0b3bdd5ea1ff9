"""`airflow smtp-cm import`: the files it writes or keeps, its output, and its exit status."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

import pytest

from airflow_smtp_cm.cli import commands, get_cli_commands
from airflow_smtp_cm.ssis.reading.dtsx import read_package
from airflow_smtp_cm.ssis.writing.dag_file import dag_source
from tests.airflow_versions import AIRFLOW
from tests.ssis import packages
from tests.ssis.golden import GOLDEN
from tests.ssis.reading import build_ispac

SECRET = "hunter2"


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Return a function that runs the command in an empty folder; it returns the exit status, output and errors."""
    monkeypatch.chdir(tmp_path)

    def command(*paths, **given):
        arguments = {
            "output": "dags",
            "connections": "connections.json",
            "configuration": [],
            "format": "dag",
            "overwrite": False,
        } | given
        with pytest.raises(SystemExit) as ended:
            commands.import_packages(Namespace(paths=[str(path) for path in paths], **arguments))
        return ended.value.code, *capfd.readouterr()

    return command


def written():
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_it_writes_dags_and_connections_and_prints_the_report(command):
    status, output, errors = command(packages.NIGHTLY_SALES)

    assert (status, errors) == (0, "")
    names = ("load_customers", "load_sales", "nightly_master", "publish_reports")
    assert written() == ["connections.json", *(f"dags/{name}.py" for name in names)]
    assert output.startswith("Before mail is sent\n")
    assert "\nProject NightlySales (" in output
    assert " DAGs: 4. Connections: 1. Files not converted: 0.\n" in output
    assert json.loads(Path("connections.json").read_text()).keys() == {"mail"}


def test_an_archive_yields_the_same_as_its_folder(command, tmp_path):
    build_ispac(tmp_path / "NightlySales.ispac", packages.NIGHTLY_SALES, name="NightlySales")
    status, output, _ = command("NightlySales.ispac")

    assert status == 0
    assert "\nProject NightlySales (NightlySales.ispac)" in output
    for name in ("load_customers", "load_sales", "nightly_master", "publish_reports"):
        assert Path(f"dags/{name}.py").read_text() == (GOLDEN / f"{name}.py").read_text()


def test_report_json_and_html_write_nothing(command):
    status, report, _ = command(packages.NIGHTLY_SALES, format="report")
    assert status == 0
    status, output, _ = command(packages.NIGHTLY_SALES, format="json")
    assert status == 0

    status, page, _ = command(packages.NIGHTLY_SALES, format="html", output="my dags")
    assert status == 0

    assert written() == []
    assert "\nProject NightlySales (" in report
    assert '<a href="my%20dags/load_sales.py">load_sales.py</a>' in page
    assert json.loads(output)["summary"]["dags"] == 4


def test_unreadable_files_are_reported_and_the_others_imported(command):
    status, output, _ = command(packages.ODD, packages.JOINERS, "nowhere.dtsx")

    assert status == 1
    assert "nowhere.dtsx: It cannot be opened" in output
    assert "EncryptAllWithPassword.dtsx: The whole file is encrypted" in output
    assert "dags/joiners.py" in written()


def test_a_package_whose_conversion_fails_unexpectedly_does_not_stop_the_others(command, monkeypatch):
    """Its report has the traceback, without the exception's text, which may quote a secret."""

    def convert(project, package, **_):
        if package.root.name == "LoadSales":
            raise KeyError(SECRET)
        return dag_source(project, package, **_)

    monkeypatch.setattr("airflow_smtp_cm.ssis.importer.dag_source", convert)
    status, output, errors = command(packages.NIGHTLY_SALES)

    assert status == 1
    assert "LoadSales.dtsx: An unexpected error occurred: KeyError. It is an error of the import" in output
    assert 'test_import_command.py", line ' in output
    assert SECRET not in output + errors
    assert [name for name in written() if name.startswith("dags/")] == [
        *("dags/load_customers.py", "dags/nightly_master.py", "dags/publish_reports.py")
    ]


def test_a_package_that_cannot_be_read_unexpectedly_does_not_stop_the_others(command, monkeypatch):
    def read(root, source):
        if source.name == "LoadSales.dtsx":
            raise RecursionError(SECRET)
        return read_package(root, source)

    monkeypatch.setattr("airflow_smtp_cm.ssis.reading.projects.read_package", read)
    status, output, _ = command(packages.NIGHTLY_SALES, format="json")
    (bad,) = json.loads(output)["unreadable"]

    assert status == 1
    assert bad["source"].endswith("LoadSales.dtsx")
    assert bad["traceback"].endswith("RecursionError")
    assert SECRET not in output
    assert json.loads(output)["summary"]["dags"] == 3


def test_a_dag_that_cannot_be_formatted_does_not_stop_the_others(command, monkeypatch):
    def convert(project, package, **_):
        return "with DAG(:" if package.root.name == "LoadSales" else dag_source(project, package, **_)

    monkeypatch.setattr("airflow_smtp_cm.ssis.importer.dag_source", convert)
    status, output, _ = command(packages.NIGHTLY_SALES)

    assert status == 1
    assert "load_sales.py: ruff could not format the DAGs" in output
    assert [name for name in written() if name.startswith("dags/")] == [
        *("dags/load_customers.py", "dags/nightly_master.py", "dags/publish_reports.py")
    ]


def test_a_configuration_file_can_be_given(command, tmp_path):
    (tmp_path / "given.dtsConfig").write_text(
        r'<DTSConfiguration><Configuration Path="\Package.Connections[Mail].Properties[SmtpServer]">'
        "<ConfiguredValue>given.example</ConfiguredValue></Configuration></DTSConfiguration>"
    )
    status, _, _ = command(packages.MONTH_END, configuration=["given.dtsConfig"])

    assert status == 0
    # An expression of the package overrides it, as in SSIS.
    assert json.loads(Path("connections.json").read_text())["mail"]["host"] == "smtp.ledger.example"
    command(packages.JOINERS, configuration=["gone.dtsConfig"], overwrite=True)
    assert command(packages.JOINERS, configuration=["gone.dtsConfig"], overwrite=True)[0] == 1


def pieces_of(terminal):
    with suppress(OSError):  # no program has it open any more
        while piece := os.read(terminal, 4096):
            yield piece


def test_the_progress_bar_has_the_rate_and_the_time_left():
    """On a terminal, standard error shows it; it disappears at the end."""
    ours, theirs = pty.openpty()
    code = (
        "from airflow_smtp_cm.ssis import command\n"
        "with command._progress() as progress:\n"
        "    task = progress.add_task('Reading', total=100)\n"
        "    for _ in range(50): progress.advance(task)\n"
        "    progress.refresh()\n"
    )
    own = os.environ | {"COLUMNS": "100", "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=own) as program:
        os.close(theirs)
        shown = b"".join(pieces_of(ours)).decode()
    os.close(ours)
    assert program.returncode == 0

    assert "Reading" in shown
    assert "50/100" in shown
    assert re.search(r"[\d,]+ files/s +(\x1b\[[\d;]*m)*\d:\d\d:\d\d", shown)


def test_a_second_import_yields_the_same(command):
    command(packages.NIGHTLY_SALES)
    before = {name: Path(name).stat().st_mtime_ns for name in written()}
    status, _, errors = command(packages.NIGHTLY_SALES)

    assert (status, errors) == (0, "")
    assert {name: Path(name).stat().st_mtime_ns for name in written()} == before


def test_changed_files_are_not_overwritten_without_the_option(command):
    command(packages.NIGHTLY_SALES)
    mine = Path("dags/load_sales.py")
    mine.write_text("# mine")
    status, _, errors = command(packages.NIGHTLY_SALES)

    assert status == 1
    assert errors.splitlines()[1:] == ["  dags/load_sales.py"]
    assert mine.read_text() == "# mine"
    assert command(packages.NIGHTLY_SALES, overwrite=True)[0] == 0
    assert mine.read_text() == (GOLDEN / "load_sales.py").read_text()


def test_a_folder_that_is_not_writable_is_reported(command):
    Path("dags").write_text("no folder")
    status, _, errors = command(packages.NIGHTLY_SALES)

    assert status == 1
    assert errors == (
        "dags cannot be written: File exists. "
        "Choose another folder with --output, or another file with --connections.\n"
    )


def test_a_folder_without_ssis_files_is_an_error(command):
    """Most likely the path is not the one that was meant."""
    Path("packages").mkdir()
    Path("packages/readme.txt").write_text("Packages are elsewhere.")
    status, output, errors = command("packages", format="json")

    assert status == 1
    assert json.loads(output)["summary"]["packages"] == 0
    assert errors == "There are no SSIS files in packages: pass other files or folders.\n"


def test_without_the_extra_it_reports_what_to_install(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow_smtp_cm.ssis.command", None)
    status, _, _ = command(packages.NIGHTLY_SALES)

    assert status.startswith("The import needs the extra: pip install 'airflow-smtp-cm[import]'")


def test_dags_need_nothing_of_the_extra():
    """A generated DAG imports only modules of the base installation."""
    code = (
        "import sys; sys.modules |= dict.fromkeys(['lark', 'ruff']);"
        "import airflow_smtp_cm.macros.ssis, airflow_smtp_cm.operators.precedence"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_many_packages_are_formatted_in_batches(command, monkeypatch):
    monkeypatch.setattr("airflow_smtp_cm.ssis.command._BATCH", 2)
    command(packages.HERE)

    assert [name.partition("/")[2] for name in written() if name.startswith("dags/")] == sorted(
        path.name for path in GOLDEN.glob("*.py")
    )


def test_its_help_has_the_exit_status():
    (group,) = get_cli_commands()
    described = next(one for one in group.subcommands if one.name == "import")

    assert "Exit status 0" in described.epilog


@pytest.mark.skipif(AIRFLOW < (3, 2), reason="Airflow below 3.2 knows no commands of providers")
def test_airflow_has_the_command_and_writes_nothing_but_its_result_to_stdout(tmp_path):
    own = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__WEBSERVER__SECRET_KEY": "moved",
    }
    airflow = Path(sys.executable).with_name("airflow")
    done = subprocess.run(
        [airflow, "smtp-cm", "import", packages.JOINERS, "--format", "json"],
        env=own,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["projects"][0]["packages"][0]["dag_id"] == "joiners"
    assert "The secret_key option in [webserver] has been moved" in done.stderr
