"""Generated DAGs, where Airflow can run them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow_versions import load_dags
from tests.ssis.placeholders import Placeholder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

EMPTY = "from airflow.providers.standard.operators.empty import EmptyOperator"
REPLACED = "from tests.ssis.placeholders import Placeholder as EmptyOperator"

# No name is used twice: Python would take a file of the same second and size for the one that it has compiled.
NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def generated_folder(airflow_db):
    folder = airflow_db.parent / "dags" / "generated"
    folder.mkdir()
    return folder


@pytest.fixture
def load(generated_folder) -> Iterator[Callable[[str], Any]]:
    """A function that loads the DAG of a source; its placeholders are replaced by tasks that can fail."""
    files = []

    def load(source: str) -> Any:
        files.append(generated_folder / f"dag_{next(NUMBERS)}.py")
        files[-1].write_text(source.replace(EMPTY, REPLACED))
        (dag,) = load_dags(files[-1]).values()
        return dag

    yield load
    for file in files:
        file.unlink()


@pytest.fixture
def run() -> Iterator[Callable[..., Any]]:
    """A function that runs a DAG; of its placeholders, those whose ids are ``failing`` fail."""

    def run(dag: Any, failing: Collection[str] = (), conf: dict[str, Any] | None = None) -> Any:
        Placeholder.failing = set(failing)
        return dag.test(run_conf=conf)

    yield run
    Placeholder.failing = set()
