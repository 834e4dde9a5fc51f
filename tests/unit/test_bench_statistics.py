"""Statistics against cases whose answer is known: by arithmetic, by published tables, or by construction."""

from itertools import combinations
from math import inf, nan
from random import Random
from time import perf_counter

import pytest

from kvm_action.bench.statistics import ALPHA, Verdict, compare, mad, permutation_p, summarise


def noise(random: Random, count: int, middle: float = 40.0, share: float = 0.03) -> list[float]:
    return [random.gauss(middle, middle * share) for _ in range(count)]


def p_by_counting_every_division(first: list[float], second: list[float]) -> float:
    values = [*first, *second]
    ranks = [sum(v < w for v in values) + (sum(v == w for v in values) + 1) / 2 for w in values]
    sums = [sum(ranks[i] for i in chosen) for chosen in combinations(range(len(values)), len(first))]
    seen = sum(ranks[: len(first)])
    return min(1.0, 2 * min(sum(s <= seen for s in sums), sum(s >= seen for s in sums)) / len(sums))


def test_the_figures_of_a_series_are_those_of_arithmetic() -> None:
    summary = summarise([1, 2, 3, 4, 100])
    assert (summary.count, summary.median, summary.least, summary.most) == (5, 3, 1, 100)
    assert summary.mad == pytest.approx(1.4826)
    assert summary.low <= 3 <= summary.high


def test_no_false_alarm_beyond_the_stated_rate_on_200_series_that_do_not_differ() -> None:
    random = Random(1)
    pairs = [(noise(random, 10), noise(random, 10)) for _ in range(200)]
    by_rank = sum(permutation_p(*pair) <= ALPHA for pair in pairs)
    alarms = sum(compare(*pair).verdict is not Verdict.ALIKE for pair in pairs)
    assert by_rank <= 200 * ALPHA * 2.5, "two in 200 are expected; six or more happen once in sixty"
    assert alarms <= 200 * ALPHA


def test_the_test_alone_without_a_least_effect_keeps_its_rate_over_many_series() -> None:
    random = Random(2)
    rejected = sum(permutation_p(noise(random, 7), noise(random, 9)) <= 0.05 for _ in range(2000))
    assert 60 <= rejected <= 125, "5 % of 2000 is 100; an exact test stays a little below"


@pytest.mark.parametrize("seed", range(20))
def test_a_step_of_ten_percent_is_found_with_ten_samples(seed: int) -> None:
    random = Random(seed)
    comparison = compare(noise(random, 10), noise(random, 10, middle=44.0))
    assert comparison.verdict is Verdict.HIGHER
    assert comparison.change_low <= comparison.change <= comparison.change_high


def test_the_interval_of_a_change_holds_the_true_change_about_as_often_as_it_says() -> None:
    random = Random(7)
    comparisons = [compare(noise(random, 10), noise(random, 10, middle=44.0)) for _ in range(100)]
    held = sum(one.change_low <= 0.1 <= one.change_high for one in comparisons)
    assert held >= 88, "95 of 100 are promised"


def test_an_improvement_is_told_from_a_regression() -> None:
    random = Random(3)
    assert compare(noise(random, 10), noise(random, 10, middle=30.0)).verdict is Verdict.LOWER


def test_one_wild_outlier_neither_makes_nor_hides_a_difference() -> None:
    random = Random(4)
    calm = noise(random, 10)
    assert compare(calm, [*calm[:9], 4000.0]).verdict is Verdict.ALIKE
    assert compare(calm, [*noise(random, 9, middle=46.0), 1.0]).verdict is Verdict.HIGHER
    assert summarise([*calm[:9], 4000.0]).median < 45


def test_a_sure_but_small_difference_is_nobodys_concern() -> None:
    first, second = [100.0 + n / 100 for n in range(10)], [101.0 + n / 100 for n in range(10)]
    comparison = compare(first, second, least_effect=0.05)
    assert comparison.p_value < 0.001
    assert comparison.verdict is Verdict.ALIKE
    assert compare(first, second, least_effect=0.005).verdict is Verdict.HIGHER
    assert compare(first, second, least_effect=0.005, least_difference=2.0).verdict is Verdict.ALIKE


def test_identical_samples_have_no_spread_and_do_not_differ() -> None:
    comparison = compare([5.0] * 10, [5.0] * 10)
    assert (comparison.p_value, comparison.change, comparison.verdict) == (1.0, 0.0, Verdict.ALIKE)
    assert (comparison.first.mad, comparison.first.low, comparison.first.high) == (0, 5, 5)
    assert compare([5.0] * 50, [5.0] * 50).p_value == 1.0


def test_one_sample_is_told_and_nothing_is_concluded_from_it() -> None:
    summary = summarise([7.0])
    assert (summary.median, summary.mad, summary.low, summary.high) == (7, 0, 7, 7)
    assert compare([7.0], [70.0]).verdict is Verdict.TOO_FEW
    assert compare([7.0], [70.0]).p_value == 1.0
    assert compare([1.0] * 3, [9.0] * 3).verdict is Verdict.TOO_FEW


@pytest.mark.parametrize("samples", [[], [nan], [1.0, inf]])
def test_no_samples_and_no_numbers_are_refused(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="sample"):
        summarise(samples)


def test_a_first_median_of_zero_is_no_division_by_zero() -> None:
    assert compare([0.0] * 10, [0.0] * 10).change == 0
    assert compare([0.0] * 10, [1.0] * 10).change == inf
    assert compare([0.0] * 10, [1.0] * 10).verdict is Verdict.HIGHER


def test_published_critical_values_of_the_rank_sum_test_are_met() -> None:
    """Mann and Whitney's table: for 5 and 5 samples, U = 2 is the largest that is sure at 5 % (two-sided)."""
    assert permutation_p([1, 2, 3, 5, 7], [4, 6, 8, 9, 10]) == pytest.approx(0.0556, abs=1e-4)  # U = 3
    assert permutation_p([1, 2, 3, 4, 8], [5, 6, 7, 9, 10]) == pytest.approx(0.0556, abs=1e-4)  # U = 3
    assert permutation_p([1, 2, 3, 4, 7], [5, 6, 8, 9, 10]) == pytest.approx(0.0317, abs=1e-4)  # U = 2
    assert permutation_p([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / 252)


@pytest.mark.parametrize("seed", range(10))
def test_the_count_of_divisions_is_exact_with_ties_too(seed: int) -> None:
    random = Random(seed)
    first = [float(random.randint(1, 5)) for _ in range(random.randint(1, 6))]
    second = [float(random.randint(1, 6)) for _ in range(random.randint(1, 6))]
    assert permutation_p(first, second) == pytest.approx(p_by_counting_every_division(first, second))


def test_many_samples_are_compared_quickly_and_the_approximation_joins_smoothly() -> None:
    random = Random(5)
    first, second = noise(random, 40), noise(random, 40, middle=40.6)
    begun = perf_counter()
    exact = permutation_p(first, second)
    assert perf_counter() - begun < 1
    near = permutation_p([*first, 40.3], [*second, 40.3])
    assert near == pytest.approx(exact, rel=0.15)


def test_the_same_samples_give_the_same_figures_every_time() -> None:
    random = Random(6)
    first, second = noise(random, 12), noise(random, 12)
    assert compare(first, second) == compare(first, second)
    assert mad(first) == mad(list(reversed(first)))


@pytest.mark.parametrize(("count", "sure"), [(2, 0.5), (3, 0.75), (5, 0.9375), (6, 0.95), (20, 0.95)])
def test_the_interval_of_few_samples_says_how_little_it_is_worth(count: int, sure: float) -> None:
    assert summarise([float(n) for n in range(count)]).confidence == sure
