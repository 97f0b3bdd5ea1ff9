"""Tasks that are killed at a point of the dialogue with Postfix or a scripted peer."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from tests.connections import anonymous, to_postfix
from tests.live.standalone import ENDED, PAUSE_SECONDS
from tests.servers.faulty_proxy import Fault, FaultyProxy, Point
from tests.servers.processes import PATIENCE_SECONDS, wait_until
from tests.servers.scripted import Step, scripted_peer

if TYPE_CHECKING:
    from contextlib import ExitStack

    from tests.live.standalone import Standalone
    from tests.servers.certificates import Certificates
    from tests.servers.postfix import Postfix
    from tests.servers.scripted import Peer

_CONNECTIONS = 4  # more than a task opens


class Hold:
    """A point of the dialogue at which a task is held.

    Attributes:
        reached: set when the task is at the point.
        let_go: set it to let the dialogue continue.
    """

    def __init__(self, reached: threading.Event | None = None, let_go: threading.Event | None = None) -> None:
        self.reached = reached or threading.Event()
        self.let_go = let_go or threading.Event()

    @property
    def step(self) -> Step:
        """The hold as a step of a script."""
        return Step("hold", lambda _: (self.reached.set(), self.let_go.wait(PATIENCE_SECONDS)))


@dataclass(frozen=True, kw_only=True)
class Victim:
    """A task that is to be killed.

    Attributes:
        name: the name of the task.
        port: the port to which it is connected.
        task: whether its process is killed.
        supervisor: whether its supervisor is killed; then Airflow notices only the missing heartbeats.
    """

    name: str
    port: int
    task: bool = True
    supervisor: bool = False


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A task after the end of its run.

    Attributes:
        state: its state.
        tries: the number of its tries.
        result: its return value.
        delivered: the Message-IDs of the messages that Postfix delivered to its recipient.
        log: the log of its last try.
    """

    state: str
    tries: int
    result: dict[str, Any] | None
    delivered: list[str]
    log: str


class Stage:
    """The tasks, by name. The name is also the id of the task's connection, and a part of its recipient's address.

    Args:
        airflow: the Airflow that runs them.
        postfix: the server that delivers their messages.
        certificates: the certificates of Postfix.
        stack: closes everything that is opened here.
    """

    def __init__(self, airflow: Standalone, postfix: Postfix, certificates: Certificates, stack: ExitStack) -> None:
        self.airflow = airflow
        self._postfix = postfix
        self._certificates = certificates
        self._stack = stack
        self._to_postfix = json.loads(to_postfix(postfix, certificates))
        self._runs: dict[str, tuple[str, str, int]] = {}
        self._held: list[tuple[Hold, Victim]] = []
        self._silent: list[str] = []

    def connect(self, name: str) -> None:
        """Add a connection to Postfix."""
        self._add(name, json.dumps(self._to_postfix))

    def hold(
        self,
        name: str,
        point: Point,
        port: str = "default",
        *,
        message: int = 1,
        supervisor: bool = False,
        connections: int = 1,
    ) -> None:
        """Add a connection to one of Postfix's ports; at a point of the first dialogue, the task is held and killed.

        Args:
            name: the name of the task.
            point: the point of the dialogue.
            port: the name of Postfix's port.
            message: the number of the message in the dialogue.
            supervisor: kill the supervisor of the task as well.
            connections: the connections of the task that are open at the same time.
        """
        proxy = FaultyProxy(self._postfix.port(port), self._certificates, point, Fault.SILENCE, message=message)
        scripts = [[proxy.step]] * (_CONNECTIONS * connections)
        peer = self._stack.enter_context(scripted_peer(*scripts, to_the_end=False, at_once=connections > 1))
        self._add(name, json.dumps(self._to_postfix | {"port": peer.port}))
        hold = Hold(proxy.at_point, proxy.client_is_back)
        self.when(hold, Victim(name=name, port=peer.port, supervisor=supervisor))

    def script(self, name: str, *scripts: list[Step]) -> Peer:
        """Add a connection to a server that plays a script for each try."""
        peer = self._stack.enter_context(scripted_peer(*scripts))
        self._add(name, anonymous(peer.port))
        return peer

    def when(self, hold: Hold, victim: Victim) -> None:
        """Kill a task as soon as it is held, in ``play_out``."""
        self._held.append((hold, victim))

    def start(self, dag: str, name: str, to: str | None = None, **conf: str) -> None:
        """Run a DAG with the connection of this name."""
        self._runs[name] = (dag, self.airflow.trigger(dag, smtp_conn_id=name, to=to or address(name), **conf), -1)

    def start_mapped(self, dag: str, *names: str) -> None:
        """Run a DAG whose mapped tasks have these names."""
        run = self.airflow.trigger(dag)
        self._runs |= {name: (dag, run, number) for number, name in enumerate(names)}

    def play_out(self) -> None:
        """Kill the tasks as they are held, and wait for the end of all runs.

        Raises:
            AssertionError: some task does not reach the point at which it is to be held.
        """
        self.kill()
        for name in self._runs:
            self._wait_for_end(name)

    def kill(self) -> None:
        """Kill the tasks as they are held.

        Raises:
            AssertionError: some task does not reach the point at which it is to be held.
        """

        def is_done() -> bool:
            for held in [held for held in self._held if held[0].reached.is_set()]:
                hold, victim = held
                kill(victim)
                if victim.supervisor:
                    self._silent.append(victim.name)
                hold.let_go.set()
                self._held.remove(held)
            return not self._held

        assert wait_until(is_done), f"{len(self._held)} tasks do not reach their points"

    def wait_for_question(self, name: str) -> str:
        """Wait until a task asks, and can be answered; return the path of the page in Airflow's UI.

        An answer before the scheduler has registered the end of the process would fail the task: docs/notifier.md.
        """
        dag, run, map_index = self._runs[name]

        def asks() -> bool:
            (task,) = [task for task in self.airflow.tasks(dag, run) if task["map_index"] == map_index]
            assert task["state"] not in ENDED, task
            end = f"TaskInstance Finished: dag_id={dag}, task_id=send, run_id={run}, map_index={map_index}, "
            return task["state"] == "awaiting_input" and f"{end}ti_id={task['id']}," in self.airflow.logs()

        assert wait_until(asks, pause=PAUSE_SECONDS), self.airflow.tasks(dag, run)
        return f"/dags/{dag}/runs/{run}/tasks/send/required_actions"

    def clear(self, name: str) -> None:
        """Clear a task."""
        dag, run, _ = self._runs[name]
        self.airflow.clear(dag, run)

    def seen(self, name: str) -> Seen:
        """Wait for the end of a task's run, and return the task."""
        dag, run, map_index = self._runs[name]
        self._wait_for_end(name)
        (task,) = [task for task in self.airflow.tasks(dag, run) if task["map_index"] == map_index]
        where = (dag, run, task["task_id"])
        return Seen(
            state=task["state"],
            tries=task["try_number"],
            result=self.airflow.returned(*where, map_index=map_index),
            delivered=self.delivered(name),
            log=self.airflow.log_of_task(*where, number=task["try_number"], map_index=map_index),
        )

    def delivered(self, name: str) -> list[str]:
        """Return the Message-IDs of the messages that were delivered to a task's recipient."""
        self._postfix.wait_until_idle()
        messages = self._postfix.messages("carol")
        return [message["Message-ID"] for message in messages if address(name) in (message["To"] or "")]

    def _wait_for_end(self, name: str) -> None:
        dag, run, _ = self._runs[name]

        def has_ended() -> bool:
            for silent in self._silent:
                self.airflow.let_heartbeats_time_out(self._runs[silent][1])
            return self.airflow.run(dag, run)["state"] in ENDED

        wait_until(has_ended, pause=PAUSE_SECONDS)

    def _add(self, name: str, connection: str) -> None:
        self._stack.enter_context(self.airflow.connected(name, connection))


def address(name: str) -> str:
    """Return the address of a task's recipient."""
    return f"carol+{name}@corp.test"


def kill(victim: Victim) -> None:
    """Kill the task that is connected to the port, or its supervisor, or both."""
    (pid,) = {
        connection.pid
        for connection in psutil.net_connections("tcp4")
        if connection.raddr and connection.raddr.port == victim.port and connection.pid not in {None, os.getpid()}
    }
    process = psutil.Process(pid)
    supervisor = process.parent()
    assert supervisor is not None
    assert "LocalExecutor" in " ".join(supervisor.cmdline())
    for each in [supervisor] * victim.supervisor + [process] * victim.task:
        each.kill()
