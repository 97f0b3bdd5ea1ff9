"""The DAG of every package: equal to the reviewed file, formatted, and it sends the same mails as SSIS."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_smtp_cm.macros import ssis
from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.ssis.model import Project
from airflow_smtp_cm.ssis.reading.reader import read
from tests.ssis import packages
from tests.ssis.expressions import NOW
from tests.ssis.golden import GOLDEN, made
from tests.ssis.placeholders import Trigger
from tests.ssis.simulation import Simulation, placeholders

PROJECTS = [one for one in read([packages.HERE], on_file=lambda _: None) if isinstance(one, Project)]
PACKAGES = {package.root.name: (project, package) for project in PROJECTS for package in project.packages}
DAGS = sorted(path.name for path in GOLDEN.glob("*.py"))
# GETDATE is NOW, a Monday. One mail is sent on Fridays only.
FRIDAY = NOW + timedelta(days=4)
# Values of parameters without a default.
GIVEN = {"string": "given@at.start.example", "date-time": "2026-03-02T00:00:00+00:00"}


@pytest.fixture(scope="module")
def files():
    return made()


def test_every_file_is_as_reviewed(files):
    """If a difference is intended, run ``python -m tests.ssis.golden``, and review it."""
    agreed = {path.name: path.read_text() for path in GOLDEN.glob("*.*") if path.suffix != ".toml"}

    assert files.keys() == agreed.keys()
    for name, content in agreed.items():
        assert files[name] == content, name


def test_every_dag_passes_ruff():
    """With the project's own rules, which its example DAGs follow, too."""
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", GOLDEN],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


# --- the mails


def scenarios():
    for project, package in PACKAGES.values():
        for failing in ("", *(one.name for one in placeholders(package.root))):
            yield pytest.param(project, package, failing, NOW, id=f"{package.root.name}-{failing or 'all is well'}")
    yield pytest.param(*PACKAGES["CheckFeeds"], "", FRIDAY, id="CheckFeeds-on a Friday")


@pytest.fixture
def connections(files, smtp_cm_server, monkeypatch):
    """Let the connections of all packages point to the test server."""
    for conn_id in json.loads(files["connections.json"]):
        connection = smtp_cm_server.airflow_connection(from_email=None)
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection)


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(("project", "package", "failing", "now"), list(scenarios()))
def test_the_dag_sends_the_same_mails_as_ssis(
    project, package, failing, now, files, load, run, smtp_cm_server, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ssis, "getdate", lambda: now)
    write_files_of_loops(package)
    dag = load(source_of(package, files))
    needed = {name: dag.params.get_param(name) for name in dag.params if not dag.params.get_param(name).has_value}
    given = {name: GIVEN[param.schema.get("format", param.schema["type"])] for name, param in needed.items()}
    write_files_of_mails(package, project, {failing}, given)

    failing_ids = [task.task_id for task in dag.tasks if task.task_display_name == failing]
    dag_run = run(dag, failing_ids, given)

    simulation = Simulation(package, project, {failing}, given, system_variables_of(dag_run, package, failing_ids))
    succeeded = simulation.run()
    assert sorted(map(arrived, smtp_cm_server.outbox)) == sorted(map(expected, simulation.sent))
    assert (dag_run.state == "success") is succeeded
    # The order is that of the scheduler where no precedence constraint sets it.
    assert sorted((run.trigger_dag_id, run.wait_for_completion) for run in Trigger.started) == sorted(
        (dag_id_of(name, project, files), True) for name, _ in there(simulation.started, project)
    )


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("name", ["Morning", "MorningRound", "NightlyMaster"])
def test_a_run_that_a_package_starts_sends_what_it_sends_in_ssis(
    name, files, load, run, smtp_cm_server, tmp_path, monkeypatch
):
    """With the values that the package passes, and those of the project, which are no defaults."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ssis, "getdate", lambda: NOW)
    project, package = PACKAGES[name]
    dag = load(source_of(package, files))
    texts = [name for name in dag.params if dag.params.get_param(name).schema["type"] == "string"]
    given = {one.name: f"{one.name}@passed.example" for one in project.parameters if one.name in texts}
    run(dag, conf=given)
    simulation = Simulation(package, project, (), given, system_variables(package, current_time()))
    simulation.run()
    triggered = {run.trigger_dag_id: run.conf for run in Trigger.started}
    started = there(simulation.started, project)

    assert len(started) == len(triggered) > 0
    for file, values in started:
        smtp_cm_server.outbox.clear()
        child_project, child = package_of(file, project)
        write_files_of_loops(child)
        write_files_of_mails(child, child_project, (), values)
        child_run = run(load(source_of(child, files)), conf=triggered[dag_id_of(file, project, files)])
        inner = Simulation(child, child_project, (), values, system_variables_of(child_run, child))
        inner.run()
        assert sorted(map(arrived, smtp_cm_server.outbox)) == sorted(map(expected, inner.sent))


def package_of(file, project):
    """Return the package in a file, of this project if it has a name; None if it was not imported."""
    found = [
        (owner, package)
        for owner, package in PACKAGES.values()
        if package.source.name == file and (owner is project or not project.name)
    ]
    return found[0] if found else None


def there(started, project):
    return [(name, values) for name, values in started if package_of(name, project)]


def dag_id_of(file, project, files):
    _, package = package_of(file, project)
    return re.search(r'dag_id="(\w+)"', source_of(package, files))[1]


def source_of(package, files):
    return next(
        source
        for name, source in files.items()
        if name.endswith(".py") and ast.get_docstring(ast.parse(source)).endswith(f"package {package.root.name}.")
    )


def current_time():
    return ssis.local(datetime.now(UTC))


def system_variables(package, start, machine="", error=""):
    texts = {"PackageName": package.root.name, "MachineName": machine, "ErrorDescription": error}
    known = {name: Value(text, DataType.WSTR) for name, text in texts.items()}
    return known | {"ErrorCode": Value(-1, DataType.I4), "StartTime": Value(start, DataType.DATE)}


def system_variables_of(dag_run, package, failing_ids=()):
    start = ssis.local(dag_run.start_date.astimezone(UTC))
    machine = dag_run.get_task_instances()[0].hostname
    return system_variables(package, start, machine, f"{' '.join(failing_ids)} is made to fail")


def write_files_of_loops(package):
    """Write two files for each loop over files."""
    for one in package.root.everything():
        if one.foreach and one.foreach.files:
            folder = Path(one.foreach.files.folder)
            folder.mkdir(exist_ok=True)
            for number in "12":
                (folder / one.foreach.files.file_spec.replace("*", number)).write_text("listed")


def write_files_of_mails(package, project, failing, given):
    """Write the files that the mails need. Names may contain the date of the run, which may begin after midnight."""
    today = current_time()
    for start in (today, today + timedelta(days=1)):
        simulation = Simulation(package, project, failing, given, system_variables(package, start))
        simulation.run()
        for sent in simulation.sent:
            write_files(sent)


def write_files(sent):
    """Write the files that a message needs: on Linux, Windows paths are names in the working directory."""
    for name in sent.attachments:
        Path(name).write_text("attached")
    if sent.text.startswith("Text of "):
        Path(sent.text.removeprefix("Text of ")).write_text(sent.text)


def expected(sent):
    return (
        sent.sender,
        sent.recipients,
        normal(sent.subject),
        normal(sent.text),
        sent.importance,
        tuple(name.rpartition("/")[2] for name in sent.attachments),
    )


def arrived(received):
    message = received.message
    body = message.get_body()
    return (
        message["From"],
        tuple(sorted(received.recipients)),
        normal(message["Subject"] or ""),
        normal(body.get_content() if body else ""),
        message["Importance"] or "",
        tuple(part.get_filename() for part in message.iter_attachments()),
    )


def normal(text):
    return re.sub(r"\r\n?|\n", "\n", str(text)).rstrip("\n")
