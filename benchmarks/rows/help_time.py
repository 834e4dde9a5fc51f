"""How soon `kvm-e2e --help` answers, beside the interpreter that does nothing."""

import sys

from benchmarks.reading import Reading
from benchmarks.workshop import TOOL, Workshop, seconds

SECONDS = 0.3


def measure(workshop: Workshop) -> list[Reading]:
    """Both once unmeasured, so that the page cache is warm."""

    def ours(_number: int) -> float:
        return seconds(lambda: workshop.call([TOOL, "--help"]))

    def theirs(_number: int) -> float:
        return seconds(lambda: workshop.call([sys.executable, "-c", "pass"]))

    ours(0), theirs(0)
    taken = workshop.interleaved(workshop.count(15), ours, theirs)
    return [
        Reading(
            name="kvm-e2e --help",
            unit="s",
            ours=taken[0],
            theirs=taken[1],
            against="python -c pass",
            at_most=SECONDS,
            includes="a process from its start to its end, page cache warm",
        )
    ]
