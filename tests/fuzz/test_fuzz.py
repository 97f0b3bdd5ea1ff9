"""All inputs of the corpus pass, and a short run of the fuzzer finds nothing new."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.fuzz import TARGETS
from tests.servers.requirements import require

CORPUS = Path(__file__).with_name("corpus")
ROOT = CORPUS.parents[2]
INPUTS = sorted(CORPUS.glob("*/*"))


def test_every_target_has_a_corpus_and_every_corpus_a_target():
    assert {file.parent.name for file in INPUTS} == set(TARGETS)


@pytest.mark.parametrize("file", INPUTS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_input_of_the_corpus_passes(file):
    import_module(f"tests.fuzz.{file.parent.name}").one_input(file.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run_finds_nothing(target, tmp_path):
    """It is reproducible: a fixed number of inputs, from a fixed seed."""
    require(modules=["atheris"])
    found = tmp_path / "found"
    found.mkdir()
    options = ["-runs=200", "-seed=1", f"-artifact_prefix={tmp_path}/", str(found), str(CORPUS / target)]
    fuzzed = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert fuzzed.returncode == 0, fuzzed.stderr[-5000:]
