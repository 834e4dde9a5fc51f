"""Is the newest run of a series slower or larger than those before? Robust, and only what a second run confirms.

A figure is out when it lies beyond the window's median by the least effect, by four (of few runs: more) of its
robust standard deviations (MAD), and by the metric's least difference. Once out is a suspicion, twice in a row
a finding.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from statistics import median
from typing import Final

from kvm_action.bench.statistics import mad
from kvm_action.history.record import Record
from kvm_action.history.series import METRICS, Metric, SeriesKey, by_series

WINDOW: Final = 20
LEAST_WINDOW: Final = 5
"""Fewer runs before the two in question, and nothing is said."""
LEAST_EFFECT: Final = 0.1


class Trend(StrEnum):
    """Which way a figure went."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A metric of a series that is not where it was. ``is_confirmed``: the run before the newest shows it too."""

    series: SeriesKey
    metric: Metric
    trend: Trend
    is_confirmed: bool
    usual: float
    spread: float
    now: float
    runs: int
    run: Record
    base: Record
    """The last run that was as usual."""

    @property
    def change(self) -> float:
        """0.1: ten percent more than usual."""
        return (self.now - self.usual) / self.usual if self.usual else 0.0


def findings(
    records: Iterable[Record], *, window: int = WINDOW, least_effect: float = LEAST_EFFECT
) -> tuple[Finding, ...]:
    """What the newest run of each series shows. Only green runs count: one that broke took another time."""
    green = by_series(record for record in records if record.is_green)
    starts: dict[SeriesKey, list[datetime]] = {}
    for key, series in green.items():
        starts.setdefault(replace(key, fingerprint=""), []).extend(run.started_at for run in series)
    found = (
        _finding(key, metric, series, window, least_effect)
        for key, series in sorted(green.items())
        if not _has_ended(series[-1].started_at, starts[replace(key, fingerprint="")])
        for metric in METRICS
    )
    return tuple(one for one in found if one)


def _has_ended(last: datetime, starts: Iterable[datetime]) -> bool:
    """Has the like machine another kernel or QEMU since? Then several runs of a later series have followed."""
    return sum(at > last for at in starts) >= LEAST_WINDOW


def _finding(
    key: SeriesKey, metric: Metric, series: Sequence[Record], window: int, least_effect: float
) -> Finding | None:
    measured = [(run, value) for run in series if (value := metric.value(run)) is not None]
    if len(measured) < LEAST_WINDOW + 1:
        return None
    before = [value for _, value in measured[-window - 2 : -2]]
    (_, previous), (run, now) = measured[-2:]
    if len(before) < LEAST_WINDOW:  # six runs: too few to confirm anything, enough to suspect
        before = [value for _, value in measured[:-1]]
        previous = median(before)
    usual, spread = median(before), mad(before)
    limit = max(least_effect * usual, _deviations(len(before)) * spread, metric.least)
    if abs(now - usual) <= limit:
        return None
    is_confirmed = (now > usual) == (previous > usual) and abs(previous - usual) > limit
    return Finding(
        series=key,
        metric=metric,
        trend=Trend.REGRESSION if now > usual else Trend.IMPROVEMENT,
        is_confirmed=is_confirmed,
        usual=usual,
        spread=spread,
        now=now,
        runs=len(before),
        run=run,
        base=next((one for one, value in reversed(measured[:-1]) if abs(value - usual) <= limit), measured[0][0]),
    )


def _deviations(runs: int) -> float:
    """How many are out of the ordinary. The spread of few runs is itself unsure, and more often too small.

    With this, noise is confirmed as a change in less than 1 % of the series, by simulation.
    """
    return 4.0 * (1 + 3 / runs)
