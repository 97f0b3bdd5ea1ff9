"""``python -m tests.fuzz TARGET [libFuzzer's options and folders]``."""

from __future__ import annotations

import logging
import sys
from importlib import import_module

import atheris


def main() -> None:
    program, target, *options = sys.argv
    # Coverage includes pyspnego, because it parses the server's tokens.
    with atheris.instrument_imports(include=["airflow_smtp_cm", "spnego"]):
        harness = import_module(f"tests.fuzz.{target}")
    logging.disable()
    atheris.Setup([program, *options], harness.one_input)
    atheris.Fuzz()


main()
