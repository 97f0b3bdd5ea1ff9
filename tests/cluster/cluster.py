"""Airflow with CeleryExecutor: a machine for all that is there once, two workers, a mail server and a KDC."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from tests.cluster import documented
from tests.cluster.network import new_network
from tests.cluster.redis import PORT as REDIS_PORT
from tests.cluster.redis import running_redis
from tests.cluster.restartable import Component, Server
from tests.cluster.scale import WORKERS
from tests.connections import connection
from tests.live.standalone import AIRFLOW, ENDED, PAUSE_SECONDS, ROOT, Standalone, environment_of, log_in
from tests.servers import postgresql
from tests.servers.certificates import make_certificates
from tests.servers.faulty_proxy import Fault, FaultyProxy, Point
from tests.servers.kdc import running_kdc
from tests.servers.people import ALICE, MAIL_HOST
from tests.servers.postfix import running_postfix
from tests.servers.processes import ALL_INTERFACES, PATIENCE_SECONDS, wait_until
from tests.servers.scripted import scripted_peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.cluster.network import Machine, Network
    from tests.servers.certificates import Certificates
    from tests.servers.postfix import Postfix

_KDC_PORT = 88
_DATABASE_PORT = 5432
_AIRFLOW_PORTS = [8080, 8793, 8794]
_TASKS_OF_A_WORKER = 4  # at the same time
_WAIT_SECONDS = 840.0  # hundreds of tasks take longer than anything in the other tests
_CONNECTIONS_OF_HELD = 8  # more than its tries


class Try(NamedTuple):
    """The last try of a mapped task."""

    number: int
    state: str | None
    tries: int
    machine: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The running cluster.

    Attributes:
        folder: the folder of all its files; a machine's own files are in ``folder / name``.
        airflow: its API, logs and database.
        network: its machines.
        postfix: the mail server.
        certificates: the mail server's certificate.
        redis: the broker.
        database: the database.
        components: the components of Airflow, by name; a worker is named as its machine.
    """

    folder: Path
    airflow: Standalone
    network: Network
    postfix: Postfix
    certificates: Certificates
    redis: Server
    database: Server
    components: Mapping[str, Component]

    def connection(self, port: int, **changes: Any) -> str:
        """Return a connection to a port of the mail server; alice logs in with the keytab of the worker."""
        given = {
            "host": MAIL_HOST,
            "port": port,
            "login": ALICE.principal,
            "keytab": str(keytab_of(self.folder)),
            "use_windows_authentication": True,
            "mechanism": "kerberos",
            "enable_ssl": True,
            "ca_bundle": str(self.certificates.authority),
            "from_email": ALICE.address,
        }
        return connection(**{name: value for name, value in (given | changes).items() if value is not None})

    @contextmanager
    def held(self, point: Point, **changes: Any) -> Iterator[FaultyProxy]:
        """Add the connection ``held`` for the block; the first dialogue over it is held at this point."""
        proxy = FaultyProxy(self.postfix.port(), self.certificates, point, Fault.SILENCE)
        scripts = [[proxy.step]] * _CONNECTIONS_OF_HELD
        with ExitStack() as stack:
            peer = scripted_peer(*scripts, to_the_end=False, interface=ALL_INTERFACES)
            port = stack.enter_context(self.network["mail"].namespaces.running(peer)).port
            stack.callback(proxy.client_is_back.set)
            stack.enter_context(self.airflow.connected("held", self.connection(port, **changes)))
            yield proxy

    def wait_for(self, met: Callable[[], object]) -> None:
        """Wait for a condition, and start meanwhile what has ended, as systemd does.

        Raises:
            AssertionError: it is not met.
        """

        def is_met() -> object:
            for component in self.components.values():
                component.restart_if_ended()
            return met()

        assert wait_until(is_met, _WAIT_SECONDS, pause=PAUSE_SECONDS), self.airflow.logs()[-10_000:]

    def has_ended(self, dag_id: str, run_id: str) -> bool:
        """Return whether a run has ended."""
        with self.airflow.database() as database:
            (state,) = database.execute(
                "SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s", [dag_id, run_id]
            ).fetchone() or (None,)
        return state in ENDED

    def tries(self, run_id: str) -> list[Try]:
        """Return the last tries of the mapped tasks of a run."""
        with self.airflow.database() as database:
            rows = database.execute(
                "SELECT map_index, state, try_number, split_part(hostname, '.', 1) FROM task_instance"
                " WHERE run_id = %s AND map_index >= 0 ORDER BY map_index",
                [run_id],
            ).fetchall()
        return [Try(*row) for row in rows]

    def seconds_of_tasks(self, run_id: str) -> float:
        """Return the time from the start of a run's first task to the end of its last one."""
        with self.airflow.database() as database:
            (seconds,) = database.execute(
                "SELECT extract(epoch FROM max(end_date) - min(start_date)) FROM task_instance WHERE run_id = %s",
                [run_id],
            ).fetchone() or (0,)
        return float(seconds)

    def let_queued_time_out(self, run_id: str) -> None:
        """Let the run's queued tasks time out, once: a lost worker may have fetched them, and not begun them."""
        with self.airflow.database() as database:
            database.execute(
                "UPDATE task_instance SET queued_dttm = '2000-01-01' WHERE run_id = %s AND state = 'queued'", [run_id]
            )

    def let_heartbeats_time_out(self, run_id: str, machine: str) -> None:
        """Change the last heartbeats of a run's tasks on a machine, so that they time out."""
        with self.airflow.database() as database:
            database.execute(
                "UPDATE task_instance SET last_heartbeat_at = '2000-01-01'"
                " WHERE run_id = %s AND split_part(hostname, '.', 1) = %s AND state = 'running'",
                [run_id, machine],
            )


def keytab_of(folder: Path) -> Path:
    """Return the path that the keytab has on each worker."""
    return folder / "machine" / "alice.keytab"


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Run the cluster in a new folder, which all users must be able to read.

    During the block, this thread is on the machine ``control``.
    """
    home = folder / "airflow"
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "cluster").symlink_to(ROOT / "tests" / "cluster" / "dags")
    (home / "airflow.cfg").write_text(documented.airflow_cfg(keytab_of(folder), folder / "machine" / "krb5cc"))
    (folder / "krb5.conf").write_text(documented.krb5_conf())
    certificates = make_certificates(folder / "certificates")
    with ExitStack() as stack:
        network = stack.enter_context(new_network(folder, _mounts(folder)))
        kdc = stack.enter_context(
            network["kdc"].namespaces.running(running_kdc(folder / "realm", ALL_INTERFACES, _KDC_PORT))
        )
        for worker in WORKERS:
            shutil.copy(kdc.alice_keytab, folder / worker / "alice.keytab")
        postfix = stack.enter_context(
            network["mail"].namespaces.running(running_postfix(folder / "postfix", kdc, certificates, ALL_INTERFACES))
        )
        control = network["control"]
        data = stack.enter_context(postgresql.new_data())
        database = Server(control, lambda: postgresql.serving(data, _DATABASE_PORT, ALL_INTERFACES))
        redis = Server(control, lambda: running_redis(folder / "redis"))
        for server in (database, redis):
            stack.enter_context(server.running())
        stack.enter_context(control.namespaces.inside())
        env = _environment(home, control)
        for command in (["db", "migrate"], ["dags", "reserialize"]):
            subprocess.run([*control.namespaces.launcher, AIRFLOW, *command], env=env, check=True)
        api = stack.enter_context(
            httpx.Client(base_url=env["AIRFLOW__API__BASE_URL"], trust_env=False, timeout=PATIENCE_SECONDS)
        )
        cluster = Cluster(
            folder=folder,
            airflow=Standalone(url=str(api.base_url), home=home, address=_database(control), env=env, api=api),
            network=network,
            postfix=postfix,
            certificates=certificates,
            redis=redis,
            database=database,
            components=_components(folder, network, env),
        )
        _start(cluster, stack)
        yield cluster


def _mounts(folder: Path) -> dict[str, dict[Path, str]]:
    """Return the names of all machines; each worker has its own keytab and ticket, at the same paths."""
    mounts: dict[str, dict[Path, str]] = {name: {} for name in ("control", "mail", "kdc")}
    for worker in WORKERS:
        (folder / worker).mkdir()
        mounts[worker] = {folder / worker: str(folder / "machine"), folder / "krb5.conf": "/etc/krb5.conf"}
    return mounts


def _database(control: Machine) -> str:
    return f"airflow@{control.address}:{_DATABASE_PORT}/postgres"


def _environment(home: Path, control: Machine) -> dict[str, str]:
    url = f"http://{control.address}:{_AIRFLOW_PORTS[0]}"
    return {
        **environment_of(home, url, _AIRFLOW_PORTS, _database(control), AIRFLOW),
        "AIRFLOW__API__HOST": ALL_INTERFACES,
        "AIRFLOW__API__SECRET_KEY": "the same on all machines",
        "AIRFLOW__API_AUTH__JWT_SECRET": "the same on all machines".ljust(64, "."),
        "AIRFLOW__CELERY__BROKER_URL": f"redis://{control.address}:{REDIS_PORT}/0",
        "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",  # processes of the scheduler
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(_TASKS_OF_A_WORKER),
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(len(WORKERS) * _TASKS_OF_A_WORKER),
        "AIRFLOW__DAG_PROCESSOR__STALE_BUNDLE_CLEANUP_INTERVAL": "0",  # no process for it on each worker
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": str(round(PATIENCE_SECONDS)),
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    }


def _components(folder: Path, network: Network, env: Mapping[str, str]) -> dict[str, Component]:
    """Return the components in the order of their start."""

    def component(name: str, machine: str, *command: str) -> Component:
        return Component(network[machine], [str(AIRFLOW), *command], env, folder / f"{name}.log")

    components = {
        "api-server": component("api-server", "control", "api-server", "--workers", "1"),
        "scheduler": component("scheduler", "control", "scheduler"),
    }
    for worker in WORKERS:
        components[f"kerberos-{worker}"] = component(f"kerberos-{worker}", worker, "kerberos")
    options = ["--skip-serve-logs", "--without-gossip", "--without-mingle"]
    for worker in WORKERS:
        own = ["--queues", f"default,{worker}", "--pid", str(folder / "machine" / "worker.pid")]
        components[worker] = component(worker, worker, "celery", "worker", *own, *options)
    return components


def _start(cluster: Cluster, stack: ExitStack) -> None:
    """Start the components, and wait until they can run tasks."""
    for name, component in cluster.components.items():
        if name in WORKERS:
            assert wait_until((cluster.folder / name / "krb5cc").exists, pause=PAUSE_SECONDS)
        stack.enter_context(component.running())
    assert wait_until(lambda: _is_up(cluster), pause=PAUSE_SECONDS), cluster.airflow.logs()
    log_in(cluster.airflow.api)
    by_keytab = cluster.postfix.port("default")
    connections = {
        "by_keytab": cluster.connection(by_keytab),
        "by_ticket": cluster.connection(by_keytab, login=None, keytab=None),
        "delaying": cluster.connection(cluster.postfix.port("delaying")),
    }
    for name, text in connections.items():
        stack.enter_context(cluster.airflow.connected(name, text))


def _is_up(cluster: Cluster) -> bool:
    for component in cluster.components.values():
        component.check()
    try:
        health = cluster.airflow.api.get("/api/v2/monitor/health").json()
    except httpx.TransportError:
        return False
    ready = all(f"{worker} ready" in cluster.components[worker].output.read_text() for worker in WORKERS)
    return ready and health["scheduler"]["status"] == "healthy"
