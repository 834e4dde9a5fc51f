"""The benchmarks' own arithmetic and table: a ratio that is wrong would be believed."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.reading import CannotMeasure, Reading, Unmeasured, Verdict
from benchmarks.table import keep, show
from benchmarks.workshop import Workshop
from kvm_action.results import HostInfo

HOST = HostInfo(fingerprint="abcdef012345", cpu="EPYC", cpus=2, memory_bytes=24 << 30)


def reading(ours: tuple[float, ...], theirs: tuple[float, ...] = (), **targets: float) -> Reading:
    return Reading(name="copy", unit="s", ours=ours, theirs=theirs, includes="all of it", **targets)


def test_the_ratio_is_that_of_the_medians_so_that_one_slow_sample_decides_nothing() -> None:
    assert reading((1.0, 1.0, 9.0), (2.0, 2.0, 2.0)).ratio == 0.5


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (reading((1.0,), at_most=1.0), Verdict.MET),
        (reading((1.1,), at_most=1.0), Verdict.MISSED),
        (reading((1.0,), (1.0,), ratio_at_most=1.0), Verdict.MET),
        (reading((1.01,), (1.0,), ratio_at_most=1.0), Verdict.MISSED),
        (reading((1.0,), (2.0,), at_most=0.5, ratio_at_most=1.0), Verdict.MISSED),
        (reading((1.0,), ratio_at_most=1.0), Verdict.MISSED),
        (reading((1.0,), (2.0,)), Verdict.NONE),
    ],
)
def test_a_target_is_met_only_when_every_one_is(measured: Reading, verdict: Verdict) -> None:
    assert measured.verdict is verdict


def test_pairs_are_taken_in_turns_so_that_a_drift_of_the_host_hits_both_sides(tmp_path: Path) -> None:
    order: list[str] = []

    def side(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    taken = Workshop(tmp_path, lambda _line: None).interleaved(3, lambda _n: side("a", 1), lambda _n: side("b", 2))
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert taken == ((1, 1, 1), (2, 2, 2))


def test_the_table_shows_ratio_target_and_what_could_not_be_measured() -> None:
    out = io.StringIO()
    rows = [reading((3.0,), (2.0,), ratio_at_most=1.0)]
    show(rows, [Unmeasured("boot", "no autopkgtest here")], HOST, Console(file=out, width=150))
    for words in (
        "abcdef012345",
        "1.50",
        "ratio <= 1",
        "missed",
        "all of it",
        "boot: not measured: no autopkgtest",
    ):
        assert words in out.getvalue()


def test_all_samples_are_kept_with_the_host_they_were_taken_on(tmp_path: Path) -> None:
    kept = json.loads(keep([reading((3.0, 4.0), (2.0, 2.0))], [], HOST, tmp_path).read_text())
    assert kept["host"]["fingerprint"] == "abcdef012345"
    assert kept["readings"][0]["ours"] == [3.0, 4.0]
    assert kept["readings"][0]["ratio"] == 1.75


def test_a_program_that_fails_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="so sorry"):
        Workshop(tmp_path, lambda _line: None).call(["sh", "-c", "echo so sorry; exit 3"])
    assert not issubclass(CannotMeasure, RuntimeError)
