"""Measures this project's clients beside their peers.

Run by ``make bench``: python -m benchmarks [--quick] [CASE ...]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from benchmarks.bed import Bed
from benchmarks.cases import airflow, attachments, connections, imports, instructions, one_connection, recipients
from benchmarks.chart import svg
from benchmarks.report import markdown
from benchmarks.sinks import Unavailable
from benchmarks.targets import compared
from benchmarks.workers import ROOT

RESULTS = Path(__file__).with_name("results.json")
CHART = ROOT / "docs" / "images" / "speed.svg"
SUBJECTS = (one_connection, recipients, attachments, connections, imports, instructions, airflow)
CASES = tuple(case for subject in SUBJECTS for case in subject.CASES)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="measure these cases only, and print only")
    parser.add_argument("--quick", action="store_true", help="take a minute, not ten")
    given = parser.parse_args()
    if unknown := set(given.cases) - {case.name for case in CASES}:
        parser.error(f"no such case: {' '.join(unknown)}; there are {' '.join(case.name for case in CASES)}")
    with Bed(quick=given.quick) as bed:
        for case in CASES:
            if case.name in given.cases if given.cases else case.in_quick or not given.quick:
                started = time.perf_counter()
                try:
                    case.measure(bed)
                except Unavailable as error:
                    bed.say(f"{case.name}: not measured, for want of {error}")
                else:
                    bed.say(f"{case.name}: {time.perf_counter() - started:.1f} s")
    results = bed.results.as_json()
    print(markdown(results["rows"]), compared(bed.results), sep="\n")
    if not given.cases:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        CHART.write_text(svg(results["rows"]))


if __name__ == "__main__":
    main()
