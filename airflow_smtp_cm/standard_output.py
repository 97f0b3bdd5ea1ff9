"""Standard output of ``airflow smtp-cm``: only the result of the command, so that a program can read it.

Airflow writes its log, which includes Python's warnings, to ``sys.stdout``. On Python 3.14 it writes a warning before
it parses its arguments. This module is an entry point of the group ``airflow.policy``, because Airflow loads that
group before it configures its log. After that, ``sys.stdout`` is standard error. Other commands of Airflow are not
affected.
"""

from __future__ import annotations

import sys
from pathlib import Path


def is_our_command(argv: list[str]) -> bool:
    """Return whether these arguments run a command of this provider, other than its help, which is for people."""
    match argv:
        case [program, "smtp-cm", *rest]:
            # While `python -m airflow` imports its package, the program is "-m".
            return Path(program).stem in {"airflow", "-m"} and not {"-h", "--help"} & {*rest}
    return False


def write(text: str) -> None:
    """Write text of the command's result."""
    print(text, end="", file=sys.__stdout__, flush=True)


if is_our_command(sys.argv):
    sys.stdout = sys.stderr
