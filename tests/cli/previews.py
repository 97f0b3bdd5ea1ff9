"""Runs several commands of Airflow in one process, and prints their outcomes as JSON: each start takes seconds.

The commands are on standard input, as JSON: lists of arguments. In these, ``RUN`` is a run of the DAG ``invoices``,
whose task ``customers`` has a result.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from airflow.cli import cli_parser
from airflow.utils.cli import get_bagged_dag


def outcome(arguments: list[str]) -> dict[str, Any]:
    """Run a command; return its exit status and its output."""
    parsed = cli_parser.get_parser().parse_args(arguments)
    output, status = StringIO(), None
    standard_output, sys.__stdout__ = sys.__stdout__, output
    try:
        with redirect_stderr(sys.__stderr__):
            parsed.func(parsed)
    except SystemExit as error:
        status = error.code
    finally:
        sys.__stdout__ = standard_output
    return {"status": status, "output": output.getvalue()}


def main() -> None:
    """Run the commands."""
    commands = json.load(sys.stdin)
    run = get_bagged_dag(None, "invoices").test(mark_success_pattern="send")
    outcomes = [outcome([run.run_id if argument == "RUN" else argument for argument in one]) for one in commands]
    print(json.dumps(outcomes), file=sys.__stdout__)


if __name__ == "__main__":
    main()
