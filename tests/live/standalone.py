"""A separate Airflow, run by ``airflow standalone``, and its REST API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg

from tests.servers.postgresql import running_postgresql
from tests.servers.processes import LOOPBACK, PATIENCE_SECONDS, free_ports, running_session, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parent.parent.parent
AIRFLOW = Path(sys.executable).with_name("airflow")
DAG_FOLDERS = (ROOT / "example_dags", ROOT / "tests" / "live" / "dags", ROOT / "tests" / "ssis" / "golden")

# More than the API returns by default.
_MOST_DAGS = 1000
# Airflow's own timeouts, which are too short for a busy machine.
_TIMEOUTS = (
    "CONNECTION_TEST__TIMEOUT",
    "CORE__DAGBAG_IMPORT_TIMEOUT",
    "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT",
    "DAG_PROCESSOR__HEALTH_CHECK_THRESHOLD",
    "DAG_PROCESSOR__STALE_DAG_THRESHOLD",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT",
    "TRIGGERER__RUNNER_HEALTH_CHECK_THRESHOLD",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD",
    "WORKERS__EXECUTION_API_TIMEOUT",
)
ENDED = {"success", "failed"}
PAUSE_SECONDS = 0.3  # between requests, so that they do not slow Airflow down


@dataclass(frozen=True, kw_only=True)
class Standalone:
    """A running Airflow.

    Attributes:
        url: the address of its UI and API.
        home: the folder with all files that it writes.
        address: its database, as ``running_postgresql`` yields it.
        env: the environment for its commands.
        api: a client of its REST API, logged in.
    """

    url: str
    home: Path
    address: str
    env: Mapping[str, str]
    api: httpx.Client

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an airflow command, and return its result with the output."""
        return subprocess.run(
            [AIRFLOW, *arguments], env=self.env, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
        )

    def test_on_worker(self, connection: Mapping[str, Any]) -> tuple[bool, str]:
        """Let a worker test a connection; return whether it succeeded, and its message."""
        path = "/api/v2/connections/enqueue-test"
        token = self.api.post(path, json=connection).raise_for_status().json()["token"]
        answer: dict[str, str] = {}

        def is_done() -> bool:
            response = self.api.get(path, headers={"Airflow-Connection-Test-Token": token})
            answer.update(response.raise_for_status().json())
            return answer["state"] in ENDED

        assert wait_until(is_done, pause=PAUSE_SECONDS), answer
        return answer["state"] == "success", answer["result_message"]

    @contextmanager
    def connected(self, conn_id: str, connection: str) -> Iterator[dict[str, Any]]:
        """Add a connection for the block, from JSON as in the environment; yield its fields as in the API."""
        fields = json.loads(connection)
        fields |= {"connection_id": conn_id, "extra": json.dumps(fields["extra"])}
        self._ask("POST", "/api/v2/connections", fields)
        try:
            yield fields
        finally:
            self._ask("DELETE", f"/api/v2/connections/{conn_id}")

    def trigger(self, dag_id: str, **params: Any) -> str:
        """Start a run as users do, without a logical date; return its id."""
        body = {"logical_date": None, "conf": params}
        return str(self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", body).json()["dag_run_id"])

    def clear(self, dag_id: str, run_id: str) -> None:
        """Clear all tasks of a run, as users do."""
        body = {"dag_run_id": run_id, "dry_run": False, "only_failed": False, "reset_dag_runs": True}
        self._ask("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return a run, as the API describes it."""
        found: dict[str, Any] = self.api.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").raise_for_status().json()
        return found

    def wait_for_end(self, dag_id: str, run_id: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until a run ends, for so many seconds at most; return its state."""
        wait_until(lambda: self.run(dag_id, run_id)["state"] in ENDED, seconds, pause=PAUSE_SECONDS)
        return str(self.run(dag_id, run_id)["state"])

    def succeed(self, dag_id: str, seconds: float, **params: Any) -> str:
        """Start a run and wait until it has succeeded; return its id.

        Raises:
            RuntimeError: it failed, or has not ended after so many seconds; the error contains Airflow's logs.
        """
        run_id = self.trigger(dag_id, **params)
        state = self.wait_for_end(dag_id, run_id, seconds)
        if state != "success":
            raise RuntimeError(f"The run of {dag_id} is {state} after at most {seconds:.0f} s.\n{self.logs()}")
        return run_id

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return a run's task instances, as the API describes them."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = self.api.get(path).raise_for_status().json()["task_instances"]
        return found

    def returned(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """Return the return value of a task; None if there is none."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        response = self.api.get(path, params={"map_index": map_index})
        return None if response.status_code == httpx.codes.NOT_FOUND else response.raise_for_status().json()["value"]

    def log_of_task(self, dag_id: str, run_id: str, task_id: str, number: int = 1, map_index: int = -1) -> str:
        """Return the log of a try of a task."""
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        mapped = f"map_index={map_index}" if map_index >= 0 else ""
        return (folder / mapped / f"attempt={number}.log").read_text()

    def let_heartbeats_time_out(self, run_id: str) -> None:
        """Change the last heartbeats of a run's tasks that are in their first try, so that they time out."""
        change = "UPDATE task_instance SET last_heartbeat_at = '2000-01-01' WHERE run_id = %s"
        with self.database() as database:
            database.execute(f"{change} AND state = 'running' AND try_number = 1", [run_id])

    def database(self) -> psycopg.Connection[Any]:
        """Open its database; as a context manager, the connection commits and closes itself."""
        return psycopg.connect(f"postgresql://{self.address}")

    def logs(self) -> str:
        """Return its output and all its logs."""
        files = [self.home / "output", *self.home.glob("logs/**/*.log")]
        return "\n".join(file.read_text(errors="replace") for file in files)

    def _ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Send a request that changes something."""
        return self.api.request(method, path, json=body).raise_for_status()


@contextmanager
def running_airflow(
    home: Path,
    environment: Mapping[str, str],
    dag_folders: Sequence[Path] = DAG_FOLDERS,
    airflow: Path = AIRFLOW,
) -> Iterator[Standalone]:
    """Run an Airflow; yield it when all its components are healthy and its DAGs are parsed.

    Args:
        home: an empty folder.
        environment: additional environment variables of all its components.
        dag_folders: the folders of its DAGs; by default, the examples and those of these tests.
        airflow: the command; by default that of this environment.

    Raises:
        RuntimeError: it does not start; the error contains its output.
    """
    ports = free_ports(3)
    url = f"http://{LOOPBACK}:{ports[0]}"
    (home / "dags").mkdir()
    for number, folder in enumerate(dag_folders):
        (home / "dags" / str(number)).symlink_to(folder)
    output = home / "output"
    with ExitStack() as parts:
        address = parts.enter_context(running_postgresql())
        env = {**environment_of(home, url, ports, address, airflow), **environment}
        process = parts.enter_context(running_session([airflow, "standalone"], env, output))
        api = parts.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS))
        wait_until(lambda: process.poll() is not None or _is_up(api), pause=PAUSE_SECONDS)
        if process.poll() is not None or not _is_up(api):
            raise RuntimeError(f"airflow standalone does not start:\n{output.read_text(errors='replace')}")
        log_in(api)
        files = sum(len(list(folder.glob("*.py"))) for folder in dag_folders)
        if not wait_until(lambda: _known_files(api) == files, pause=PAUSE_SECONDS):
            raise RuntimeError(f"Some DAG files are not parsed:\n{output.read_text(errors='replace')}")
        yield Standalone(url=url, home=home, address=address, env=env, api=api)


def log_in(api: httpx.Client) -> None:
    """Log in to the REST API as an administrator."""
    token = api.get("/auth/token").raise_for_status().json()["access_token"]
    api.headers["Authorization"] = f"Bearer {token}"


def _known_files(api: httpx.Client) -> int:
    dags = api.get("/api/v2/dags", params={"limit": _MOST_DAGS}).raise_for_status().json()["dags"]
    return len({dag["fileloc"] for dag in dags})


def environment_of(home: Path, url: str, ports: list[int], address: str, airflow: Path) -> dict[str, str]:
    """Return the environment of Airflow's commands.

    Args:
        home: AIRFLOW_HOME.
        url: the address of its UI and API.
        ports: that of the API, and two for the servers of logs.
        address: its database, as ``running_postgresql`` yields it.
        airflow: the command.
    """
    # Variables that the tests have set for Airflow are only for their own process.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    port, worker_logs, trigger_logs = map(str, ports)
    timeouts = {f"AIRFLOW__{name}": str(round(PATIENCE_SECONDS)) for name in _TIMEOUTS}
    return {
        **inherited,
        **timeouts,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": str(_MOST_DAGS),
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",  # processes
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        # The files do not change, but a callback that comes while its file is read waits until it is read again.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg://{address}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+psycopg://{address}",
        "AIRFLOW__EMAIL__EMAIL_BACKEND": "airflow_smtp_cm.email_backend.send_email",
        "AIRFLOW__EMAIL__EMAIL_CONN_ID": "smtp_cm_default",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": trigger_logs,
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": worker_logs,
        "PATH": f"{airflow.parent}{os.pathsep}{inherited['PATH']}",  # where it looks for the command airflow
        "PYTHONUNBUFFERED": "1",  # since the tests read what it prints
    }


def _is_up(api: httpx.Client) -> bool:
    with suppress(httpx.TransportError):
        response = api.get("/api/v2/monitor/health")
        return response.is_success and all(part["status"] == "healthy" for part in response.json().values())
    return False
