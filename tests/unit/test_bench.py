"""Measuring two backends with runs that are imagined, and what is made of the samples."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from samples import HOSTILE, passed_run

from kvm_action.bench import document
from kvm_action.bench.measure import Measuring, Told, Turn, schedule
from kvm_action.bench.samples import Bench, contrasts
from kvm_action.bench.table import change_words, table_of
from kvm_action.cli.bench import exit_code
from kvm_action.errors import FailureClass, HostError
from kvm_action.plan.load import LoadedPlan, load_plan
from kvm_action.report.comparison import comparison_markdown
from kvm_action.results import AccelInfo, Failure, HostInfo, Outcome, RunResult, StepName

NOBODY = Told(begins=lambda *_: None, ended=lambda *_: None)


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedPlan:
    (tmp_path / "plan.yml").write_text("version: 1\nname: hello\nprovision: {run: 'true'}\n")
    return load_plan(tmp_path / "plan.yml", ())


def result(backend: str, seconds: float, **changes: object) -> RunResult:
    accel = "none" if backend == "docker" else "tcg"
    made = replace(
        passed_run(), backend=backend, seconds=seconds, accel=AccelInfo(name=accel),
        host=HostInfo(fingerprint=f"of-{backend}", cpu="EPYC", cpus=2, kernel="6.1"),
    )  # fmt: skip
    return replace(made, **changes)


def failing(backend: str, failure_class: FailureClass) -> RunResult:
    failure = Failure(failure_class=failure_class, step=StepName.PREREQUISITES, message="no", hint="do this")
    outcome = Outcome.FAILED if failure_class.exit_code == 1 else Outcome.ERROR
    return result(backend, 1, outcome=outcome, failure=failure, exit_code=int(failure_class.exit_code))


class Clock:
    """Moves by what the runs take, and by a tenth of a second between them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.05
        return self.now


def measure(
    loaded: LoadedPlan, tmp_path: Path, answers, runs: int = 3, warmups: int = 1
) -> tuple[Bench, list[str]]:
    clock, asked = Clock(), []

    def run(backend: str, folder: Path) -> RunResult:
        asked.append(folder.name)
        answer = answers(backend, len(asked))
        if isinstance(answer, Exception):
            raise answer
        clock.now += answer.seconds
        return answer

    measuring = Measuring(
        loaded=loaded, out=tmp_path, run=run, told=NOBODY, load=lambda: (0.5, 0.4, 0.3), clock=clock
    )
    return measuring.measure("b1", ("kvm", "docker"), runs, warmups), asked


def steady(backend: str, number: int) -> RunResult:
    return result(backend, (40 if backend == "kvm" else 4) + number / 100)


def test_every_round_has_each_backend_once_in_the_other_order_than_the_round_before() -> None:
    turns = schedule(("kvm", "docker"), runs=2, warmups=1)
    assert turns == (
        Turn(backend="kvm", warmup=True), Turn(backend="docker", warmup=True),
        Turn(backend="docker", warmup=False), Turn(backend="kvm", warmup=False),
        Turn(backend="kvm", warmup=False), Turn(backend="docker", warmup=False),
    )  # fmt: skip


def test_warm_ups_are_kept_and_never_counted(loaded: LoadedPlan, tmp_path: Path) -> None:
    bench, asked = measure(loaded, tmp_path, steady)
    assert asked[:2] == ["001-kvm-warmup", "002-docker-warmup"]
    assert len(bench.samples) == 8
    assert [each.count for each in bench.series] == [3, 3]


def test_the_benchs_own_cost_is_all_that_was_in_no_run(loaded: LoadedPlan, tmp_path: Path) -> None:
    bench, _ = measure(loaded, tmp_path, steady)
    assert bench.overhead_seconds == pytest.approx(0.05)
    assert bench.overhead_seconds + sum(each.result.seconds for each in bench.samples) == pytest.approx(
        bench.seconds
    )


def test_without_docker_the_other_half_is_still_measured_and_the_reason_told(
    loaded: LoadedPlan, tmp_path: Path
) -> None:
    error = HostError("Docker is not running here", "sudo systemctl start docker")
    for answer in (failing("docker", FailureClass.HOST), error):
        bench, asked = measure(
            loaded,
            tmp_path,
            lambda backend, number, no=answer: no if backend == "docker" else steady(backend, number),
        )
        assert sum("docker" in name for name in asked) == 1
        assert [(each.kind.backend, each.count) for each in bench.series] == [("kvm", 3)]
        assert exit_code(bench) == 3
        assert "docker was not measured to the end" in comparison_markdown(bench)


def test_a_run_that_fails_once_is_left_out_by_name_and_one_that_always_fails_ends_its_backend(
    loaded: LoadedPlan, tmp_path: Path
) -> None:
    bench, _ = measure(
        loaded, tmp_path, lambda backend, n: failing(backend, FailureClass.CHECK) if n == 4 else steady(backend, n)
    )
    assert [each.count for each in bench.series] == [2, 3]
    assert "samples/004-kvm" in "\n".join(table_of(bench).notes)
    assert exit_code(bench) == 1
    bench, asked = measure(loaded, tmp_path, lambda backend, _n: failing(backend, FailureClass.CHECK))
    assert len(asked) == 2
    assert not bench.series
    assert document.to_json(bench)


def test_an_interruption_ends_it_and_what_was_measured_is_kept(loaded: LoadedPlan, tmp_path: Path) -> None:
    bench, asked = measure(
        loaded, tmp_path,
        lambda backend, n: result(backend, 1, outcome=Outcome.INTERRUPTED, exit_code=130) if n == 5
        else steady(backend, n),
    )  # fmt: skip
    assert len(asked) == 5
    assert sum(each.count for each in bench.series) == 2
    assert exit_code(bench) == 130


def test_samples_of_different_testbeds_or_accelerators_are_never_put_together(
    loaded: LoadedPlan, tmp_path: Path
) -> None:
    def changing(backend: str, number: int) -> RunResult:
        made = steady(backend, number)
        if backend == "kvm" and number > 4:
            return replace(made, accel=AccelInfo(name="kvm"))
        return made if number < 7 else replace(made, host=HostInfo(fingerprint="other"))

    bench, _ = measure(loaded, tmp_path, changing)
    kinds = [(each.kind.backend, each.kind.accel, each.kind.fingerprint, each.count) for each in bench.series]
    assert kinds == [
        ("kvm", "tcg", "of-kvm", 1), ("kvm", "kvm", "of-kvm", 2),
        ("docker", "none", "of-docker", 2), ("docker", "none", "other", 1),
    ]  # fmt: skip
    assert all(each.first.backend != each.second.backend for each in contrasts(bench.series))


def test_the_table_says_how_far_apart_the_backends_are_and_what_the_figures_are(
    loaded: LoadedPlan, tmp_path: Path
) -> None:
    bench, _ = measure(loaded, tmp_path, steady, runs=5)
    table = table_of(bench)
    by_title = {line[0]: line for line in table.lines}
    assert table.headings == ("", "kvm (tcg, boot), n = 5", "docker, n = 5", "docker against kvm (tcg, boot)")
    assert by_title["Total"][2].startswith("4.")
    assert by_title["Total"][3].startswith("-")
    assert "p = 0.008" in by_title["Total"][3]
    assert "no difference shown" in by_title["Provisioning"][3]
    assert any("page cache included" in note and "QEMU" in note for note in table.notes)
    three, _ = measure(loaded, tmp_path, steady, runs=3)
    assert "too few samples" in {line[0]: line for line in table_of(three).lines}["Total"][3]


def test_one_sample_is_shown_as_one_sample(loaded: LoadedPlan, tmp_path: Path) -> None:
    bench, _ = measure(loaded, tmp_path, steady, runs=1, warmups=0)
    assert "(one sample)" in comparison_markdown(bench)
    assert [change_words(each) for each in (-0.9, 0.4, 11.0, float("inf"))] == [
        "-90%", "+40%", "12 times", "from nothing to something",
    ]  # fmt: skip


def test_the_documents_hold_every_sample_with_load_and_fingerprint(loaded: LoadedPlan, tmp_path: Path) -> None:
    bench, _ = measure(loaded, tmp_path, steady)
    read = json.loads(document.to_json(bench))
    assert read["schema"] == "kvm-e2e/bench/v1"
    assert len(read["samples"]) == 8
    for sample in read["samples"]:
        assert sample["load"] == [0.5, 0.4, 0.3]
        assert sample["host"]["fingerprint"] == f"of-{sample['kind']['backend']}"
        assert sample["values"]["total"] > 0
    rows = list(csv.DictReader(io.StringIO(document.to_csv(bench))))
    assert len(rows) == 8
    assert {row["warmup"] for row in rows} == {"0", "1"}
    for entry in json.loads(document.to_smaller_is_better(bench)):
        assert {"name", "unit", "value"} <= entry.keys()
        assert isinstance(entry["value"], int | float)


def test_hostile_names_and_messages_stay_text_in_markdown(loaded: LoadedPlan, tmp_path: Path) -> None:
    failure = Failure(failure_class=FailureClass.HOST, step=StepName.SSH, message=HOSTILE)
    bad = result("docker", 1, outcome=Outcome.ERROR, failure=failure, exit_code=3)
    bench, _ = measure(loaded, tmp_path, lambda backend, n: bad if backend == "docker" else steady(backend, n))
    text = comparison_markdown(replace(bench, plan=HOSTILE))
    assert "<script>" not in text
    assert "![i](" not in text
    assert "\x1b" not in text
