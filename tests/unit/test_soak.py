"""The soak's judgement: what grows is caught, what only scatters is not, and no run that failed is overlooked."""

import csv
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from benchmarks.soak.growth import MEASURES, MIB, Measure, grew, growth
from benchmarks.soak.page import page
from benchmarks.soak.phases import ran
from benchmarks.soak.samples import Footprint, Ran, Sample, write_csv
from benchmarks.soak.verdict import complaints

MEMORY = Measure("memory", lambda each: each.after.own_rss, slack=4 * MIB)
QUIET = Footprint(
    libvirt_rss=40 * MIB, libvirt_descriptors=30, own_rss=90 * MIB, own_descriptors=20,
    home_files=9, home_bytes=MIB, run_folders=0, shared_memory=0, machines=0, domains=0, logs=0,
)  # fmt: skip
GOOD = Ran(seconds=10.0, outcome="passed", start="template", reason="")


def soaked(runs: int, leak: int = 0) -> list[Sample]:
    """Samples of a process that takes ``leak`` bytes more in each run."""
    return [
        Sample(
            phase="in a row", number=n, at=10.0 * n, ran=GOOD, after=replace(QUIET, own_rss=90 * MIB + n * leak)
        )
        for n in range(1, runs + 1)
    ]


def scattered(middle: float, spread: float, count: int = 200) -> list[float]:
    chance = Random(7)
    return [middle + chance.uniform(-spread, spread) for _ in range(count)]


def test_a_leak_of_a_tenth_of_a_mebibyte_in_each_of_two_hundred_runs_is_caught() -> None:
    leak = [90 * MIB + number * MIB / 10 for number in range(200)]
    assert grew(leak, MEMORY)


@pytest.mark.parametrize("outlier", [0, 500 * MIB])
def test_what_only_scatters_has_not_grown_whatever_one_run_does(outlier: float) -> None:
    values = [*scattered(90 * MIB, 20 * MIB), outlier]
    assert not grew(values, MEMORY)


def test_what_the_first_runs_fill_does_not_count() -> None:
    assert not grew([*(number * MIB for number in range(20)), *scattered(20 * MIB, MIB, 180)], MEMORY)


def test_what_shrinks_and_what_grows_by_next_to_nothing_is_no_complaint() -> None:
    assert not grew([90 * MIB - number * MIB / 10 for number in range(200)], MEMORY)
    assert not grew([90 * MIB + number * 1024 for number in range(200)], MEMORY)


def test_what_was_nothing_and_is_something_has_grown() -> None:
    left = Measure("files", lambda _each: None, slack=2)
    assert grew([*[0] * 100, *[5] * 100], left)


def test_few_runs_are_no_proof_of_growth() -> None:
    assert growth([1, 2, 3], MEMORY) is None
    assert not grew([MIB * number * 10 for number in range(1, 11)], MEMORY)


def test_a_good_soak_has_nothing_to_complain_of() -> None:
    assert complaints(soaked(100), QUIET) == []


def test_what_was_never_seen_is_not_taken_for_steady() -> None:
    blind = [replace(each, after=replace(each.after, libvirt_rss=None)) for each in soaked(20)]
    assert complaints(blind, QUIET) == ["libvirt's memory could not be seen, so that nothing is known of it"]


def test_everything_that_is_wrong_is_named() -> None:
    samples = soaked(100, leak=MIB)
    samples[3] = replace(samples[3], ran=Ran(seconds=1, outcome="error", start="boot", reason="QEMU died"))
    samples[4] = replace(samples[4], ran=replace(GOOD, start="boot", reason="the template was damaged"))
    said = "\n".join(complaints(samples, replace(QUIET, machines=2)))
    for words in ("in a row 4: error by boot: QEMU died", "in a row 5: passed by boot: the template was damaged",
                  "in a row: our memory grew", "left at the end: 2 QEMU processes"):  # fmt: skip
        assert words in said


def test_a_result_tells_how_it_started_and_why_not_otherwise() -> None:
    result = {"outcome": "passed", "failure": None, "start": {"mode": "boot", "reason": "no template yet"}}
    assert ran(1.0, result) == Ran(seconds=1.0, outcome="passed", start="boot", reason="no template yet")


def test_the_samples_are_kept_and_drawn_with_what_grew_marked(tmp_path: Path) -> None:
    samples = soaked(100, leak=MIB)
    write_csv(samples, tmp_path / "samples.csv")
    with (tmp_path / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert (len(rows), rows[0]["start"], rows[-1]["number"]) == (100, "template", "100")
    drawn = page(samples)
    assert drawn.count("<figure") == len(MEASURES)
    assert drawn.count("class='grew'") == 1
    assert "http" not in drawn
