"""HTML with ten images of 100 kB in it, on one connection; the text beside the HTML included."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from benchmarks.cases import Case
from benchmarks.cases.rates import measure_rates
from benchmarks.job import Job, Server
from benchmarks.rounds import HOOK, OURS

if TYPE_CHECKING:
    from benchmarks.bed import Bed

_NAME = "pictures-10/smtp-sink"
_PICTURES = 10
_SIZE = 100_000  # bytes
_FEWEST = 10  # messages


def _measure(bed: Bed) -> None:
    content = random.Random(1).randbytes(_SIZE)  # as compressed images are, without patterns
    paths = [bed.folder / f"chart-{number}.png" for number in range(_PICTURES)]
    for path in paths:
        path.write_bytes(content)
    job = Job(server=Server(port=bed.sink("smtp-sink")), messages=_FEWEST, pictures=list(map(str, paths)))
    measure_rates(bed, _NAME, bed.clients((OURS, HOOK)), job)


CASES = (Case(_NAME, _measure),)
