"""Standard output of ``airflow smtp-cm``: the result of the command and nothing else, so that a program can read it.

Airflow writes its log, and Python's warnings with it, to ``sys.stdout``. On Python 3.14 it writes a warning before it
parses its arguments. This module is an entry point of the group ``airflow.policy``, because Airflow loads that group
before it configures its log. From then on ``sys.stdout`` is standard error. Airflow's own commands are not affected.
"""

from __future__ import annotations

import sys
from pathlib import Path


def is_for_results(argv: list[str]) -> bool:
    """Return whether the program with these arguments is a command of ours. Help is no result: people read it."""
    match argv:
        case [program, "smtp-cm", *rest]:
            # While `python -m airflow` imports its package, the program is "-m".
            return Path(program).stem in {"airflow", "-m"} and not {"-h", "--help"} & {*rest}
    return False


def write(text: str) -> None:
    """Write a part of the command's result."""
    print(text, end="", file=sys.__stdout__, flush=True)


if is_for_results(sys.argv):
    sys.stdout = sys.stderr
