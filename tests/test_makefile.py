"""A target of the Makefile that lacks something reports it in one line, and fails."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RELEASES = "make test-debian: RELEASE must be bookworm, trixie or forky, as in: make test-debian RELEASE=trixie"
ROOT_ONLY = "needs root, because it starts Postfix"
NO_PYTHON = (
    "make: python2 is not Python 3.11 or newer with its venv; on Debian: apt-get install python3-venv; "
    "or set PYTHON, as in: make {} PYTHON=python3.13"
)


@pytest.fixture
def machine(tmp_path):
    """Return a function that makes a folder for PATH, with few programs and an ``id`` that prints the given user."""

    def make_machine(user: int) -> Path:
        for program in ("bash", "dirname"):
            (tmp_path / program).symlink_to(shutil.which(program))
        (tmp_path / "id").write_text(f"#!/bin/sh\necho {user}\n")
        (tmp_path / "id").chmod(0o755)
        return tmp_path

    return make_machine


@pytest.mark.parametrize(
    ("arguments", "user", "message"),
    [
        (["test-debian"], 0, RELEASES),
        (["test-debian", "RELEASE=sid"], 0, RELEASES),
        (["test-debian", "RELEASE=trixie"], 1000, "make test-debian: needs root, for debootstrap and chroot"),
        (
            ["test-debian", "RELEASE=trixie"],
            0,
            "make test-debian: debootstrap is missing; on Debian: apt-get install debootstrap",
        ),
        (["load"], 1000, f"make load: {ROOT_ONLY}"),
        (["test-cluster"], 1000, f"make test-cluster: {ROOT_ONLY}"),
        (["bench"], 1000, f"make bench: {ROOT_ONLY}"),
        (["venv", "PYTHON=python2", "VENV=none"], 0, NO_PYTHON.format("venv")),
        (["test", "PYTHON=python2", "VENV=none"], 0, NO_PYTHON.format("test")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_reports_what_is_missing(machine, arguments, user, message):
    command = [shutil.which("make"), *arguments]
    environment = {"PATH": str(machine(user))}
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 2
    first, makes_own = made.stderr.splitlines()
    assert first == message
    assert makes_own.startswith("make: *** ")
