"""What a soak says: the table for the terminal, and whether it was a good one."""

from collections.abc import Sequence
from statistics import median

from rich.table import Table

from benchmarks.soak.growth import MEASURES, grew, growth, series
from benchmarks.soak.page import shown
from benchmarks.soak.phases import by_phase
from benchmarks.soak.samples import Footprint, Sample


def table(samples: Sequence[Sample]) -> Table:
    """A line for each measure of each phase."""
    lines = Table("phase", "measure", "runs", "first fifth", "last fifth", "median", "most", "")
    for phase, of_phase in by_phase(list(samples)):
        for measure in MEASURES:
            values = series(of_phase, measure)
            if found := growth(values, measure):
                ends = (shown(found.first.median), shown(found.second.median))
                verdict = "grew" if grew(values, measure) else found.verdict.value
                figures = (*ends, shown(median(values)), shown(max(values)), verdict)
                lines.add_row(phase, measure.name, str(len(values)), *figures)
    return lines


def complaints(samples: Sequence[Sample], left: Footprint) -> list[str]:
    """Every run that was not as it should be, everything that grew or was never seen, and all that is left."""
    bad = [
        f"{each.phase} {each.number}: {each.ran.outcome} by {each.ran.start or 'nothing'}: {each.ran.reason}"
        for each in samples
        if not each.is_good
    ]
    grown = [
        f"{phase}: {measure.name} grew"
        for phase, of_phase in by_phase(list(samples))
        for measure in MEASURES
        if grew(series(of_phase, measure), measure)
    ]
    unseen = [
        f"{measure.name} could not be seen, so that nothing is known of it"
        for measure in MEASURES
        if samples and not series(samples, measure)
    ]
    remains = {"folders of runs": left.run_folders, "QEMU processes": left.machines, "domains": left.domains}
    return [
        *bad,
        *grown,
        *unseen,
        *(f"left at the end: {number} {name}" for name, number in remains.items() if number),
    ]
