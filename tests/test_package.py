"""Sdist and wheel: their content, the installed wheel in Airflow and pytest, and the cost of imports."""

import json
import os
import subprocess
import sys
import zipfile
from email.parser import BytesParser
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
AIRFLOW = Path(sys.executable).with_name("airflow")
EXAMPLES = sorted(ROOT.glob("example_dags/*.py"))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the sdist, and the wheel that was built from it, as by `make dist`."""
    folder = tmp_path_factory.mktemp("dist")
    build = ["build", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run([sys.executable, "-m", *build], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def sdist(built, tmp_path_factory):
    """The folder of the unpacked sdist."""
    (file,) = built.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("sdist")
    # Python 3.11.2 of Debian 12 has no filter for extractall yet, and later versions warn without one.
    subprocess.run(["tar", "--extract", "--gzip", "--file", file, "--directory", folder], check=True)
    return folder / file.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The folder of the unpacked wheel."""
    (wheel,) = built.glob("*.whl")
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def distribution(installed):
    (found,) = installed.glob("*.dist-info")
    return Distribution.at(found)


@pytest.fixture(scope="module")
def run(installed, tmp_path_factory):
    """Return a function that runs a command with the installed wheel, in its own Airflow home."""
    home = tmp_path_factory.mktemp("home")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {"AIRFLOW_HOME": str(home), "PYTHONPATH": str(installed)}

    def run(*command) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=True)

    return run


@pytest.fixture(scope="module")
def new_modules(run):
    """Return a function that returns the modules that some code imports in addition to those of other code."""

    def new_modules(code, *, after="pass") -> set[str]:
        script = f"{after}\nimport sys\nbefore = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before))"
        return set(run(sys.executable, "-c", script).stdout.split())

    return new_modules


# --- content


def files_in(folder, *places):
    """Return the files in some places of a folder, without files that tools create there."""
    paths = (path for place in places for path in (folder / place, *(folder / place).rglob("*")) if path.is_file())
    files = {path.relative_to(folder) for path in paths}
    return {path for path in files if not any(part.startswith((".", "__pycache__")) for part in path.parts)}


def test_sdist_has_all_that_the_tests_and_the_documentation_need(sdist):
    """Distributions such as Debian build their packages from it."""
    needed = ("airflow_smtp_cm", "benchmarks", "demo", "docs", "example_dags", "findings", "tests")
    needed += ("CHANGELOG.md", "LICENSE", "Makefile", "README.md", "constraints.txt", "mkdocs.yml", "pyproject.toml")

    assert files_in(sdist, *needed) == files_in(ROOT, *needed)


def test_sdist_has_no_files_that_tools_create_in_a_checkout(sdist):
    files = {path.relative_to(sdist) for path in sdist.rglob("*") if path.is_file()}

    assert files - files_in(sdist, ".") == {Path(".gitignore")}
    assert not {path for path in files if path.parts[0] in {"dist", "build"} or path.suffix == ".pyc"}


def test_wheel_has_the_package_and_nothing_else(installed, distribution):
    read_at_run_time = {".py", ".html", ".lark"}
    package = (ROOT / "airflow_smtp_cm").rglob("*")
    sources = {path.relative_to(ROOT) for path in package if path.suffix in read_at_run_time}
    sources |= {"airflow_smtp_cm" / path.relative_to(ROOT) for path in EXAMPLES}
    sources |= {Path("airflow_smtp_cm/py.typed")}
    files = {path.relative_to(installed) for path in installed.rglob("*") if path.is_file()}

    assert {path for path in files if path.suffix in {*read_at_run_time, ".typed"}} == sources
    assert {path.parts[0] for path in files} == {
        "airflow_smtp_cm",
        f"airflow_smtp_cm-{distribution.version}.dist-info",
    }


def test_version_is_that_of_the_module(distribution, run):
    outcome = run(sys.executable, "-c", "import airflow_smtp_cm; print(airflow_smtp_cm.__version__)").stdout

    assert outcome.strip() == distribution.version


def test_licence_is_included(distribution):
    assert distribution.metadata["License-Expression"] == "Apache-2.0"
    assert "Apache License" in distribution.read_text("licenses/LICENSE")


def test_the_provider_entry_point_exists(distribution):
    classifiers = distribution.metadata.get_all("Classifier")

    assert "Framework :: Apache Airflow :: Provider" in classifiers
    assert "Typing :: Typed" in classifiers
    (entry,) = distribution.entry_points.select(group="apache_airflow_provider")
    assert entry.load()()["package-name"] == distribution.name == canonicalize_name(distribution.name)


def test_requirements_have_no_upper_bounds(distribution):
    """Airflow's own constraints pin them."""
    requirements = [Requirement(text) for text in distribution.requires]

    assert {(item.name, str(item.marker)) for item in requirements} >= {
        ("apache-airflow", "None"),
        ("apache-airflow-providers-common-compat", "None"),
        ("pyspnego", "None"),
        ("pyspnego", 'extra == "kerberos"'),
        ("aiosmtpd", 'extra == "testing"'),
        ("trustme", 'extra == "testing"'),
    }
    assert {specifier.operator for item in requirements for specifier in item.specifier} == {">="}


def test_description_is_the_readme(installed):
    (metadata,) = installed.glob("*.dist-info/METADATA")
    shown = BytesParser().parsebytes(metadata.read_bytes())

    assert shown["Description-Content-Type"] == "text/markdown"
    assert shown.get_payload(decode=True).decode().strip() == (ROOT / "README.md").read_text().strip()


def test_readme_names_the_wheel(built):
    (wheel,) = built.glob("*.whl")

    assert f"pip install dist/{wheel.name}\n" in (ROOT / "README.md").read_text()


# --- in Airflow


def airflow_json(run, *arguments):
    """Return the JSON output of an airflow command, after a check that it has no warnings."""
    outcome = run(AIRFLOW, *arguments, "--output", "json")
    *log, result = outcome.stdout.splitlines()
    # Python 3.14 warns about Airflow's own definitions of its commands; findings/ has it.
    log = [line for line in (*log, *outcome.stderr.splitlines()) if "FileType is deprecated" not in line]
    complaints = [word for word in ("traceback", "warn", "error", "smtp") if word in "\n".join(log).lower()]
    assert not complaints, log
    return json.loads(result)


def test_airflow_lists_the_provider(run, distribution):
    listed = {row["package_name"]: row for row in airflow_json(run, "providers", "list")}

    assert listed["airflow-smtp-cm"]["version"] == distribution.version
    assert "Send Mail task" in listed["airflow-smtp-cm"]["description"]


def test_airflow_shows_the_provider(run):
    (provider,) = airflow_json(run, "providers", "get", "airflow-smtp-cm", "--full")

    (connection_type,) = provider["connection-types"]
    assert connection_type["connection-type"] == "smtp_cm"


def test_airflow_lists_the_hook(run):
    hooks = {row["connection_type"]: row for row in airflow_json(run, "providers", "hooks")}

    assert hooks["smtp_cm"] == {
        "connection_type": "smtp_cm",
        "class": "airflow_smtp_cm.hooks.smtp_cm.SmtpCmHook",
        "conn_id_attribute_name": "smtp_conn_id",
        "package_name": "airflow-smtp-cm",
        "hook_name": "SMTP Connection Manager",
    }


def test_airflow_finds_the_examples(run, installed):
    """If examples are loaded, together with those of other providers."""
    code = """
import os
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "True"
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag
paths = {bundle.name: bundle.path for bundle in DagBundlesManager().get_all_dag_bundles()}
bag = DagBag(paths["airflow-smtp-cm-example-dags"])
files = {dag.fileloc for dag in bag.dags.values()}
print(len(files), bag.import_errors, paths["airflow-smtp-cm-example-dags"])
"""
    outcome = run(sys.executable, "-c", code)

    assert outcome.stdout.splitlines()[-1] == f"{len(EXAMPLES)} {{}} {installed}/airflow_smtp_cm/example_dags"
    assert "Could not load provider module" not in outcome.stdout + outcome.stderr


def test_examples_cause_no_warnings(run):
    """For example, about names that the next Airflow removes."""
    modules = ", ".join(f"airflow_smtp_cm.example_dags.{path.stem}" for path in EXAMPLES)
    code = f"import airflow.sdk, warnings; warnings.simplefilter('error'); import {modules}"

    assert run(sys.executable, "-c", code).stderr == ""


# --- in pytest

USERS_DAG = """
from airflow.sdk import DAG
from airflow_smtp_cm.operators.send_mail import SendMailOperator

with DAG("report") as dag:
    SendMailOperator(task_id="send", to="bob@corp.test", subject="Figures")
"""

USERS_TEST = """
from dags.report import dag


def test_the_figures_are_mailed(smtp_cm_server):
    assert dag.test().state == "success"
    (received,) = smtp_cm_server.outbox
    assert received.recipients == ("bob@corp.test",)
    assert received.message["Subject"] == "Figures"


def test_that_mails_nothing():
    pass
"""


@pytest.fixture
def users_pytest(installed, airflow_db, tmp_path):
    """Return a function that runs pytest with a user's test of a DAG; a line of Python can precede it."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "report.py").write_text(USERS_DAG)
    (tmp_path / "test_report.py").write_text(USERS_TEST)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {
        "PYTHONPATH": str(installed),
        "AIRFLOW_HOME": str(airflow_db.parent),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
    }

    def users_pytest(*arguments, before="pass") -> subprocess.CompletedProcess[str]:
        code = f"import sys; {before}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return users_pytest


@pytest.mark.parametrize("arguments", [[], ["-p", "airflow_smtp_cm.pytest_plugin"]], ids=["entry point", "-p"])
def test_users_can_test_the_mail_of_their_dags(users_pytest, arguments):
    outcome = users_pytest(*arguments)

    assert "2 passed" in outcome.stdout, outcome.stdout


@pytest.mark.parametrize("missing", ["aiosmtpd", "trustme"])
def test_without_the_extra_a_test_that_needs_it_reports_that_and_others_run(users_pytest, missing):
    outcome = users_pytest(before=f"sys.modules['{missing}'] = None")

    assert "1 passed, 1 error" in outcome.stdout, outcome.stdout
    assert "The fixture smtp_cm_server needs the extra: pip install 'airflow-smtp-cm[testing]'" in outcome.stdout


# --- cost of imports


def test_dag_file_imports_only_the_operator_its_templates_and_its_retry_policy(new_modules):
    """Airflow imports every DAG file again and again."""
    code = (
        "from airflow_smtp_cm.operators.send_mail import SendMailOperator; SendMailOperator(task_id='send', to='a@x')"
    )
    added = new_modules(code, after="from airflow.sdk import DAG, BaseOperator; BaseOperator(task_id='t')")

    assert {name for name in added if name.startswith("airflow_smtp_cm.")} == {
        "airflow_smtp_cm.operators",
        "airflow_smtp_cm.operators.send_mail",
        "airflow_smtp_cm.task",
        "airflow_smtp_cm.task.retry_policy",
        "airflow_smtp_cm.task.template_files",
    }
    roots = {name.partition(".")[0] for name in added}
    assert roots <= {"airflow", "airflow_smtp_cm"}


def test_the_pytest_plugin_imports_almost_nothing(new_modules):
    added = new_modules("import airflow_smtp_cm.pytest_plugin", after="import pytest")

    assert added == {"airflow_smtp_cm", "airflow_smtp_cm.pytest_plugin"}


def test_discovery_imports_nothing_of_airflow(new_modules):
    """Every start of every Airflow component calls it."""
    added = new_modules("from airflow_smtp_cm.get_provider_info import get_provider_info; get_provider_info()")

    assert "airflow_smtp_cm.connection_manager.fields" in added
    assert {"airflow", "ssl", "socket", "spnego", "cryptography"}.isdisjoint(added)


AIRFLOW_IS_IMPORTED = (
    "import multiprocessing, os, sys, threading; from airflow.listeners.listener import get_listener_manager"
)
# With the start method of Airflow's ``mp_start_method = fork``; from Python 3.14 on, it is not the default.
AIRFLOW_STARTS = f"{AIRFLOW_IS_IMPORTED}; multiprocessing.set_start_method('fork', force=True)"


def plugins_are_loaded_by(*command):
    return f"sys.argv = {['airflow', *command]}; get_listener_manager()"


def of_this_package_or_pyspnego(modules):
    return {name for name in modules if name.startswith(("airflow_smtp_cm.", "spnego"))}


@pytest.mark.parametrize("executor", ["LocalExecutor", "CeleryExecutor,local:LocalExecutor"])
def test_the_scheduler_imports_what_a_task_needs(new_modules, executor):
    """Tasks of LocalExecutor are forks of the scheduler."""
    environment = f"import os; os.environ['AIRFLOW__CORE__EXECUTOR'] = {executor!r}"
    imported = new_modules(f"{AIRFLOW_STARTS}; {plugins_are_loaded_by('scheduler', '-n', '1')}", after=environment)
    of_a_task = new_modules(
        "import airflow_smtp_cm.task.delivery.one_message, airflow_smtp_cm.task.composition, "
        "airflow_smtp_cm.smtp.client, airflow_smtp_cm.smtp.authentication; "
        "from airflow_smtp_cm.operators.send_mail import SendMailOperator; SendMailOperator(task_id='send')"
    )

    assert "spnego" in of_a_task
    assert of_this_package_or_pyspnego(of_a_task) <= imported


def test_forks_of_the_scheduler_share_neither_threads_nor_files_because_of_the_plugin(run):
    open_files = "sorted(os.listdir('/proc/self/fd'))"
    load = f"before = {open_files}; {plugins_are_loaded_by('scheduler')}"
    code = f"{AIRFLOW_STARTS}; {load}; print(threading.active_count(), {open_files} == before)"

    assert run(sys.executable, "-c", code).stdout.splitlines()[-1] == "1 True"


@pytest.mark.parametrize("command", ["api-server", "dag-processor", "celery worker"])
def test_other_components_import_only_the_plugin(new_modules, command):
    added = new_modules(plugins_are_loaded_by(*command.split()), after=AIRFLOW_STARTS)

    assert of_this_package_or_pyspnego(added) == {"airflow_smtp_cm.airflow_plugin"}


@pytest.mark.parametrize(
    "otherwise",
    [
        "os.environ['AIRFLOW__CORE__EXECUTOR'] = 'CeleryExecutor'",
        "multiprocessing.set_start_method('forkserver', force=True)",
    ],
    ids=["executor", "start method"],
)
def test_a_scheduler_whose_tasks_are_not_its_forks_imports_only_the_plugin(new_modules, otherwise):
    added = new_modules(plugins_are_loaded_by("scheduler"), after=f"{AIRFLOW_STARTS}; {otherwise}")

    assert of_this_package_or_pyspnego(added) == {"airflow_smtp_cm.airflow_plugin"}


def test_the_plugin_lets_others_set_the_start_method(run):
    load = f"{AIRFLOW_IS_IMPORTED}; {plugins_are_loaded_by('scheduler')}"
    code = f"{load}; multiprocessing.set_start_method('spawn'); print('set')"

    assert run(sys.executable, "-c", code).stdout.splitlines()[-1] == "set"


def test_processes_that_the_scheduler_starts_import_only_the_plugin(run):
    """Tasks load plugins, too, and have the scheduler's arguments."""
    child = f"def child():\n    {plugins_are_loaded_by('scheduler')}\n    print(*set(sys.modules) - before)"
    start = "process = multiprocessing.Process(target=child)\nprocess.start()\nprocess.join()"
    code = f"{AIRFLOW_STARTS}\nbefore = set(sys.modules)\n{child}\n{start}"
    added = run(sys.executable, "-c", code).stdout.split()

    assert of_this_package_or_pyspnego(added) == {"airflow_smtp_cm.airflow_plugin"}


def test_a_library_that_cannot_be_imported_does_not_stop_the_scheduler(run):
    """Airflow reports it, and each task imports what it needs."""
    code = f"{AIRFLOW_STARTS}; sys.modules['lxml'] = None; {plugins_are_loaded_by('scheduler')}; print('started')"
    outcome = run(sys.executable, "-c", code)

    assert outcome.stdout.splitlines()[-1] == "started"
    assert "Failed to load plugin airflow_smtp_cm" in outcome.stdout + outcome.stderr


def test_mail_and_smtp_need_no_airflow_and_authentication_is_imported_at_the_first_login(new_modules):
    added = new_modules(
        "import airflow_smtp_cm.connection_manager, airflow_smtp_cm.smtp.client, airflow_smtp_cm.mail"
    )

    assert "ssl" in added
    assert {"airflow", "cryptography", "spnego"}.isdisjoint(added)


def test_login_does_not_import_parts_of_pyspnego_that_most_logins_do_not_use(new_modules):
    added = new_modules("import airflow_smtp_cm.smtp.authentication")

    assert "spnego" in added
    assert {"spnego._credssp", "cryptography.x509", "krb5"}.isdisjoint(added)


def test_other_libraries_can_use_credssp_of_pyspnego(run):
    code = (
        "import airflow_smtp_cm.smtp.authentication, spnego; "
        "print(type(spnego.client('user', 'secret', protocol='credssp')).__module__)"
    )
    assert run(sys.executable, "-c", code).stdout == "spnego._credssp\n"
