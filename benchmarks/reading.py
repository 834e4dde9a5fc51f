"""What a row measured: samples of ours, samples of the other's beside it, and what was promised."""

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import median


class Verdict(StrEnum):
    """How a reading stands against its targets."""

    MET = "met"
    MISSED = "missed"
    NONE = "-"


class CannotMeasure(Exception):
    """A row, or its other side, cannot be measured on this host; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One line of the table. ``includes`` says exactly what was timed, on both sides.

    Samples are in ``unit``, in the order in which they were taken: the n-th of both sides are a pair.
    """

    name: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()
    against: str = ""
    at_most: float | None = None
    ratio_at_most: float | None = None
    includes: str

    @property
    def median(self) -> float:
        """Ours."""
        return median(self.ours)

    @property
    def baseline(self) -> float | None:
        """The median of the other side, None without one."""
        return median(self.theirs) if self.theirs else None

    @property
    def ratio(self) -> float | None:
        """Ours over theirs, of the medians: below 1 we are faster, or smaller."""
        return self.median / self.baseline if self.baseline else None

    @property
    def ratios(self) -> tuple[float, ...]:
        """The same for each pair: how much it scatters."""
        return tuple(our / their for our, their in zip(self.ours, self.theirs, strict=False))

    @property
    def verdict(self) -> Verdict:
        """Are all targets met?"""
        kept = []
        if self.at_most is not None:
            kept.append(self.median <= self.at_most)
        if self.ratio_at_most is not None:
            kept.append((self.ratio or math.inf) <= self.ratio_at_most)
        if not kept:
            return Verdict.NONE
        return Verdict.MET if all(kept) else Verdict.MISSED


@dataclass(frozen=True)
class Unmeasured:
    """A row that this host cannot measure, and why."""

    name: str
    reason: str
