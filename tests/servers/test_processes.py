"""Servers are started, stopped with their children, and required only if they can run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.processes import LOOPBACK, _reserve, free_ports, is_listening, running, wait_until
from tests.servers.requirements import PACKAGES, require

# Listens, and has a child that listens, too, and ignores SIGTERM.
SERVER = """
import os, signal, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.pause()
"""


def test_free_ports_are_distinct_and_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert not any(map(is_listening, ports))


def test_a_port_is_chosen_once() -> None:
    """Also by several processes, because test runs can be parallel."""
    assert not any(map(_reserve, free_ports(20)))


def test_a_server_listens_within_the_block_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its children end with it, even one that ignores SIGTERM."""
    monkeypatch.setattr("tests.servers.processes._STOP_SECONDS", 0.1)
    (port,) = free_ports(1)
    with running([sys.executable, "-c", SERVER, str(port)], port=port, env={}, output=tmp_path / "log"):
        assert is_listening(port)
    assert not is_listening(port)


def test_a_server_is_stopped_when_the_test_fails(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "http.server", "--bind", LOOPBACK, str(port)]
    with pytest.raises(KeyboardInterrupt), running(command, port=port, env={}, output=tmp_path / "log"):
        raise KeyboardInterrupt
    assert not is_listening(port)


def test_a_server_ends_with_the_tests_even_if_they_are_killed(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    program = f"""
import os, signal, sys
from pathlib import Path
from tests.servers.processes import running
command = [sys.executable, "-m", "http.server", "--bind", "{LOOPBACK}", "{port}"]
with running(command, port={port}, env={{}}, output=Path("{tmp_path}/log")):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert wait_until(lambda: not is_listening(port))


def test_a_server_that_does_not_start_shows_its_logs(tmp_path: Path) -> None:
    (tmp_path / "own.log").write_text("no such user")
    program = "import os, sys; print('cannot bind ' + os.environ['WHAT'], flush=True); sys.exit(3)"
    command = [sys.executable, "-c", program]
    with (
        pytest.raises(RuntimeError, match=r"(?s)ended with status 3.*cannot bind it.*own.log:\nno such user"),
        running(command, port=1, env={"WHAT": "it"}, output=tmp_path / "log", logs=[tmp_path / "own.log"]),
    ):
        pass


@pytest.fixture
def machine_without_postfix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, "postfix", "nowhere/*")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


REASON = r"not installed: postfix \(tests/install_servers\.sh .*; Python modules missing: nomodule .*root only"


@pytest.mark.usefixtures("machine_without_postfix")
@pytest.mark.parametrize("ci", [None, "", "0", "False"])
def test_a_server_that_cannot_run_skips_the_test(monkeypatch: pytest.MonkeyPatch, ci: str | None) -> None:
    if ci is None:
        monkeypatch.delenv("CI", raising=False)
    else:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(pytest.skip.Exception, match=REASON):
        require("postfix", modules=["nomodule"], root=True)


@pytest.mark.usefixtures("machine_without_postfix")
def test_a_server_that_cannot_run_fails_the_test_if_ci_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=REASON):
        require("postfix", modules=["nomodule"], root=True)


def test_a_server_that_can_run_does_not_skip_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setitem(PACKAGES, "postfix", __file__.lstrip("/"))
    require("postfix", modules=["pytest"])
