"""Samples and the series they make: only what came of one testbed in one way is put together. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from kvm_action.bench import statistics
from kvm_action.bench.rows import ROWS, values_of
from kvm_action.bench.statistics import Comparison, Summary
from kvm_action.results import Outcome, RunResult


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run. ``load`` are the host's load averages just before it; ``folder`` holds its result and reports."""

    number: int
    warmup: bool
    load: tuple[float, float, float]
    folder: str
    result: RunResult

    @property
    def counts(self) -> bool:
        """Is it measured? A warm-up is not, nor is a run that did not pass."""
        return not self.warmup and self.result.outcome is Outcome.PASSED


@dataclass(frozen=True, order=True)
class Kind:
    """What samples must have in common to be of one series."""

    backend: str
    accel: str
    start: str
    fingerprint: str
    image: str

    def __str__(self) -> str:
        """For a heading: ``kvm (tcg, boot)``, ``docker``."""
        return f"{self.backend} ({self.accel}, {self.start})" if self.backend == "kvm" else self.backend


def kind_of(result: RunResult) -> Kind:
    """The series that a result belongs to."""
    return Kind(
        backend=result.backend,
        accel=result.accel.name if result.accel else "",
        start=result.start.mode if result.start else "",
        fingerprint=result.host.fingerprint if result.host else "",
        image=result.image.sha256 if result.image else "",
    )


@dataclass(frozen=True)
class Series:
    """The samples of one kind: by row, their values in the order of measurement."""

    kind: Kind
    values: dict[str, tuple[float, ...]]
    count: int

    def summary(self, row: str) -> Summary | None:
        """What they say of a row, None when no run had anything for it."""
        return statistics.summarise(self.values[row]) if row in self.values else None


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Two series of different backends, compared in one row."""

    row: str
    first: Kind
    second: Kind
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A backend that could not be measured (to the end), and why."""

    backend: str
    reason: str
    hint: str = ""
    exit_code: int = 3


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All that was measured. ``seconds`` is the wall time, ``overhead_seconds`` what of it was in no run."""

    id: str
    plan: str
    digest: str
    started_at: str
    seconds: float
    overhead_seconds: float
    samples: tuple[Sample, ...] = ()
    missing: tuple[Missing, ...] = ()
    series: tuple[Series, ...] = field(default=())


def series_of(samples: Sequence[Sample]) -> tuple[Series, ...]:
    """The series that the samples make, in the order in which the backends were first run."""
    backends = list(dict.fromkeys(sample.result.backend for sample in samples))
    kinds = dict.fromkeys(kind_of(sample.result) for sample in samples if sample.counts)
    ordered = sorted(kinds, key=lambda kind: backends.index(kind.backend))
    return tuple(_series(kind, samples) for kind in ordered)


def _series(kind: Kind, samples: Sequence[Sample]) -> Series:
    values = [values_of(each.result) for each in samples if each.counts and kind_of(each.result) == kind]
    by_row = {row.key: tuple(each[row.key] for each in values if row.key in each) for row in ROWS}
    return Series(kind, {key: found for key, found in by_row.items() if found}, len(values))


def contrasts(series: Sequence[Series]) -> tuple[Contrast, ...]:
    """Every pair of series of different backends, in every row that both have."""
    return tuple(
        Contrast(
            row=row.key,
            first=one.kind,
            second=two.kind,
            comparison=statistics.compare(one.values[row.key], two.values[row.key], least_difference=row.least),
        )
        for one, two in combinations(series, 2)
        if one.kind.backend != two.kind.backend
        for row in ROWS
        if row.key in one.values and row.key in two.values
    )
