"""What a handful of samples says, and how sure that is: median, spread, intervals, and whether two series differ.

Pure and deterministic: the same samples always give the same figures. Standard library only: scipy would bring
100 MB and a third of a second of import for what are a few lines here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import comb, inf, isfinite, sqrt
from random import Random
from statistics import NormalDist, median
from typing import Final

CONFIDENCE: Final = 0.95
ALPHA: Final = 0.01
"""How often two series that do not differ may be called different: the stated rate of false alarms."""
LEAST_EFFECT: Final = 0.05
"""A difference below this share of the first median is nobody's concern, however sure it is."""

_RESAMPLES: Final = 2000
_SEED: Final = 6
_EXACT_UP_TO: Final = 80
"""Samples of both series together; beyond, the normal approximation of the same test is as good."""


class Verdict(StrEnum):
    """What the second series is, seen from the first."""

    LOWER = "lower"
    HIGHER = "higher"
    ALIKE = "alike"
    """No difference was shown that is sure enough and large enough. This is no proof that there is none."""
    TOO_FEW = "too few samples"
    """Not even the clearest possible difference could be sure with so few samples."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A series in the samples' own unit. ``low``/``high``: the bootstrap interval of the median."""

    count: int
    median: float
    mad: float
    """Median absolute deviation, times 1.4826: for normal noise, its standard deviation."""
    low: float
    high: float
    least: float
    most: float

    @property
    def confidence(self) -> float:
        """How sure the interval is. That of few samples is their whole range, and misses the median more often."""
        return min(CONFIDENCE, 1 - 2.0 ** (1 - self.count))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two series. ``change`` is the second median against the first (0.1: 10 % more), with its interval."""

    first: Summary
    second: Summary
    change: float
    change_low: float
    change_high: float
    p_value: float
    verdict: Verdict


def summarise(samples: Sequence[float]) -> Summary:
    """What ``samples`` say. Raises ValueError when there are none, or one is no finite number."""
    values = _checked(samples)
    return _summary(values, _resampled_medians(values, _random()))


def _summary(values: Sequence[float], resampled: Sequence[float]) -> Summary:
    low, high = _interval(resampled)
    return Summary(
        count=len(values),
        median=median(values),
        mad=mad(values),
        low=low,
        high=high,
        least=min(values),
        most=max(values),
    )


def mad(samples: Sequence[float]) -> float:
    """The samples' spread that an outlier does not move: 1.4826 times the median distance from the median."""
    middle = median(samples)
    return 1.4826 * median(abs(value - middle) for value in samples)


def compare(
    first: Sequence[float],
    second: Sequence[float],
    *,
    least_effect: float = LEAST_EFFECT,
    least_difference: float = 0.0,
    alpha: float = ALPHA,
) -> Comparison:
    """How ``second`` differs from ``first``.

    Higher or lower takes three things: a permutation test of the ranks at ``alpha``, medians that differ by the
    share ``least_effect`` of the first, and by ``least_difference`` in the samples' unit.
    """
    one, two = _checked(first), _checked(second)
    p_value, change, random = permutation_p(one, two), _change(median(one), median(two)), _random()
    draws_one, draws_two = _resampled_medians(one, random), _resampled_medians(two, random)
    low, high = _interval([_change(*pair) for pair in zip(draws_one, draws_two, strict=True)])
    counts = 0 < abs(change) >= least_effect and abs(median(two) - median(one)) >= least_difference
    if 2 / comb(len(one) + len(two), len(one)) > alpha:
        verdict = Verdict.TOO_FEW
    elif p_value <= alpha and counts:
        verdict = Verdict.HIGHER if change > 0 else Verdict.LOWER
    else:
        verdict = Verdict.ALIKE
    return Comparison(
        first=_summary(one, draws_one),
        second=_summary(two, draws_two),
        change=change,
        change_low=low,
        change_high=high,
        p_value=p_value,
        verdict=verdict,
    )


def permutation_p(first: Sequence[float], second: Sequence[float]) -> float:
    """How often a random division of all samples differs as much as this one: two-sided, by rank sums.

    All divisions are counted (Wilcoxon's exact test, ties included), so outliers weigh no more than their rank.
    """
    ranks = _doubled_ranks([*first, *second])
    rank_sum, size = sum(ranks[: len(first)]), len(first)
    if len(ranks) > _EXACT_UP_TO:
        return _approximate_p(ranks, size, rank_sum)
    counts = _divisions_by_rank_sum(ranks, size)
    below = sum(number for total, number in enumerate(counts) if total <= rank_sum)
    above = sum(number for total, number in enumerate(counts) if total >= rank_sum)
    return min(1.0, 2 * min(below, above) / comb(len(ranks), size))


def _divisions_by_rank_sum(ranks: Sequence[int], size: int) -> list[int]:
    """At index s: in how many ways ``size`` of ``ranks`` sum to s.

    One long integer holds all counts side by side, ``width`` bits each; shifting it adds a rank to all sums.
    """
    width = comb(len(ranks), size).bit_length()
    ways = [1, *[0] * size]
    for rank in ranks:
        for chosen in range(size, 0, -1):
            ways[chosen] += ways[chosen - 1] << (rank * width)
    packed, mask = ways[size], (1 << width) - 1
    text = packed.to_bytes((packed.bit_length() + 7) // 8 or 1, "little")
    return [_field(text, index * width, width, mask) for index in range(len(text) * 8 // width + 1)]


def _field(text: bytes, start: int, width: int, mask: int) -> int:
    chunk = text[start // 8 : (start + width) // 8 + 1]
    return int.from_bytes(chunk, "little") >> (start % 8) & mask


def _approximate_p(ranks: Sequence[int], size: int, rank_sum: int) -> float:
    number = len(ranks)
    mean = sum(ranks) / number
    variance = sum((rank - mean) ** 2 for rank in ranks) / number
    deviation = sqrt(size * (number - size) * variance / (number - 1))
    if not deviation:
        return 1.0
    return 2 * NormalDist().cdf(-abs(rank_sum - size * mean) / deviation)


def _doubled_ranks(values: Sequence[float]) -> list[int]:
    """Ranks from 2 in steps of 2; equals share the middle of theirs, which doubling keeps whole."""
    order = sorted(values)
    first: dict[float, int] = {}
    last: dict[float, int] = {}
    for place, value in enumerate(order, start=1):
        first.setdefault(value, place)
        last[value] = place
    return [first[value] + last[value] for value in values]


def _random() -> Random:
    return Random(_SEED)  # noqa: S311 - it resamples and guards nothing


def _resampled_medians(values: Sequence[float], random: Random) -> list[float]:
    return [median(random.choices(values, k=len(values))) for _ in range(_RESAMPLES)]


def _interval(draws: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(draws)
    cut = int(len(ordered) * (1 - CONFIDENCE) / 2)
    return ordered[cut], ordered[-1 - cut]


def _change(before: float, after: float) -> float:
    if before == after:
        return 0.0
    return (after - before) / abs(before) if before else inf if after > 0 else -inf


def _checked(samples: Sequence[float]) -> list[float]:
    values = [float(value) for value in samples]
    if not values:
        raise ValueError("no samples")
    if not all(isfinite(value) for value in values):
        raise ValueError("a sample is no finite number")
    return values
