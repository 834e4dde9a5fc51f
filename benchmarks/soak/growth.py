"""Did a series grow? Its last fifth against its first, by rank; one outlier decides nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.soak.samples import Sample
from kvm_action.bench.statistics import Comparison, Verdict, compare

MIB: Final = 1 << 20
WARM_UP: Final = 0.1
"""The part of a series at its beginning that does not count: caches fill."""


@dataclass(frozen=True)
class Measure:
    """Something that must not grow. Less than ``slack``, in its unit, and less than ``share`` of it, is noise."""

    name: str
    read: Callable[[Sample], float | None]
    slack: float
    share: float = 0.05


MEASURES: Final = (
    Measure("seconds of a run", lambda each: each.ran.seconds, slack=1, share=0.15),
    Measure("libvirt's memory", lambda each: each.after.libvirt_rss, slack=4 * MIB),
    Measure("libvirt's descriptors", lambda each: each.after.libvirt_descriptors, slack=2),
    Measure("our memory", lambda each: each.after.own_rss, slack=8 * MIB),
    Measure("our descriptors", lambda each: each.after.own_descriptors, slack=2),
    Measure("files in the home", lambda each: each.after.home_files, slack=2),
    Measure("bytes in the home", lambda each: each.after.home_bytes, slack=16 * MIB),
    Measure("folders of runs", lambda each: each.after.run_folders, slack=1),
    Measure("shared memory", lambda each: each.after.shared_memory, slack=4 * MIB),
    Measure("QEMU processes", lambda each: each.after.machines, slack=1),
    Measure("domains", lambda each: each.after.domains, slack=1),
    Measure("libvirt's logs of machines", lambda each: each.after.logs, slack=1),
)


def series(samples: Sequence[Sample], measure: Measure) -> list[float]:
    """The figures of one phase, without those that this host does not tell."""
    return [value for value in map(measure.read, samples) if value is not None]


def growth(values: Sequence[float], measure: Measure) -> Comparison | None:
    """The last fifth of ``values`` against the first after the warm-up; None for fewer than five."""
    settled = values[int(len(values) * WARM_UP) :]
    fifth = len(settled) // 5
    if not fifth:
        return None
    return compare(settled[:fifth], settled[-fifth:], least_effect=measure.share, least_difference=measure.slack)


def grew(values: Sequence[float], measure: Measure) -> bool:
    """Is it surely higher at the end, and by more than noise?"""
    found = growth(values, measure)
    return found is not None and found.verdict is Verdict.HIGHER
