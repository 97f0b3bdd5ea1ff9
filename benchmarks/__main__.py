"""Compare this project's clients with other clients.

Run by ``make bench``: python -m benchmarks [--quick] [CASE ...]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bed import Bed
from benchmarks.cases import (
    airflow,
    attachments,
    connections,
    delayed_replies,
    imports,
    instructions,
    one_connection,
    pictures,
    recipients,
)
from benchmarks.chart import svg
from benchmarks.report import markdown
from benchmarks.sinks import Unavailable
from benchmarks.targets import compared
from benchmarks.workers import ROOT

if TYPE_CHECKING:
    from benchmarks.cases import Case

RESULTS = Path(__file__).with_name("results.json")
CHART = ROOT / "docs" / "images" / "speed.svg"
SUBJECTS = (
    one_connection,
    recipients,
    attachments,
    pictures,
    connections,
    delayed_replies,
    imports,
    instructions,
    airflow,
)
CASES = tuple(case for subject in SUBJECTS for case in subject.CASES)
_NAMES = "\n".join("  " + " ".join(case.name for case in subject.CASES) for subject in SUBJECTS)
_DESCRIPTION = """\
Compare the speed of this project's clients with others. Without CASE, benchmarks/results.json
and docs/images/speed.svg are written. "make bench" installs what is missing, as root."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=_DESCRIPTION,
        epilog=f"cases (benchmarks/README.md describes them):\n{_NAMES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help="measure only these cases, and only print the results"
    )
    parser.add_argument(
        "--quick", action="store_true", help="only the most important cases: one minute instead of ten"
    )
    given = parser.parse_args()
    if unknown := sorted(set(given.cases) - {case.name for case in CASES}):
        parser.error(f"unknown case: {', '.join(unknown)}. The cases are:\n{_NAMES}")
    with Bed(quick=given.quick) as bed:
        succeeded = [_measure(case, bed) for case in CASES if _is_due(case, given)]
    results = bed.results.as_json()
    print(markdown(results["rows"]), compared(bed.results), sep="\n")
    if not given.cases:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        CHART.write_text(svg(results["rows"]))
    return 0 if all(succeeded) else 1


def _is_due(case: Case, given: argparse.Namespace) -> bool:
    return case.name in given.cases if given.cases else case.in_quick or not given.quick


def _measure(case: Case, bed: Bed) -> bool:
    """Measure a case, and log the result; return False if it failed. The other cases are measured all the same."""
    started = time.perf_counter()
    try:
        case.measure(bed)
    except Unavailable as error:
        bed.log(f"{case.name}: not measured; missing: {error}")
    except RuntimeError as error:
        bed.log(f"{case.name}: FAILED: {error}")
        return False
    else:
        bed.log(f"{case.name}: {time.perf_counter() - started:.1f} s")
    return True


if __name__ == "__main__":
    sys.exit(main())
