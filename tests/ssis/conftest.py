"""Fixtures that load and run generated DAGs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow_versions import load_dags
from tests.ssis.building import Converted
from tests.ssis.placeholders import Placeholder, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

REPLACED = {
    "from airflow.providers.standard.operators.empty import EmptyOperator": (
        "from tests.ssis.placeholders import Placeholder as EmptyOperator"
    ),
    "from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator": (
        "from tests.ssis.placeholders import Trigger as TriggerDagRunOperator"
    ),
}

# Each name is used once: for a file of the same second and size, Python would use the bytecode of the old one.
NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def generated_folder(airflow_db):
    folder = airflow_db.parent / "generated"
    folder.mkdir()
    return folder


@pytest.fixture
def load(generated_folder) -> Iterator[Callable[[str], Any]]:
    """A function that loads a DAG from its source, with tasks that can fail instead of placeholders."""
    files = []

    def load(source: str) -> Any:
        files.append(generated_folder / f"dag_{next(NUMBERS)}.py")
        for original, replaced in REPLACED.items():
            source = source.replace(original, replaced)
        files[-1].write_text(source)
        (dag,) = load_dags(files[-1]).values()
        return dag

    yield load
    for file in files:
        file.unlink()


@pytest.fixture
def run() -> Iterator[Callable[..., Any]]:
    """A function that runs a DAG; the placeholders with the ids in ``failing`` fail."""

    def run(dag: Any, failing: Collection[str] = (), conf: dict[str, Any] | None = None) -> Any:
        Placeholder.failing = set(failing)
        Trigger.started.clear()
        return dag.test(run_conf=conf)

    yield run
    Placeholder.failing = set()


@pytest.fixture
def subjects_of(load, run, smtp_cm_server, monkeypatch):
    """A function that runs the DAG of a package, with failing tasks, and returns the subjects of its mails."""
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", smtp_cm_server.airflow_connection())

    def run_and_read(package, failing=(), conf=None):
        run(load(Converted(package).source), failing, conf)
        subjects = sorted(received.message["Subject"] for received in smtp_cm_server.outbox)
        smtp_cm_server.outbox.clear()
        return subjects

    return run_and_read
