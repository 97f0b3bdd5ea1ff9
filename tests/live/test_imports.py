"""What the process of a task imports in a running Airflow with LocalExecutor."""

from multiprocessing import get_start_method

import pytest

from tests.servers.processes import PATIENCE_SECONDS


@pytest.mark.skipif(get_start_method() != "fork", reason="LocalExecutor does not fork the scheduler")
def test_a_task_with_html_and_a_windows_login_imports_nothing_that_the_scheduler_has_imported_for_it(airflow, mails):
    run_id = airflow.succeed("imports_of_a_task", PATIENCE_SECONDS)

    mails("Imports")
    imported = airflow.returned("imports_of_a_task", run_id, "send")["imported"]
    assert not [name for name in imported if name.startswith(("airflow_smtp_cm", "spnego", "lxml", "inscriptis"))]
